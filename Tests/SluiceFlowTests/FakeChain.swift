import SluiceCore
import SluiceFlow
import Synchronization

/// A chain of made-up blocks: number and branch are the hash. One table with a row a block, and one with none.
struct FakeBlock: Hashable, Sendable {
    let number: UInt64
    let branch: UInt8

    var hash: Hash32 {
        Hash32([branch + 1] + [UInt8](repeating: 0, count: 23) + withUnsafeBytes(of: number.bigEndian) { Array($0) }) ?? .zero
    }
    var ref: BlockRef { BlockRef(number: number, hash: hash) }
}

let rowsSchema = Schema(
    name: "rows", key: ["block_hash"], doc: "", fields: [Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), "")])

/// A batch of blocks that follow each other.
func batch(_ blocks: [FakeBlock], parent: Hash32) -> Batch {
    var numbers = ColumnBuilder(.int64)
    var hashes = ColumnBuilder(.fixedBytes(32))
    for block in blocks {
        numbers.append(Int64(block.number))
        hashes.append(block.hash)
    }
    let table = Table(schema: rowsSchema, columns: [numbers.finish(), hashes.finish()], rowCount: blocks.count)
    let span = Span(
        first: blocks[0].number, parentHash: parent, blocks: blocks.map { BlockStamp(hash: $0.hash, timestamp: $0.number * 12) })
    return Batch(chainID: 1, span: span, tables: [table])
}

/// An oracle without a network: a chain in memory that can be changed, and errors to order.
final class FakeOracle: Oracle {
    struct State {
        var chain: [FakeBlock] = []
        var finalized: UInt64 = 0
        /// Thrown in place of the next block of that number, once.
        var failures: [UInt64: SluiceError] = [:]
        var calls: [String] = []
        /// What each oracle that was made had to read.
        var needs: [Set<Need>] = []
    }

    func made(for needs: [Need]) { state.withLock { $0.needs.append(Set(needs)) } }

    /// Lets the chain grow.
    func grow(_ count: UInt64) {
        state.withLock { state in
            let head = UInt64(state.chain.count)
            state.chain += (head..<head + count).map { FakeBlock(number: $0, branch: 0) }
        }
    }

    /// What a clean run over some blocks of the chain, as it is now, leaves in a sink.
    func rows(_ range: ClosedRange<UInt64>) -> [UInt64: [UInt8]] {
        Dictionary(uniqueKeysWithValues: canonical.filter { range.contains($0.number) }.map { ($0.number, $0.hash.bytes) })
    }

    let state: Mutex<State>
    private let perBatch: Int

    /// Blocks 0 ... head.
    init(head: UInt64, finalized: UInt64, perBatch: Int = 4) {
        state = Mutex(State(chain: (0...head).map { FakeBlock(number: $0, branch: 0) }, finalized: finalized))
        self.perBatch = perBatch
    }

    var calls: [String] { state.withLock { $0.calls } }
    var canonical: [FakeBlock] { state.withLock { $0.chain } }

    func fail(at number: UInt64, _ kind: SluiceError.Class) {
        state.withLock { $0.failures[number] = SluiceError(.init("fake"), kind, "fake failure at \(number)") }
    }

    /// Puts other blocks behind `number`.
    func reorganise(behind number: UInt64, to head: UInt64, branch: UInt8) {
        state.withLock {
            $0.chain = $0.chain.filter { $0.number <= number } + (number + 1...head).map { FakeBlock(number: $0, branch: branch) }
        }
    }

    func head() async throws -> ChainHead {
        state.withLock { ChainHead(latest: $0.chain[$0.chain.count - 1].number, finalized: $0.finalized) }
    }

    func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        state.withLock { state in
            state.calls.append("settle \(position.number)")
            var number = min(position.number, state.chain[state.chain.count - 1].number)
            // A branch is recognised by its hash; the fake knows all of them.
            let branch = position.hash.bytes[0] - 1
            while number > 0, state.chain[Int(number)].branch != branch || number > position.number {
                if state.chain[Int(number)].branch < branch || state.chain[Int(number)].branch == 0 { break }
                number -= 1
            }
            return state.chain[Int(number)].ref
        }
    }

    func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        state.withLock {
            $0.calls.append("backfill \(range.lowerBound)-\(range.upperBound) after \(position.map { "\($0.number)" } ?? "-")")
        }
        try await egress.send(.finalized(state.withLock { $0.finalized }))
        try await send(range, into: egress)
    }

    func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        state.withLock { $0.calls.append("live from \(position.map { "\($0.number)" } ?? "-") start \(start.map { "\($0)" } ?? "-")") }
        var position = position
        var told: UInt64?
        while true {
            let (chain, finalized) = state.withLock { ($0.chain, $0.finalized) }
            if told != finalized {
                try await egress.send(.finalized(finalized))
                told = finalized
            }
            if let here = position, here != chain[min(Int(here.number), chain.count - 1)].ref {
                var number = min(here.number, UInt64(chain.count - 1))
                while number > 0, chain[Int(number)].branch != 0 { number -= 1 }
                try await egress.send(.rollback(to: chain[Int(number)].ref))
                position = chain[Int(number)].ref
            }
            let next = position.map { $0.number + 1 } ?? start ?? UInt64(chain.count - 1)
            let last = min(until ?? .max, UInt64(chain.count - 1))
            if next <= last {
                try await send(next...last, into: egress)
                position = chain[Int(last)].ref
            }
            if let until, let position, position.number >= until { return }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private func send(_ range: ClosedRange<UInt64>, into egress: any Egress) async throws {
        var first = range.lowerBound
        while first <= range.upperBound {
            let last = min(range.upperBound, first + UInt64(perBatch) - 1)
            let (blocks, failure) = state.withLock { state in
                let failing = (first...last).first { state.failures[$0] != nil }
                return (Array(state.chain[Int(first)...Int(last)]), failing.flatMap { state.failures.removeValue(forKey: $0) })
            }
            if let failure { throw failure }
            try await egress.send(.batch(batch(blocks, parent: first == 0 ? .zero : state.withLock { $0.chain[Int(first) - 1].hash })))
            first = last + 1
        }
    }
}

