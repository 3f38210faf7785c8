/// How often balances are sampled, and what is done about blocks whose state is gone.
public struct BalanceOptions: Sendable, Hashable {
    /// What a backfill does about a sampled block whose state no endpoint has.
    public enum Pruned: String, Sendable, CaseIterable {
        /// It ends, with the number of the block and what would mend it.
        case fail
        /// The block is left out, and kept as a dead letter.
        case leaveOut = "leave_out"
    }

    /// Blocks from one sample to the next: a block is sampled when the number behind it is a multiple of this, so that every run samples
    /// the same ones. 300 blocks are an hour on Ethereum. Live, the newest block of each poll is sampled besides.
    public var intervalBlocks: UInt64
    public var pruned: Pruned

    public init(intervalBlocks: UInt64 = 300, pruned: Pruned = .fail) {
        self.intervalBlocks = max(1, intervalBlocks)
        self.pruned = pruned
    }

    /// Whether a block is sampled in every run.
    func isOnGrid(_ number: UInt64) -> Bool { (number &+ 1).isMultiple(of: intervalBlocks) }
}
