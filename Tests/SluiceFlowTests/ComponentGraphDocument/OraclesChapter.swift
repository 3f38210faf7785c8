import EthereumConnector
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceStore
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Oracles: what they are made of, how they run, and what belongs to them.
    @Suite("Oracles") struct Oracles {
        private static let doubled = numbers("doubled", 201, of: "rows") { $0 * 2 }

        private func hub(_ oracle: any Oracle) throws -> Hub {
            let registry = try Registry([rowsRegister, Self.doubled])
            return Hub(
                Hub.Surroundings(registry: registry, journal: FakeJournal(), time: .live, log: .disabled, edgeCapacity: 4096) { _, _ in
                    oracle
                })
        }

        @Test(
            "an oracle reads what somebody else serves: nodes of a layer 1 and of a layer 2",
            arguments: [(NetworkKind.layer1, 1), (.layer2, 10)] as [(NetworkKind, UInt64)])
        func source(kind: NetworkKind, chainID: UInt64) async throws {
            try await DocumentNode.run(chainID: chainID) { node in
                let sink = TableSink()
                let manager = EtlManager(
                    EtlManager.Surroundings(
                        registry: try Registry(DocumentNode.registers),
                        networks: ["net": EtlManager.Network(kind: kind, chainID: chainID, hub: try node.hub())], sinks: ["store": sink],
                        shelf: MemoryShelf(), log: .disabled), random: SeededRandom(seed: 1))
                let head = node.simulator.head
                try await working(manager) {
                    let id = try await manager.create(
                        PipelineRequest(name: "p", network: "net", registers: ["geth_block"], start: head - 4, sinks: ["store"]))
                    #expect(id.network == kind)
                    try await eventually("five blocks") { sink.blocks.count == 5 }
                }
                #expect(try sink.blocks == (head - 4...head).map { try #require(try node.simulator.canonical($0)).ref })
                #expect(Set(sink.values("blocks", "chain_id")) == [Int64(chainID)])
            }
        }

        // MARK: - The interface

        /// Whatever an author may think of: a clock that strikes, each stroke a block.
        private struct Clock: Oracle {
            func head() async throws -> ChainHead { ChainHead(latest: 11, finalized: 11) }
            func settle(_ position: Position, finalized: UInt64?) async throws -> Position { position }

            func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
                for hour in range { try await strike(hour, egress) }
            }

            func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
                for hour in (position.map { $0.number + 1 } ?? start ?? 0)...11 { try await strike(hour, egress) }
                while true { try await Task.sleep(for: .seconds(60)) }
            }

            private func strike(_ hour: UInt64, _ egress: any Egress) async throws {
                let parent = hour == 0 ? Hash32.zero : FakeBlock(number: hour - 1, branch: 0).hash
                try await egress.send(.batch(batch([FakeBlock(number: hour, branch: 0)], parent: parent)))
            }
        }

        @Test("whoever keeps to one small interface can write an oracle of any kind; the runtime does the rest")
        func anyLogic() async throws {
            let sink = TableSink()
            let asked = branch("p", [Self.doubled], into: [sink])
            try await following(try hub(Clock()), [asked]) { try await eventually("twelve hours") { sink.blocks.count == 12 } }
            #expect(sink.values("doubled") == (0..<12).map { $0 * 2 })
        }

        @Test("its live routine reads what is new, at the moment in which it is there")
        func liveRoutine() async throws {
            let (oracle, sink) = (FakeOracle(head: 20, finalized: 10), TableSink())
            try await following(try hub(oracle), [branch("p", [rowsRegister], into: [sink], start: nil)]) {
                for head in 20...26 as ClosedRange<UInt64> {
                    try await eventually("block \(head)") { sink.blocks.last?.number == head }
                    oracle.grow(1)
                }
            }
            #expect(oracle.calls.contains { $0.hasPrefix("live") } && !oracle.calls.contains { $0.hasPrefix("backfill") })
            #expect(Array(sink.blocks.prefix(7)) == oracle.canonical[20...26].map(\.ref))
        }

        @Test("its routine for history reads from one height to another, one block after the other, and ends there")
        func backtestRoutine() async throws {
            try await DocumentNode.run(history: 60) { node in
                let first = node.simulator.head - 50
                let batches = try await node.read(first...first + 40)
                #expect(batches.flatMap { Array($0.span.first...$0.span.last.number) } == Array(first...first + 40))
                for (batch, next) in zip(batches, batches.dropFirst()) { #expect(next.span.parentHash == batch.span.last.hash) }
            }
        }

        // MARK: - Two routines

        /// An oracle, and what becomes of its live routine.
        private final class Watched: Oracle {
            let base: FakeOracle
            let running = Mutex(0)
            let cancelled = Mutex(0)

            init(_ base: FakeOracle) { self.base = base }

            func head() async throws -> ChainHead { try await base.head() }
            func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
                try await base.settle(position, finalized: finalized)
            }
            func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
                try await base.backfill(range, after: position, into: egress)
            }
            func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
                running.withLock { $0 += 1 }
                defer { running.withLock { $0 -= 1 } }
                do { try await base.live(from: position, start: start, until: until, into: egress) } catch is CancellationError {
                    cancelled.withLock { $0 += 1 }
                    throw CancellationError()
                }
            }
        }

        @Test("reading is a task of its own: a bounded channel joins it to the loop that loads, and it waits while that is full")
        func channel() async throws {
            let (oracle, sink) = (FakeOracle(head: 3000, finalized: 2990), TableSink(isHeld: true))
            let asked = branch("p", [rowsRegister], into: [sink], until: 3000)
            try await following(try hub(oracle), [asked]) {
                try await eventually("reading has begun") { asked.progress.snapshot.emitted != nil }
                try await Task.sleep(for: .milliseconds(100))
                // What the edge takes, and one batch on either side of it; not three thousand blocks.
                let emitted = try #require(asked.progress.snapshot.emitted)
                #expect(emitted.number < 40 && sink.blocks.isEmpty)
                sink.hold(false)
                _ = await asked.ended()
            }
            #expect(sink.blocks == oracle.canonical.map(\.ref))
        }

        @Test("reading ends with the context that it was begun in: when nobody follows any more, and when all ends")
        func context() async throws {
            let (oracle, sink) = (Watched(FakeOracle(head: 20, finalized: 10)), TableSink())
            let shared = try hub(oracle)
            let asked = branch("p", [rowsRegister], into: [sink])
            try await following(shared, [asked]) {
                try await eventually("it reads") { oracle.running.withLock { $0 } == 1 && sink.blocks.count == 21 }
                asked.leave()
                _ = await asked.ended()
                try await eventually("it has ended") { oracle.running.withLock { $0 } == 0 }
            }
            let again = try hub(oracle)
            let run = Task { await again.run() }
            again.join([branch("q", [rowsRegister], into: [TableSink()])])
            try await eventually("another one reads") { oracle.running.withLock { $0 } == 1 }
            run.cancel()
            await run.value
            #expect(oracle.running.withLock { $0 } == 0 && oracle.cancelled.withLock { $0 } >= 1)
        }

        // MARK: - Attributes

        @Test(
            "the manager hears of an oracle: where its network stands, and that it failed, which puts the pipeline in error with its reason"
        )
        func manager() async throws {
            let chain = ManagedChain()
            let manager = try chain.manager()
            chain.oracle.fail(at: 40, .retry)
            chain.oracle.fail(at: 60, .config)
            try await working(manager) {
                let id = try await manager.create(chain.request("p"))
                try await eventually("it failed") { await manager.state(of: id) == .error }
                // What may pass was tried again; what nobody but an operator mends was not.
                #expect(await manager.pipeline(id)?.failure?.message == "fake failure at 60")
                #expect(await manager.pipeline(id)?.progress.head == ChainHead(latest: 100, finalized: 90))
                try await manager.resume(id)
                try await eventually("it is complete") { chain.sinks["a"]?.rows == chain.oracle.rows(0...100) }
            }
        }

        @Test("at the head it asks again and again whether there is something new, and reads it when there is")
        func polling() async throws {
            try await DocumentNode.run { node in
                let sink = TableSink()
                try await following(try node.hub(), [branch("p", [try DocumentNode.register("blocks")], into: [sink], start: nil)]) {
                    try await eventually("it has begun") { sink.blocks.count == 1 }
                    let before = node.calls("eth_getBlockByNumber")
                    try await eventually("it asks") { node.calls("eth_getBlockByNumber") > before + 6 }
                    #expect(sink.blocks.count == 1)
                    try node.simulator.advance(3)
                    try await eventually("it reads") { sink.blocks.count == 4 }
                }
                #expect(try sink.blocks.last == node.simulator.canonical(node.simulator.head)?.ref)
            }
        }

        @Test("what an oracle reads goes into components and into sinks at once, out of one reading")
        func egress() async throws {
            let (oracle, sinks) = (FakeOracle(head: 100, finalized: 90), (TableSink(), TableSink()))
            let asked = [
                branch("p", [rowsRegister], into: [sinks.0], until: 100), branch("q", [Self.doubled], into: [sinks.1], until: 100),
            ]
            try await following(try hub(oracle), asked) { for branch in asked { _ = await branch.ended() } }
            #expect(sinks.0.values("rows", "block_number") == Array(0...100) && sinks.1.values("doubled") == (0...100).map { $0 * 2 })
            #expect(oracle.calls.filter { $0.hasPrefix("backfill") } == ["backfill 0-100 after -"])
        }

        @Test("an oracle's register says beforehand which tables come out of it, with their columns")
        func outputType() async throws {
            let register = try DocumentNode.register("geth_block")
            #expect(register.kind == .oracle && register.schemas.map(\.name) == ["blocks", "transactions", "logs", "withdrawals"])
            try await DocumentNode.run { node in
                let block = try #require(try await node.read(node.simulator.head...node.simulator.head).first)
                #expect(block.tables.map(\.schema) == register.schemas)
            }
        }

        @Test("what an oracle has read may be kept in a store that outlives it: the next one knows the blocks before")
        func persistence() async throws {
            let folder = TemporaryFolder()
            try await DocumentNode.run { node in
                let id = StreamID(pipeline: "network one", chainID: 1)
                let (head, needs) = (node.simulator.head, [Need("blocks")])
                var store = try await StateStore.open(folder.path + "/state")
                let egress = BatchCollector()
                try await node.makeOracle(recent: StoredRecentBlocks(store: store, stream: id))(needs, { _ in })
                    .live(from: nil, start: head - 9, until: head, into: egress)
                let last = try #require(egress.batches.last?.span.last)
                await store.close()
                store = try await StateStore.open(folder.path + "/state")
                let recent = StoredRecentBlocks(store: store, stream: id)
                let known = try await recent.ancestors(of: last)
                #expect(try known.suffix(10) == (head - 9...head).map { try #require(try node.simulator.canonical($0)).ref }[...])
                // By them it finds back to the chain when the last blocks were orphaned meanwhile.
                try node.simulator.reorganise(depth: 4, length: 6)
                let settled = try await node.makeOracle(recent: recent)(needs, { _ in }).settle(last, finalized: nil)
                #expect(try settled == node.simulator.canonical(head - 4)?.ref)
                await store.close()
            }
        }

        @Test("an oracle can be put to a backtest between two heights")
        func backtest() async throws {
            try await DocumentNode.run(history: 60) { node in
                let first = node.simulator.head - 40
                let backtest = Backtest(
                    PipelineDefinition(name: "p", chainID: 1, registers: [try DocumentNode.register("geth_block")], start: first),
                    range: first...first + 29, registry: try Registry(DocumentNode.registers), time: .live, log: .disabled,
                    makeOracle: node.makeOracle())
                let outcome = await backtest.run(until: StopSignal())
                #expect(outcome.end.isCompleted && outcome.blocks == 30 && outcome.tables["blocks"]?.rows == 30)
            }
        }

        /// Counts how often all of a key is read.
        private struct Counting: SharedState {
            let base = MemoryState()
            let reads = Box(0)

            func snapshot(of key: StateKey) async throws -> StateSnapshot {
                reads.change { $0 += 1 }
                return try await base.snapshot(of: key)
            }
            func version(of key: StateKey) async throws -> UInt64 { try await base.version(of: key) }
            func keys(of pipeline: String) async throws -> [StateKey] { try await base.keys(of: pipeline) }
            func apply(_ change: StateChange) async throws { try await base.apply(change) }
        }

        @Test("a cache of the shared state says what is to be asked for: it is read again when it has changed, and not before")
        func stateCache() async throws {
            let state = Counting()
            let view = StateView(state, key: StateKey(pipeline: "p", prefix: "account_balance", id: "address"))
            #expect(view.snapshot.members == [])
            try await view.refresh()
            try await state.insert(["0xb", "0xa"], into: view.key)
            #expect(view.snapshot.members == [], "it is a cache")
            #expect(try await view.refresh() && view.snapshot.members == ["0xa", "0xb"])
            let reads = state.reads.value
            for _ in 0..<100 { #expect(try await !view.refresh()) }
            #expect(state.reads.value == reads)
            try await state.remove(["0xa"], from: view.key)
            #expect(try await view.refresh() && view.snapshot.members == ["0xb"])
        }

        // MARK: - Examples

        @Test("the blocks of a layer 2 are polled and read as they come, and what was orphaned is undone")
        func layer2() async throws {
            try await DocumentNode.run(chainID: 10, blockSeconds: 2) { node in
                let sink = TableSink()
                let first = node.simulator.head
                try await following(try node.hub(), [branch("p", [try DocumentNode.register("blocks")], into: [sink], start: nil)]) {
                    for _ in 0..<5 {
                        let head = try #require(try node.simulator.canonical(node.simulator.head)).ref
                        try await eventually("block \(head.number)") { sink.blocks.last == head }
                        try node.simulator.advance(2)
                        if node.simulator.head.isMultiple(of: 3) { try node.simulator.reorganise(depth: 1, length: 2) }
                    }
                    let head = try #require(try node.simulator.canonical(node.simulator.head)).ref
                    try await eventually("the head") { sink.blocks.last == head }
                }
                #expect(try sink.blocks == (first...node.simulator.head).map { try #require(try node.simulator.canonical($0)).ref })
                let times = sink.values("blocks", "timestamp")
                #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 2_000_000 })
            }
        }

        @Test("the balances of accounts that a user named are asked for at an interval: with every poll, and every so many blocks")
        func balances() async throws {
            try await DocumentNode.run { node in
                let (sink, state) = (TableSink(), MemoryState())
                let accounts = try node.accounts(4)
                try await state.insert(accounts.map(\.description), into: AccountBalanceRegister.stateKey.key(of: "p"))
                let asked = branch("p", [DocumentNode.balances(every: 10)], into: [sink], start: nil, state: state)
                var sampled: [UInt64] = []
                try await following(try node.hub(), [asked]) {
                    // A poll each few milliseconds: each of these blocks is the newest of one, then 25 come at once.
                    for count in [0, 1, 1, 1, 25] {
                        let before = node.simulator.head
                        try node.simulator.advance(count)
                        let head = node.simulator.head
                        sampled += (before..<head).dropFirst().filter { ($0 + 1).isMultiple(of: 10) } + [head]
                        try await eventually("block \(head)") { sink.blocks.last?.number == head }
                    }
                }
                #expect(sampled.count == 4 + 1 + 2)
                #expect(try await sink.balances == node.balances(of: accounts, at: sampled))
            }
        }
    }
}
