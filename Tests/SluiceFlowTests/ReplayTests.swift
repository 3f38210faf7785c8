import SluiceCore
import SluiceStore
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

/// Replays through the runtime: what is stored, held back or on its way when they come.
@Suite(.timeLimit(.minutes(1))) struct ReplayTests {
    /// Rows (block and place) that cannot be processed for the time being.
    private typealias Failing = Box<Set<[Int64]>>

    /// Passes the simulated table on, but for some rows.
    private struct Fails: Pipe {
        let schemas = [simulatedSchema]
        let failing: Failing

        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            guard let table = batch.table("values") else { return [] }
            let rows = failing.value
            func isBad(_ row: Int) -> Bool { rows.contains([table.columns[0].load(row), table.columns[2].load(row)]) }
            for row in 0..<table.rowCount where isBad(row) {
                report.deadLetters.append(
                    DeadLetter(
                        register: "values", row: "log \(table.columns[2].load(row, as: Int64.self))",
                        block: BlockRef(number: table.columns[0].load(row), hash: table.columns[1].load(row)), reason: "bad", message: "m",
                        payload: "{}"))
            }
            let kept = (0..<table.rowCount).filter { !isBad($0) }
            return [Table(schema: simulatedSchema, columns: table.columns.map { $0.rows(kept) }, rowCount: kept.count)]
        }
    }

    /// A chain, what its rows become, and where they go.
    private struct World {
        let chain = SimulatedChain(head: 60, finality: 10)
        let memory = SimulatedMemory()
        let journal = SimulatedJournal(isTraced: false)
        let failing = Failing([])
        let trouble = SimulatedTrouble(seed: 1, share: 0)
        let stream = StreamID(pipeline: "p", chainID: 1)
        let stores = [SimulatedStore(), SimulatedStore()]
        // Nothing here waits for anything real.
        let time = TimeSource(
            now: { MonotonicTime(sinceStart: ContinuousClock.now - start) }, sleep: { _ in try await Task.sleep(for: .milliseconds(1)) })
        private static let start = ContinuousClock.now

        func hub() throws -> Hub {
            let (chain, memory, trouble, time, failing) = (chain, memory, trouble, time, failing)
            let register = Register(
                name: "values", number: RegisterType(rawValue: 200), doc: "", schemas: [simulatedSchema], needs: [Need("values")],
                maker: .oracle { Fails(failing: failing) })
            return Hub(
                Hub.Surroundings(
                    registry: try Registry([register]), journal: journal, recent: memory, time: time, log: .disabled, edgeCapacity: 4096
                ) { _, observe in
                    SimulatedOracle(chain: chain, memory: memory, trouble: trouble, time: time, observe: observe, calls: Box(0))
                })
        }

        /// The pipeline over both stores, of which the second one takes only what is final.
        func branch(_ goal: Branch.Goal = .follow(until: nil), start: UInt64 = 1) -> Branch {
            let failing = failing
            let register = Register(
                name: "values", number: RegisterType(rawValue: 200), doc: "", schemas: [simulatedSchema], needs: [Need("values")],
                maker: .oracle { Fails(failing: failing) })
            let sinks = stores.enumerated().map { index, store in
                SinkAttachment(
                    "s\(index)",
                    SimulatedSink(store, trouble: trouble, time: time, perTransaction: 1, holdsBack: index == 1, isTraced: false))
            }
            return Branch(
                PipelineDefinition(name: "p", chainID: 1, registers: [register], start: start), goal: goal, sinks: sinks,
                progress: PipelineProgress())
        }

        /// Lets a branch work while `body` looks at it.
        func running(_ branch: Branch, _ body: () async throws -> Void) async throws {
            let hub = try hub()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await hub.run() }
                hub.join([branch])
                try await body()
                branch.leave()
                _ = await branch.ended()
                hub.end()
                try await group.waitForAll()
            }
        }

        func eventually(_ probe: () throws -> Bool) async throws {
            while try !probe() { try await Task.sleep(for: .milliseconds(1)) }
        }

        func last(_ store: Int) -> UInt64? { stores[store].segments(stream).last?.last.number }

        /// Blocks and places that a store holds.
        func rows(_ store: Int) -> [[Int64]] {
            (stores[store].rows(stream)["values"] ?? [:]).flatMap { row, count in Array(repeating: [row.number, row.index], count: count) }
                .sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }
        }

        /// What it should.
        func wanted(through last: UInt64) -> [[Int64]] {
            chain.canonical.filter { (1...last).contains($0.ref.number) }.flatMap { block in
                (0..<Int64(block.value % 3)).map { [Int64(block.ref.number), $0] }
            }
        }

        /// Rows of which the first comes early, one is not final yet, and one is in the last block that has any.
        func chosen() -> Set<[Int64]> {
            let all = wanted(through: 60)
            return Set([all[3], all.first { $0[0] > 52 } ?? [], all[all.count - 1]])
        }
    }

    @Test("beside a run, rows come into what is stored and into what is held back")
    func running() async throws {
        let world = World()
        let chosen = world.chosen()
        world.failing.change { $0 = chosen }
        try await world.running(world.branch()) {
            try await world.eventually { world.last(0) == 60 && world.last(1) ?? 0 >= 44 && world.journal.openBlocks.count == 3 }
            #expect(world.rows(0) == world.wanted(through: 60).filter { !chosen.contains($0) })
            // Nobody asked yet.
            world.failing.change { $0 = [] }
            try await Task.sleep(for: .milliseconds(20))
            #expect(world.journal.openBlocks.count == 3)
            world.journal.wantAll()
            try await world.eventually { world.journal.openBlocks.isEmpty }
            #expect(world.rows(0) == world.wanted(through: 60))
            #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
            // What was held back has the rows by now that were missing in it.
            world.chain.extend(by: 20)
            try await world.eventually { world.last(1) ?? 0 >= 62 }
            #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
        }
        #expect(world.journal.counts.kept == 3)
    }

    @Test("when nobody runs it, rows come into what its stores hold, and no position moves")
    func stopped() async throws {
        let world = World()
        let chosen = world.chosen()
        world.failing.change { $0 = chosen }
        try await world.running(world.branch()) { try await world.eventually { world.last(0) == 60 && world.last(1) ?? 0 >= 44 } }
        world.journal.wantAll()
        let letters = try await world.journal.wantedReplays(of: world.stream)
        #expect(letters.count == 3)
        let before = world.stores.map { $0.segments(world.stream) }
        let (hub, branch) = (try world.hub(), world.branch())
        // As bad as ever: that is noted, and nothing changes.
        let failed = try await hub.replay(letters, of: branch)
        #expect(failed.values.allSatisfy { $0 == .failed(reason: "bad", message: "m") } && failed.count == 3)
        #expect(world.rows(0) == world.wanted(through: 60).filter { !chosen.contains($0) })
        world.failing.change { $0 = [] }
        world.journal.wantAll()
        let again = try await world.journal.wantedReplays(of: world.stream)
        #expect(again.map(\.tries) == [2, 2, 2])
        let loaded = try await hub.replay(again, of: branch)
        #expect(loaded.values.allSatisfy { $0 == .loaded(rows: 1) } && loaded.count == 3)
        #expect(world.rows(0) == world.wanted(through: 60))
        #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
        #expect(world.stores.map { $0.segments(world.stream) } == before)
    }

    @Test("a block that no store holds is awaited, and one that is not on the chain any more is orphaned")
    func elsewhere() async throws {
        let world = World()
        let chosen = world.chosen()
        world.failing.change { $0 = chosen }
        try await world.running(world.branch()) { try await world.eventually { world.last(0) == 60 } }
        world.failing.change { $0 = [] }
        world.journal.wantAll()
        let letters = try await world.journal.wantedReplays(of: world.stream)
        world.chain.reorganise(depth: 8, by: 9)
        let elsewhere = World()
        let branch = Branch(
            world.branch().definition, goal: .follow(until: nil), sinks: elsewhere.branch().sinks, progress: PipelineProgress())
        let outcomes = try await world.hub().replay(letters, of: branch)
        let words = letters.map { outcomes[$0.id]?.name }
        #expect(words == ["awaited", "orphaned", "orphaned"])
        #expect(elsewhere.rows(0).isEmpty && elsewhere.last(0) == nil)
    }

    @Test("a hub tells what the sinks of its branches hold, when they open, while they work, and in the end")
    func told() async throws {
        let world = World()
        try await world.running(world.branch(.range(10...20))) {
            try await world.eventually { ["s0", "s1"].allSatisfy { world.journal.told("p", $0)?.last?.last.number == 20 } }
        }
        try await world.running(world.branch(start: 30)) {
            try await world.eventually {
                world.journal.told("p", "s0")?.map(\.first) == [10, 30] && world.journal.told("p", "s0")?.last?.last.number == 60
            }
            world.chain.reorganise(depth: 3, by: 4)
            try await world.eventually { world.journal.told("p", "s0")?.last?.last == world.chain.head }
        }
        for (index, store) in world.stores.enumerated() {
            #expect(world.journal.told("p", "s\(index)") == store.segments(world.stream))
        }
    }

    // MARK: - Rows that a sink refuses

    @Test("rows that one sink refuses are its dead letters; they are missing there alone, and come there when it takes them")
    func refused() async throws {
        let world = World()
        let chosen = world.chosen()
        world.stores[0].refused.withLock { $0 = chosen }
        try await world.running(world.branch()) {
            try await world.eventually { world.last(0) == 60 && world.last(1) ?? 0 >= 44 && world.journal.open.count == 3 }
            #expect(world.rows(0) == world.wanted(through: 60).filter { !chosen.contains($0) })
            #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
            let names = Set(world.journal.open.map { "\($0.block.number) \($0.row)" })
            #expect(names == Set(chosen.map { "\($0[0]) log \($0[1]) of values in s0" }))
            #expect(world.journal.open.allSatisfy { $0.register == "values" && $0.reason == "simulated_refusal" })
            // As bad as ever.
            world.journal.wantAll()
            try await world.eventually { world.journal.tries == [2, 2, 2] }
            #expect(world.rows(0).count == world.wanted(through: 60).count - 3)
            world.stores[0].refused.withLock { $0 = [] }
            world.journal.wantAll()
            try await world.eventually { world.journal.open.isEmpty }
            #expect(world.rows(0) == world.wanted(through: 60))
            #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
        }
    }

    @Test("a row that can be processed by now, and is refused by a sink, is a letter of that sink")
    func refusedInReplay() async throws {
        let world = World()
        let chosen = world.chosen()
        world.failing.change { $0 = chosen }
        try await world.running(world.branch()) {
            try await world.eventually { world.last(0) == 60 && world.last(1) ?? 0 >= 44 && world.journal.open.count == 3 }
            world.failing.change { $0 = [] }
            world.stores[0].refused.withLock { $0 = chosen }
            world.journal.wantAll()
            try await world.eventually {
                world.journal.open.count == 3 && world.journal.open.allSatisfy { $0.row.hasSuffix(" of values in s0") }
            }
            #expect(world.rows(0) == world.wanted(through: 60).filter { !chosen.contains($0) })
            #expect(world.rows(1) == world.wanted(through: try #require(world.last(1))))
        }
    }

    @Test("when a refused row cannot be kept, nothing behind it is stored, and it all comes again when it can")
    func refusedAndFull() async throws {
        let world = World()
        let first = try #require(world.wanted(through: 60).first)
        world.stores[0].refused.withLock { $0 = [first] }
        world.journal.isFull = true
        let branch = world.branch()
        try await world.running(branch) { _ = await branch.ended() }
        #expect(world.last(0).map { $0 < UInt64(first[0]) } ?? true)
        #expect(world.journal.open.isEmpty)
        world.journal.isFull = false
        try await world.running(world.branch()) { try await world.eventually { world.last(0) == 60 } }
        #expect(world.rows(0) == world.wanted(through: 60).filter { $0 != first })
        #expect(world.journal.open.map(\.row) == ["log \(first[1]) of values in s0"])
    }

    @Test("the letters of refused rows that a reorganisation takes away go with it")
    func refusedAndOrphaned() async throws {
        let world = World()
        let late = try #require(world.wanted(through: 60).last)
        world.stores[0].refused.withLock { $0 = [late] }
        try await world.running(world.branch()) {
            try await world.eventually { world.last(0) == 60 && world.journal.open.count == 1 }
            world.stores[0].refused.withLock { $0 = [] }
            world.chain.reorganise(depth: 8, by: 9)
            try await world.eventually { world.stores[0].segments(world.stream).last?.last == world.chain.head }
            #expect(world.journal.open.isEmpty)
            #expect(world.rows(0) == world.wanted(through: world.chain.head.number))
        }
    }

    @Test("blocks that lie near each other are read together")
    func ranges() {
        #expect(BranchReplay.ranges([]) == [])
        #expect(BranchReplay.ranges([7]) == [7...7])
        #expect(BranchReplay.ranges([20, 5, 6, 10, 15, 21, 30]) == [5...10, 15...15, 20...21, 30...30])
        #expect(BranchReplay.ranges([.max, 0]) == [0...0, .max ... .max])
    }
}
