import SluiceCore
import SluiceTelemetry
import Testing

@testable import SluiceFlow

@Suite("Backtest", .timeLimit(.minutes(1))) struct BacktestTests {
    /// Leaves out odd blocks, and cannot read those that can be divided by ten.
    private struct PickyPipe: Pipe {
        let schemas = [rowsSchema]
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            for block in batch.blocks() {
                let number = block.span.first
                if !number.isMultiple(of: 2) { report.filter("odd") }
                guard number.isMultiple(of: 10) else { continue }
                report.deadLetters.append(
                    DeadLetter(
                        register: "rows", row: "block \(number)", block: block.span.last, reason: "tenth", message: "a tenth", payload: "{}"
                    ))
            }
            return batch.tables
        }
    }

    private static let picky = Register(
        name: "rows", number: RegisterType(rawValue: 200), doc: "", schemas: [rowsSchema], needs: [Need("rows")],
        maker: .oracle { PickyPipe() })

    private static func run(
        _ oracle: FakeOracle, _ range: ClosedRange<UInt64>, into sink: (any Sink)? = nil, register: Register = rowsRegister,
        stop: StopSignal = StopSignal()
    ) async throws -> Backtest.Outcome {
        let time = TimeSource(now: { .zero }, sleep: { _ in try await Task.sleep(for: .milliseconds(1)) })
        return await Backtest(
            definition("main", start: range.lowerBound, registers: [register]), range: range, into: sink,
            registry: try Registry([register]), time: time, log: .disabled
        ) { _, _ in oracle }.run(until: stop)
    }

    private static func isCompleted(_ end: Branch.End) -> Bool { if case .completed = end { true } else { false } }

    @Test("the same range gives the same digest, however it was cut into batches; another range gives another")
    func digests() async throws {
        let one = try await Self.run(FakeOracle(head: 60, finalized: 50, perBatch: 4), 10...49)
        let two = try await Self.run(FakeOracle(head: 60, finalized: 50, perBatch: 7), 10...49)
        #expect(Self.isCompleted(one.end) && one.blocks == 40 && one.tables["rows"]?.rows == 40)
        #expect(one.tables == two.tables)
        let other = try await Self.run(FakeOracle(head: 60, finalized: 50), 11...50)
        #expect(other.tables["rows"]?.rows == 40 && other.tables != one.tables)
        let branched = FakeOracle(head: 60, finalized: 20)
        branched.reorganise(behind: 48, to: 60, branch: 1)
        #expect(try await Self.run(branched, 10...49).tables != one.tables)
    }

    @Test("rows go into the sink that is given, and are counted all the same")
    func into() async throws {
        let sink = FakeSink()
        let outcome = try await Self.run(FakeOracle(head: 60, finalized: 50), 10...49, into: sink)
        #expect(sink.rows.keys.sorted() == Array(10...49) && outcome.tables["rows"]?.rows == 40)
    }

    @Test("what was left out and what could not be read is told, by reason")
    func accounts() async throws {
        let outcome = try await Self.run(FakeOracle(head: 60, finalized: 50), 10...49, register: Self.picky)
        #expect(outcome.letterCounts == ["tenth": 4])
        #expect(outcome.letters.map(\.block.number) == [10, 20, 30, 40])
        let component = try #require(outcome.components.first)
        #expect(outcome.components.count == 1 && component.register == "rows")
        #expect(component.rows.in == 40 && component.rows.filtered == ["odd": 20] && component.rows.deadLetters == 4)
    }

    @Test("it ends with the failure of its upstream, and with what had come until then")
    func failure() async throws {
        let oracle = FakeOracle(head: 60, finalized: 50)
        oracle.fail(at: 30, .fatal)
        let outcome = try await Self.run(oracle, 10...49)
        guard case .failed = outcome.end else {
            Issue.record("\(outcome.end)")
            return
        }
        #expect(outcome.tables["rows"]?.rows == 20)
        let beyond = try await Self.run(FakeOracle(head: 60, finalized: 50), 50...70)
        if case .failed(let error as SluiceError) = beyond.end { #expect(error.code == .beyondHead) } else { Issue.record("\(beyond.end)") }
    }

    @Test("a wish to stop ends it")
    func stop() async throws {
        let stop = StopSignal()
        stop.raise()
        let outcome = try await Self.run(FakeOracle(head: 60, finalized: 50), 10...49, stop: stop)
        if case .failed(let error) = outcome.end { Issue.record("\(error)") }
    }

    @Test("a digest sums over rows in any order, and orphaned blocks are taken off again")
    func orphans() async throws {
        let blocks = (0..<8).map { FakeBlock(number: $0, branch: 0) }
        let others = (5..<8).map { FakeBlock(number: $0, branch: 1) }
        let id = StreamID(pipeline: "main", chainID: 1)
        let clean = DigestSink()
        let stream = try await clean.open(id, tables: [rowsSchema])
        _ = try await stream.write(batch(Array(blocks[0..<5]), parent: .zero))
        _ = try await stream.write(batch(others, parent: blocks[4].hash))
        let sink = DigestSink()
        let undone = try await sink.open(id, tables: [rowsSchema])
        _ = try await undone.write(batch(blocks, parent: .zero))
        try await undone.rollback(to: blocks[4].ref)
        #expect(sink.blockCount == 5)
        _ = try await undone.write(batch(others, parent: blocks[4].hash))
        #expect(sink.tables == clean.tables && sink.blockCount == 8)

        let table = batch(blocks, parent: .zero).tables[0]
        var forwards = TableDigest()
        var backwards = TableDigest()
        for row in 0..<8 { forwards.add(table, row: row) }
        for row in (0..<8).reversed() { backwards.add(table, row: row) }
        #expect(forwards == backwards && "\(forwards)".count == 32)
    }

    @Test("blocks that lie too deep are folded together, and cannot be undone")
    func folding() async throws {
        let sink = DigestSink(depth: 4)
        let stream = try await sink.open(StreamID(pipeline: "main", chainID: 1), tables: [rowsSchema])
        var parent = Hash32.zero
        for number in 0..<40 as Range<UInt64> {
            let block = FakeBlock(number: number, branch: 0)
            _ = try await stream.write(batch([block], parent: parent))
            parent = block.hash
        }
        #expect(sink.tables["rows"]?.rows == 40)
        try await stream.rollback(to: FakeBlock(number: 38, branch: 0).ref)
        #expect(sink.tables["rows"]?.rows == 39)
        await #expect(throws: SluiceError.self) { try await stream.rollback(to: FakeBlock(number: 10, branch: 0).ref) }
    }

    @Test("the journal in memory counts a letter once, and forgets those of orphaned blocks")
    func journal() async throws {
        let journal = MemoryJournal(limit: 2)
        let id = StreamID(pipeline: "main", chainID: 1)
        let letters = (0..<5).map { number in
            DeadLetter(
                register: "rows", row: "x", block: FakeBlock(number: number, branch: 0).ref, reason: "r", message: "", payload: "")
        }
        for _ in 0..<2 { try await journal.keep(letters, of: id) }
        #expect(journal.counts == ["r": 5] && journal.letters.count == 2)
        try await journal.forgetLetters(of: id, behind: FakeBlock(number: 0, branch: 0).ref)
        #expect(journal.counts == ["r": 1] && journal.letters.count == 1)
    }
}
