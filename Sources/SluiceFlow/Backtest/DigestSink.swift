public import SluiceCore
import Synchronization

/// A sink that stores nothing: it counts rows and reckons a digest of each table.
public final class DigestSink: Sink {
    private struct State {
        var coverage = Coverage()
        /// Of blocks that may still be undone.
        var recent: [UInt64: [String: TableDigest]] = [:]
        /// Of all that lies below.
        var settled: [String: TableDigest] = [:]
        /// The lowest block of `recent`: what lies below cannot be undone any more.
        var floor: UInt64 = 0
    }

    private let state = Mutex(State())
    private let depth: Int

    /// - Parameter depth: blocks that can be undone; deeper than any chain's finality.
    public init(depth: Int = 16_384) { self.depth = max(1, depth) }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// By the table's name; a table without rows is there, once a batch has carried it.
    public var tables: [String: TableDigest] {
        state.withLock { state in state.recent.values.reduce(into: state.settled) { all, block in Self.merge(block, into: &all) } }
    }

    /// How many blocks were taken and not undone.
    public var blockCount: UInt64 { state.withLock { $0.coverage.segments.reduce(0) { $0 + ($1.last.number - $1.first + 1) } } }

    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream { DigestStream(sink: self, id: stream) }

    public func close() async {}

    fileprivate var segments: [Segment] { state.withLock { $0.coverage.segments } }

    fileprivate func take(_ batch: Batch, _ id: StreamID) throws {
        // Outside the lock: whoever looks at the figures meanwhile does not wait for the rows.
        var blocks: [UInt64: [String: TableDigest]] = [:]
        let last = batch.span.last.number
        for table in batch.tables {
            let name = table.schema.name
            blocks[last, default: [:]][name, default: TableDigest()].add(TableDigest())
            let numbers = table.schema.blockNumberField.flatMap { table.column($0) }
            for row in 0..<table.rowCount {
                let number = numbers.map { UInt64(clamping: $0.load(row, as: Int64.self)) } ?? last
                blocks[number, default: [:]][name, default: TableDigest()].add(table, row: row)
            }
        }
        try state.withLock { state in
            try state.coverage.append(batch.span, stream: id)
            for (number, tables) in blocks { Self.merge(tables, into: &state.recent[number, default: [:]]) }
            settle(&state, below: last)
        }
    }

    private func settle(_ state: inout State, below last: UInt64) {
        guard state.recent.count > 2 * depth else { return }
        let floor = last - min(last, UInt64(depth))
        for number in state.recent.keys where number < floor {
            if let tables = state.recent.removeValue(forKey: number) { Self.merge(tables, into: &state.settled) }
        }
        state.floor = max(state.floor, floor)
    }

    fileprivate func rollback(to position: Position) throws {
        try state.withLock { state in
            guard let range = state.coverage.rollback(to: position) else { return }
            guard range.lowerBound >= state.floor else {
                throw SluiceError(
                    SluiceError.Code("digest_too_deep"), .fatal,
                    "blocks behind \(position.number) were orphaned, deeper than can be undone here", mend: "run the backtest again")
            }
            for number in state.recent.keys where range.contains(number) { state.recent[number] = nil }
        }
    }

    private static func merge(_ tables: [String: TableDigest], into all: inout [String: TableDigest]) {
        for (name, digest) in tables { all[name, default: TableDigest()].add(digest) }
    }
}

private struct DigestStream: SinkStream {
    let sink: DigestSink
    let id: StreamID

    func coverage() async throws -> [Segment] { sink.segments }
    func write(_ batch: Batch) async throws -> Position? {
        try sink.take(batch, id)
        return batch.span.last
    }
    func flush() async throws -> Position? { sink.segments.last?.last }
    func rollback(to position: Position) async throws { try sink.rollback(to: position) }
    func finish() async throws -> Position? { sink.segments.last?.last }
}
