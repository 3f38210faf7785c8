import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite("Findings", .timeLimit(.minutes(1))) struct FindingTests {
    /// Learns of every tenth block, and says what it was told when it was made.
    private struct LearningPipe: Pipe {
        let schemas = [rowsSchema]
        var learnt: [Finding] = []
        mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            for number in batch.span.first...batch.span.last.number where number.isMultiple(of: 10) {
                learnt.append(Finding(block: BlockRef(number: number, hash: batch.span.hash(number)), text: "found"))
            }
            return batch.tables
        }
        mutating func rollback(to position: Position) { learnt.removeAll { $0.block.number > position.number } }
        mutating func takeFindings() -> [Finding] {
            defer { learnt = [] }
            return learnt
        }
    }

    private static func learner(_ told: Box<[[UInt64]]> = Box([]), need: Need = Need("rows")) -> Register {
        Register(
            name: "learner", number: RegisterType(rawValue: 210), doc: "", schemas: [rowsSchema], dependencies: ["rows"], needs: [need],
            isAddressed: true, stateKey: StateKeyShape(prefix: "learner", id: "address"), keepsFindings: true,
            maker: .pipe { context in
                told.change { $0.append(context.findings.map(\.block.number)) }
                return LearningPipe()
            })
    }

    private func follow(
        _ register: Register, _ oracle: FakeOracle, _ journal: FakeJournal, _ sink: FakeSink, until: UInt64?, start: UInt64? = 0
    ) async throws {
        let shared = hub(oracle, registers: [rowsRegister, Self.learner()], journal: journal)
        let run = Run(
            hub: shared, definition: definition("p", start: start, registers: [register]), sinks: [SinkAttachment("sink", sink)],
            progress: PipelineProgress(), stop: StopSignal())
        try await run.follow(until: until)
    }

    private func kept(_ journal: FakeJournal) -> [BlockRef] { journal.found.withLock { $0["p@1 learner"] ?? [] }.map(\.block) }

    private func tenths(_ oracle: FakeOracle, through last: UInt64) -> [BlockRef] {
        oracle.canonical.filter { $0.number.isMultiple(of: 10) && $0.number <= last }.map(\.ref)
    }

    @Test("what was found is kept, and given to whoever goes on: as far as was read, and no further")
    func resume() async throws {
        let (oracle, journal, sink) = (FakeOracle(head: 200, finalized: 190), FakeJournal(), FakeSink())
        let told = Box<[[UInt64]]>([])
        try await follow(Self.learner(told), oracle, journal, sink, until: 60)
        #expect(told.value.first == [])
        #expect(kept(journal) == tenths(oracle, through: 60))
        told.change { $0 = [] }
        try await follow(Self.learner(told), oracle, journal, sink, until: 200)
        #expect(told.value.first == [0, 10, 20, 30, 40, 50, 60])
        // The last one is for the head: everything below it is known.
        #expect(told.value.allSatisfy { $0 == Array(stride(from: 0, through: $0.last ?? 0, by: 10)) }, "\(told.value)")
        #expect(kept(journal) == tenths(oracle, through: 200))
    }

    @Test("what was found in blocks that no sink has is found again, or is gone")
    func stale() async throws {
        let (oracle, journal, sink) = (FakeOracle(head: 100, finalized: 90), FakeJournal(), FakeSink())
        let orphans = [UInt64(5), 20, 33].map { Finding(block: FakeBlock(number: $0, branch: 7).ref, text: "orphan") }
        try await journal.replaceFindings(orphans, in: 0...99, of: StreamID(pipeline: "p", chainID: 1), register: "learner")
        let told = Box<[[UInt64]]>([])
        try await follow(Self.learner(told), oracle, journal, sink, until: 100)
        #expect(told.value.first == [])
        #expect(kept(journal) == tenths(oracle, through: 100))
    }

    @Test("what was found behind a rollback is forgotten")
    func rollback() async throws {
        let (oracle, journal, sink) = (FakeOracle(head: 100, finalized: 60), FakeJournal(), FakeSink())
        try await follow(Self.learner(), oracle, journal, sink, until: 100)
        oracle.reorganise(behind: 75, to: 104, branch: 1)
        let told = Box<[[UInt64]]>([])
        try await follow(Self.learner(told), oracle, journal, sink, until: 104)
        #expect(told.value.first == [0, 10, 20, 30, 40, 50, 60, 70])
        #expect(kept(journal) == tenths(oracle, through: 104))
        #expect(kept(journal).last == FakeBlock(number: 100, branch: 1).ref)
    }

    @Test("the same while it follows the head, where errors let blocks come twice")
    func live() async throws {
        let (oracle, journal, sink) = (FakeOracle(head: 50, finalized: 40), FakeJournal(), FakeSink())
        oracle.fail(at: 63, .retry)
        let register = Self.learner()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await follow(register, oracle, journal, sink, until: 90) }
            while sink.rows.count < 51 { try await Task.sleep(for: .milliseconds(1)) }
            oracle.state.withLock { state in state.chain += (51...70).map { FakeBlock(number: $0, branch: 0) } }
            while sink.rows.count < 71 { try await Task.sleep(for: .milliseconds(1)) }
            oracle.reorganise(behind: 58, to: 95, branch: 1)
            try await group.waitForAll()
        }
        #expect(kept(journal) == tenths(oracle, through: 90))
    }

    @Test("pipelines have components and needs of their own where they told a register something; needs are joined")
    func own() async throws {
        let oracle = FakeOracle(head: 30, finalized: 20)
        let needs = [UInt8(1), 2].map { Need("rows", addresses: [[UInt8](repeating: $0, count: 20)]) }
        let told = Box<[[UInt64]]>([])
        let shared = hub(oracle, registers: [rowsRegister, Self.learner()])
        let sinks = (FakeSink(), FakeSink())
        let branches = zip(needs, [sinks.0, sinks.1]).enumerated().map { index, pair in
            Branch(
                definition("p\(index)", start: 0, registers: [Self.learner(told, need: pair.0)]), goal: .follow(until: nil),
                sinks: [SinkAttachment("sink", pair.1)], progress: PipelineProgress())
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await shared.run() }
            shared.join(branches)
            while sinks.0.rows.count < 31 || sinks.1.rows.count < 31 || shared.components.count < 2 {
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(shared.components.map(\.users) == [1, 1])
            #expect(oracle.state.withLock { $0.needs.allSatisfy { $0 == Set(needs) } })
            for branch in branches { branch.leave() }
            for branch in branches { _ = await branch.ended() }
            shared.end()
            try await group.waitForAll()
        }
        // Each was made by its pipeline's own maker: the registry's would have told nobody.
        #expect(told.value.count == 4 || told.value.count == 2, "\(told.value.count)")
    }
}
