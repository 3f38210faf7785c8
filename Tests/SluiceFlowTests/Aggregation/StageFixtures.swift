import SluiceCore
import SluiceFlow
import Synchronization
import Testing

/// Counts the blocks of its bundles, and remembers how many there were in all.
struct CountingAggregator: Aggregator {
    static let schema = Schema(
        name: "counts", key: ["bundle_number"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("bundle_number", .int64, ""), Field("blocks", .int64, ""), Field("total", .int64, ""),
        ])

    let policy: SynchronizationPolicy
    var schemas = [Self.schema]
    /// Fails at the bundle of this number.
    var failAt: UInt64?
    private var totals: [(bundle: UInt64, blocks: Int64)] = []

    init(_ policy: SynchronizationPolicy, failAt: UInt64? = nil) {
        self.policy = policy
        self.failAt = failAt
    }

    mutating func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
        if bundle.number == failAt { throw SluiceError(.init("fake"), .data, "the aggregator cannot read it") }
        let blocks = Int64(bundle.inputs.reduce(0) { $0 + $1.count })
        let total = (totals.last?.blocks ?? 0) + blocks
        totals.append((bundle.number, total))
        if blocks == 1 { report.filter("alone") }
        var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
        for (index, value) in [9, Int64(bundle.number), blocks, total].enumerated() { columns[index].append(value) }
        return [Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: 1)]
    }

    mutating func rollback(toBundle number: UInt64?) { totals.removeAll { $0.bundle > number ?? 0 } }
}

/// The end of the line: a store that holds what comes to the rules of a sink.
final class Collector: Egress {
    struct State {
        var coverage = Coverage()
        var rows: [[Int64]] = []
        var finalized: UInt64 = 0
        var rollbacks = 0
        var problems: [String] = []
        var isStopped = false
        var isAsked = false
    }

    let state = Mutex(State())

    var rows: [[Int64]] { state.withLock { $0.rows } }

    func send(_ transit: Transit) async throws {
        state.withLock { $0.isAsked = $0.isStopped }
        while state.withLock({ $0.isStopped }) { try await Task.sleep(for: .milliseconds(1)) }
        try state.withLock { state in
            switch transit {
            case .batch(let batch):
                try state.coverage.append(batch.span, stream: StreamID(pipeline: "aggregate", chainID: batch.chainID))
                for table in batch.tables { state.rows.append(table.columns.map { $0.load(0, as: Int64.self) }) }
            case .rollback(let position):
                state.rollbacks += 1
                _ = state.coverage.rollback(to: position)
                state.rows.removeAll { $0[1] > Int64(position.number) }
                let last = state.coverage.segments.last?.last ?? Position(number: 0, hash: .zero)
                if last != position || position.number < state.finalized { state.problems.append("rolled back to \(position) of \(last)") }
            case .finalized(let number):
                if number <= state.finalized || number > state.rows.count { state.problems.append("finality of \(number)") }
                state.finalized = number
            }
        }
    }
}

/// Keeps records in memory.
final class KeptRecords: BundleRecords {
    let state = Mutex<(records: [BundleRecord], finalized: UInt64)>(([], 0))

    func remember(_ records: [BundleRecord]) async throws {
        // By way of their bytes, as a store would.
        state.withLock { $0.records.append(contentsOf: records.compactMap { BundleRecord(bytes: $0.bytes) }) }
    }

    func finalize(throughBundle number: UInt64) async throws {
        state.withLock { state in
            state.finalized = number
            state.records.removeAll { $0.number < number }
        }
    }
}

/// Blocks of a stream from one number to another, with rows of some weight.
func blocks(_ stream: Int, _ numbers: ClosedRange<UInt64>, every seconds: UInt64 = 10, branch: UInt64 = 0) -> [StreamBlock] {
    numbers.map { StreamBlock(stream: stream, number: $0, branch: branch, timestamp: $0 * seconds) }
}

/// The same as one batch, behind the block before on the first branch.
func batch(_ stream: Int, _ numbers: ClosedRange<UInt64>) -> Batch {
    let before = numbers.lowerBound - min(numbers.lowerBound, 1)
    return batch(blocks(stream, numbers), parent: blocks(stream, before...before)[0])
}

/// Waits for something, and a little longer, so that what should not follow has had its time.
func until(_ condition: () -> Bool) async {
    while !condition() { await Task.yield() }
    for _ in 0..<500 { await Task.yield() }
}
