public import SluiceCore

extension ChainFollower {
    /// A height, and the hash of the block there where it is known.
    public struct Mark: Hashable, Sendable {
        public let number: UInt64
        public let hash: Hash32?

        public init(number: UInt64, hash: Hash32? = nil) {
            self.number = number
            self.hash = hash
        }
    }

    /// What the driver learned.
    public enum Event: Hashable, Sendable {
        /// The block to follow next was fetched; its hash is checked already.
        case block(BlockRef, parentHash: Hash32)
        /// The upstream was asked where it stands. Both may go back; nil when it has no `finalized` tag.
        case head(latest: Mark, finalized: Mark?)
        /// The answer to a `fetchHeader`.
        case header(BlockRef, parentHash: Hash32)
        /// The upstream does not know a header that was asked for.
        case headerUnavailable(number: UInt64)
    }

    /// What the driver does.
    public enum Action: Hashable, Sendable {
        /// The block extends the chain: its rows may flow.
        case accept(BlockRef)
        /// Fetch the header with this hash; without one, the header at this height of the canonical chain.
        case fetchHeader(number: UInt64, hash: Hash32?)
        /// Everything behind this block is orphaned.
        case rollback(to: Position)
        /// Nothing up to this height will be rolled back.
        case finalized(UInt64)
        /// The chain changed below what was final: nothing more is done.
        case halt(ReorgBeyondFinality)
        /// The block or header offered is not needed.
        case ignore(BlockRef, IgnoreReason)
    }

    /// Why something offered is not needed.
    public enum IgnoreReason: String, Sendable {
        /// Accepted already.
        case duplicate
        /// Not the next one: fetch ``ChainFollower/next``.
        case outOfOrder = "out_of_order"
        /// At a height that is final or forgotten.
        case behindFinality = "behind_finality"
        /// A reorg is being looked into: the blocks come after it.
        case walkingBack = "walking_back"
        /// The upstream's own chain disagrees with it: the endpoint that sent it is at fault.
        case contradicted
        /// A header that was not asked for.
        case unsolicited
        /// The follower halted.
        case halted
    }
}
