import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import SluiceFlow

/// Registers that follow the shared state.
@Suite("Following the shared state", .timeLimit(.minutes(5))) struct ToldTests {
    /// A batch as a component saw it, and what it had been told.
    private struct Seen: Equatable {
        let blocks: ClosedRange<UInt64>
        let members: [String]
        let findings: Int
    }

    private struct TellingPipe: Pipe {
        let schemas = [rowsSchema]
        let members: [String]
        let findings: Int
        let seen: Box<[Seen]>
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            seen.change {
                $0.append(Seen(blocks: batch.span.first...batch.span.last.number, members: members, findings: findings))
            }
            return batch.tables
        }
        mutating func takeFindings() -> [Finding] { [] }
    }

    private static let shape = StateKeyShape(prefix: "told", id: "address")

    /// Needs what it is told, and notes what it sees.
    private static func register(_ seen: Box<[Seen]>, _ members: [String] = [], problems: Bool = false) -> Register {
        Register(
            name: "told", number: RegisterType(rawValue: 220), doc: "", schemas: [rowsSchema], dependencies: ["rows"],
            needs: members.isEmpty ? [] : [Need("rows", addresses: members.map { Array($0.utf8) })], isAddressed: true, stateKey: shape,
            keepsFindings: true,
            tell: { _, held in
                ToldRegister(
                    register(seen, held.members), understood: [], problems: held.members.filter { $0 == "bad" }.map { "\($0) is bad" })
            },
            maker: .pipe { TellingPipe(members: members, findings: $0.findings.count, seen: seen) })
    }

    private func branch(
        _ name: String, _ state: any SharedState, _ seen: Box<[Seen]>, _ sink: FakeSink, goal: Branch.Goal = .follow(until: nil)
    ) -> Branch {
        Branch(
            PipelineDefinition(name: name, chainID: 1, registers: [Self.register(seen)], start: 0, state: state), goal: goal,
            sinks: [SinkAttachment("sink", sink)], progress: PipelineProgress())
    }

    private func hub(
        _ oracle: FakeOracle, journal: FakeJournal = FakeJournal(), now: @escaping @Sendable () -> MonotonicTime = { .zero },
        log: Log = .disabled
    ) throws -> Hub {
        let time = TimeSource(now: now, sleep: { _ in try await Task.sleep(for: .milliseconds(1)) })
        return Hub(
            Hub.Surroundings(
                registry: try Registry([rowsRegister, Self.register(Box([]))]), journal: journal, time: time, log: log, edgeCapacity: 4096
            ) { needs, _ in
                oracle.made(for: needs)
                return oracle
            })
    }

    private func working<R: Sendable>(_ hub: Hub, _ body: () async throws -> R) async throws -> R {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            let result = try await body()
            hub.end()
            try await group.waitForAll()
            return result
        }
    }

    private func eventually(_ what: Comment, _ condition: () -> Bool) async throws {
        for _ in 0..<10_000 where !condition() { try await Task.sleep(for: .milliseconds(1)) }
        #expect(condition(), what)
    }

    private func grow(_ oracle: FakeOracle, to head: UInt64) {
        oracle.state.withLock { state in state.chain += (UInt64(state.chain.count)...head).map { FakeBlock(number: $0, branch: 0) } }
    }

    /// What was told at each block that reached a sink: the last time that it was seen.
    private func told(_ seen: Box<[Seen]>) -> [UInt64: [String]] {
        seen.value.reduce(into: [:]) { all, batch in for number in batch.blocks { all[number] = batch.members } }
    }

    private func isWhole(_ sink: FakeSink, through head: UInt64) -> Bool {
        let written = sink.writes.flatMap { Array($0) }
        return Set(written).count == written.count && sink.segments.count == 1 && sink.rows.count == Int(head) + 1
    }

    @Test("what is added or removed counts from the first block after it on, and the oracle is made anew for it")
    func follows() async throws {
        let oracle = FakeOracle(head: 10, finalized: 5)
        let state = MemoryState()
        let (seen, sink) = (Box<[Seen]>([]), FakeSink())
        let key = Self.shape.key(of: "p")
        try await state.insert(["a"], into: key)
        let shared = try hub(oracle)
        var expected: [UInt64: [String]] = [:]
        for number in 0...10 { expected[UInt64(number)] = ["a"] }
        try await working(shared) {
            let one = branch("p", state, seen, sink)
            shared.join([one])
            try await eventually("it follows") { sink.rows.count == 11 }
            var head: UInt64 = 10
            for change in [StateChange.insert(["b"], key: key), .remove(["a"], key: key), .delete(key), .insert(["c", "d"], key: key)] {
                try await state.apply(change)
                head += 1
                grow(oracle, to: head)
                try await eventually("block \(head) came") { sink.rows.count == Int(head) + 1 }
                expected[head] = try await state.members(of: key)
            }
            one.leave()
            _ = await one.ended()
        }
        #expect(told(seen) == expected)
        #expect(isWhole(sink, through: 14))
        let needs = oracle.state.withLock { $0.needs }.map { $0.flatMap(\.addresses).map { String(decoding: $0, as: UTF8.self) }.sorted() }
        #expect(needs.last == ["c", "d"] && needs.contains(["a", "b"]) && needs.contains(["b"]) && needs.contains([]))
    }

    @Test("a range is read for what was asked for when it began; what is added meanwhile counts from the next reading on")
    func range() async throws {
        let oracle = FakeOracle(head: 100, finalized: 90)
        let state = MemoryState()
        let key = Self.shape.key(of: "p")
        try await state.insert(["a"], into: key)
        let (seen, sink) = (Box<[Seen]>([]), FakeSink(isSlow: true))
        let shared = try hub(oracle)
        try await working(shared) {
            let first = branch("p", state, seen, sink, goal: .range(0...79))
            shared.join([first])
            try await eventually("it reads") { !seen.value.isEmpty }
            try await state.insert(["b"], into: key)
            #expect(await first.ended().isCompleted)
            let second = branch("p", state, seen, sink, goal: .range(0...99))
            shared.join([second])
            #expect(await second.ended().isCompleted)
        }
        let told = told(seen)
        #expect((0...79).allSatisfy { told[$0] == ["a"] } && (80...99).allSatisfy { told[$0] == ["a", "b"] })
        #expect(isWhole(sink, through: 99))
    }

    @Test("two pipelines with different sets make the readings of one, and each component knows its own")
    func two() async throws {
        let alone = FakeOracle(head: 60, finalized: 50)
        let state = MemoryState()
        try await state.insert(["a", "b"], into: Self.shape.key(of: "p"))
        try await state.insert(["b", "c"], into: Self.shape.key(of: "q"))
        let one = try hub(alone)
        try await working(one) {
            let only = branch("p", state, Box([]), FakeSink(), goal: .follow(until: 60))
            one.join([only])
            _ = await only.ended()
        }
        let oracle = FakeOracle(head: 60, finalized: 50)
        let shared = try hub(oracle)
        let (seen, sinks) = ([Box<[Seen]>([]), Box<[Seen]>([])], [FakeSink(), FakeSink()])
        try await working(shared) {
            let both = ["p", "q"].enumerated().map { branch($1, state, seen[$0], sinks[$0], goal: .follow(until: 60)) }
            shared.join(both)
            for branch in both { #expect(await branch.ended().isCompleted) }
        }
        #expect(oracle.calls == alone.calls)
        #expect(seen.map { Set($0.value.map(\.members)) } == [[["a", "b"]], [["b", "c"]]])
        for sink in sinks { #expect(isWhole(sink, through: 60)) }
    }

    /// Changes what it holds whenever it is looked at.
    private struct Restless: SharedState {
        let count = Box(0)
        func snapshot(of key: StateKey) async throws -> StateSnapshot {
            StateSnapshot(version: UInt64(count.value), entries: [.init(member: "m\(count.value)")])
        }
        func version(of key: StateKey) async throws -> UInt64 {
            count.change { $0 += 1 }
            return UInt64(count.value)
        }
        func keys(of pipeline: String) async throws -> [StateKey] { [] }
        func apply(_ change: StateChange) async throws {}
    }

    @Test("a state that changes faster than blocks are read does not hold them up")
    func restless() async throws {
        let oracle = FakeOracle(head: 10, finalized: 5)
        let (seen, sink) = (Box<[Seen]>([]), FakeSink())
        let shared = try hub(oracle)
        try await working(shared) {
            let one = branch("p", Restless(), seen, sink)
            shared.join([one])
            try await eventually("it follows") { sink.rows.count == 11 }
            for head in 11...40 { grow(oracle, to: UInt64(head)) }
            try await eventually("all came") { sink.rows.count == 41 }
            one.leave()
            _ = await one.ended()
        }
        #expect(isWhole(sink, through: 40))
    }

    /// Refuses to be read, to order.
    private struct Refusing: SharedState {
        let base: MemoryState
        let error: Box<SluiceError?>
        func check() throws { if let error = error.value { throw error } }
        func snapshot(of key: StateKey) async throws -> StateSnapshot {
            try check()
            return try await base.snapshot(of: key)
        }
        func version(of key: StateKey) async throws -> UInt64 {
            try check()
            return try await base.version(of: key)
        }
        func keys(of pipeline: String) async throws -> [StateKey] { try await base.keys(of: pipeline) }
        func apply(_ change: StateChange) async throws { try await base.apply(change) }
    }

    private static let away = SluiceError(.init("away"), .retry, "the state is away")

    @Test("while the state cannot be read, what it held last counts; afterwards what it holds then")
    func away() async throws {
        let oracle = FakeOracle(head: 10, finalized: 5)
        let state = Refusing(base: MemoryState(), error: Box(nil))
        let key = Self.shape.key(of: "p")
        try await state.insert(["a"], into: key)
        let (seen, sink) = (Box<[Seen]>([]), FakeSink())
        let (clock, lines) = (Box(MonotonicTime.zero), Box<[String]>([]))
        let log = Log(level: .info, clock: { 0 }, sink: { line in lines.change { $0.append(line) } })
        let shared = try hub(oracle, now: { clock.value }, log: log)
        try await working(shared) {
            let one = branch("p", state, seen, sink)
            shared.join([one])
            try await eventually("it follows") { sink.rows.count == 11 }
            state.error.change { $0 = Self.away }
            try await state.insert(["b"], into: key)
            for head in 11...14 {
                grow(oracle, to: UInt64(head))
                try await eventually("it goes on") { sink.rows.count == head + 1 }
            }
            state.error.change { $0 = nil }
            // It does not look again before its time.
            grow(oracle, to: 15)
            try await eventually("it goes on") { sink.rows.count == 16 }
            clock.change { $0 = $0 + ToldPipeline.patience }
            grow(oracle, to: 16)
            try await eventually("it goes on") { sink.rows.count == 17 }
            one.leave()
            _ = await one.ended()
        }
        let told = told(seen)
        #expect((0...15).allSatisfy { told[$0] == ["a"] } && told[16] == ["a", "b"])
        #expect(lines.value.count { $0.contains("cannot be read; going on") } == 1, "\(lines.value)")
        #expect(lines.value.count { $0.contains("can be read again") } == 1)
    }

    @Test("a pipeline that cannot be told at all waits when that may pass, and else ends alone")
    func untold() async throws {
        let oracle = FakeOracle(head: 10, finalized: 5)
        let refusing = Refusing(base: MemoryState(), error: Box(Self.away))
        let (seen, waiting, other) = (Box<[Seen]>([]), FakeSink(), FakeSink())
        let shared = try hub(oracle)
        try await working(shared) {
            let one = branch("p", refusing, seen, waiting)
            shared.join([one])
            try await Task.sleep(for: .milliseconds(30))
            #expect(seen.value.isEmpty && waiting.rows.isEmpty)
            refusing.error.change { $0 = nil }
            try await eventually("it follows") { waiting.rows.count == 11 }
            let broken = Refusing(base: MemoryState(), error: Box(SluiceError(.init("broken"), .pause, "the state is broken")))
            let (bad, good) = (branch("bad", broken, Box([]), FakeSink()), branch("good", refusing, Box([]), other))
            shared.join([bad, good])
            guard case .failed(let error) = await bad.ended() else { return #expect(Bool(false), "it failed") }
            #expect("\(error)".contains("the state is broken"))
            try await eventually("the other one follows") { other.rows.count == 11 }
            for branch in [one, good] { branch.leave() }
            for branch in [one, good] { _ = await branch.ended() }
        }
    }

    @Test("a component that is made anew is given what was found before, and what cannot be used is said once")
    func findings() async throws {
        let oracle = FakeOracle(head: 10, finalized: 5)
        let journal = FakeJournal()
        journal.found.withLock {
            $0["p@1 told"] = [3, 7, 10].map { Finding(block: FakeBlock(number: $0, branch: 0).ref, text: "found") }
        }
        let state = MemoryState()
        let key = Self.shape.key(of: "p")
        let (seen, sink) = (Box<[Seen]>([]), FakeSink())
        let lines = Box<[String]>([])
        let shared = try hub(
            oracle, journal: journal, log: Log(level: .warning, clock: { 0 }, sink: { line in lines.change { $0.append(line) } }))
        let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [rowsSchema])
        _ = try await stream.write(batch((0...10).map { FakeBlock(number: $0, branch: 0) }, parent: .zero))
        _ = try await stream.flush()
        try await working(shared) {
            let one = branch("p", state, seen, sink)
            shared.join([one])
            for (head, member) in [(11, "a"), (12, "bad"), (13, "b")] {
                try await state.insert([member], into: key)
                grow(oracle, to: UInt64(head))
                try await eventually("it goes on") { (seen.value.last?.blocks.upperBound).map { $0 >= UInt64(head) } ?? false }
            }
            one.leave()
            _ = await one.ended()
        }
        #expect(seen.value.last?.findings == 3 && seen.value.last?.members == ["a", "b", "bad"])
        #expect(lines.value.count == 1 && lines.value[0].contains("bad is bad"), "\(lines.value)")
    }
}