/// A sink in memory, that keeps what is durable when it is opened again. It takes batches into a transaction, as real ones do.
final class FakeSink: Sink {
    struct State {
        var coverage = Coverage()
        var rows: [UInt64: [UInt8]] = [:]
        var open: [Batch] = []
        var finalized = 0
        var writes: [ClosedRange<UInt64>] = []
        var rollbacks: [UInt64] = []
        var failAt: UInt64?
        var failure = SluiceError(.init("fake"), .pause, "the sink is full")
        /// Why it cannot be opened.
        var refusal: SluiceError?
        var opened = 0
    }

    let delivery = Delivery.exactlyOnce
    let holdsBackToFinality: Bool
    let state = Mutex(State())
    let isSlow: Bool
    private let perTransaction: Int

    init(holdsBack: Bool = false, perTransaction: Int = 3, isSlow: Bool = false) {
        holdsBackToFinality = holdsBack
        self.perTransaction = perTransaction
        self.isSlow = isSlow
    }

    /// Numbers and hashes of the rows that are durable.
    var rows: [UInt64: [UInt8]] { state.withLock { $0.rows } }
    var segments: [Segment] { state.withLock { $0.coverage.segments } }
    var writes: [ClosedRange<UInt64>] { state.withLock { $0.writes } }

    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        // What was not committed is gone with the run before.
        try state.withLock { state in
            state.open = []
            state.opened += 1
            if let refusal = state.refusal { throw refusal }
        }
        return FakeStream(sink: self, id: stream)
    }

    func close() async {}

    fileprivate func commit(_ id: StreamID) throws -> Position? {
        try state.withLock { state in
            var last: Position?
            for batch in state.open {
                try state.coverage.append(batch.span, stream: id)
                for table in batch.tables {
                    for row in 0..<table.rowCount {
                        state.rows[UInt64(table.columns[0].load(row, as: Int64.self))] = Array(table.columns[1].bytes(row))
                    }
                }
                last = batch.span.last
            }
            state.open = []
            return last
        }
    }

    fileprivate func take(_ batch: Batch, _ id: StreamID) throws -> Position? {
        let isFull = try state.withLock { state in
            if let failAt = state.failAt, batch.span.last.number >= failAt {
                state.failAt = nil
                throw state.failure
            }
            state.writes.append(batch.span.first...batch.span.last.number)
            state.open.append(batch)
            return state.open.count >= perTransaction
        }
        return isFull ? try commit(id) : nil
    }

    fileprivate func rollback(to position: Position, _ id: StreamID) throws {
        _ = try commit(id)
        state.withLock { state in
            state.rollbacks.append(position.number)
            guard let range = state.coverage.rollback(to: position) else { return }
            for number in range { state.rows[number] = nil }
        }
    }
}

private struct FakeStream: SinkStream {
    let sink: FakeSink
    let id: StreamID

    func coverage() async throws -> [Segment] { sink.segments }
    func write(_ batch: Batch) async throws -> Position? {
        if sink.isSlow { try await Task.sleep(for: .milliseconds(1)) }
        return try sink.take(batch, id)
    }
    func flush() async throws -> Position? { try sink.commit(id) }
    func rollback(to position: Position) async throws { try sink.rollback(to: position, id) }
    func finish() async throws -> Position? { try sink.commit(id) }
}

/// Passes the fake table on.
struct PassPipe: Pipe {
    let schemas = [rowsSchema]
    func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] { batch.tables }
}

/// A value that tasks share.
final class Box<Value: Sendable>: Sendable {
    private let held: Mutex<Value>
    init(_ value: Value) { held = Mutex(value) }
    var value: Value { held.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { held.withLock { body(&$0) } }
}
