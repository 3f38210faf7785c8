public import SluiceCore
import Synchronization

/// What a pipeline has done so far, for whoever watches: the live view, `status`, the summary at the end.
public final class PipelineProgress: Sendable {
    /// One moment of it.
    public struct Snapshot: Sendable {
        public var head: ChainHead?
        /// What the oracle has sent on.
        public var emitted: Position?
        /// Seconds since 1970 of that block.
        public var emittedTimestamp: UInt64 = 0
        /// Blocks and rows sent on since the start.
        public var blocks: UInt64 = 0
        /// What every sink has made durable, by the sink's name.
        public var durable: [String: Position] = [:]
        /// Rows by table that were sent on since the start; those that were undone since are among them.
        public var rows: [String: Int] = [:]
        public var reorganisations = 0
        public var deepestReorganisation = 0
        public var receivedBytes = 0
        /// Why the pipeline is waiting, when an upstream fails.
        public var trouble: String?

        /// Nothing done yet.
        public init() {}
    }

    private let state = Mutex(Snapshot())

    public init() {}

    public var snapshot: Snapshot { state.withLock { $0 } }

    /// Takes note of something; called by the runtime and by oracles.
    public func note(_ event: OracleEvent) {
        state.withLock { state in
            switch event {
            case .head(let head): state.head = head
            case .reorganisation(let depth):
                state.reorganisations += 1
                state.deepestReorganisation = max(state.deepestReorganisation, depth)
            case .received(let bytes): state.receivedBytes += bytes
            }
        }
    }

    func update(_ change: (inout Snapshot) -> Void) { state.withLock { change(&$0) } }
}
