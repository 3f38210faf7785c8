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

    private struct State {
        var snapshot = Snapshot()
        /// Rows by table, as `snapshot` has them when it is asked for: few tables, found by their schemas' identity at every batch.
        var rows: [(schema: Schema, count: Int)] = []

        mutating func count(_ table: Table) {
            for index in rows.indices where rows[index].schema.isNamed(as: table.schema) {
                rows[index].count += table.rowCount
                return
            }
            rows.append((table.schema, table.rowCount))
        }
    }

    private let state = Mutex(State())

    public init() {}

    public var snapshot: Snapshot {
        state.withLock { state in
            var snapshot = state.snapshot
            for (schema, count) in state.rows { snapshot.rows[schema.name] = count }
            return snapshot
        }
    }

    /// Takes note of something; called by the runtime and by oracles.
    public func note(_ event: OracleEvent) {
        update { state in
            switch event {
            case .head(let head): state.head = head
            case .reorganisation(let depth):
                state.reorganisations += 1
                state.deepestReorganisation = max(state.deepestReorganisation, depth)
            case .received(let bytes): state.receivedBytes += bytes
            }
        }
    }

    /// Takes note of tables that were sent on.
    func sent(_ tables: [Table], of span: Span) {
        state.withLock { state in
            state.snapshot.emitted = span.last
            state.snapshot.emittedTimestamp = span.lastTimestamp
            state.snapshot.blocks += UInt64(span.count)
            for index in tables.indices { state.count(tables[index]) }
        }
    }

    func update(_ change: (inout Snapshot) -> Void) { state.withLock { change(&$0.snapshot) } }
}
