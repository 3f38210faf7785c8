import EthereumConnector
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Pipelines and their types.
    @Suite("Pipelines and their types") struct Pipelines {
        @Test("a pipeline is the whole way through the graph, from the oracle to what is asked for")
        func path() throws {
            let registry = try Registry(DocumentNode.registers)
            #expect(try registry.path(of: "event_log").map(\.name) == ["event_log", "geth_block"])
            #expect(try registry.path(of: "geth_block").map(\.name) == ["geth_block"])
            #expect(try registry.path(of: "block_bundles").map(\.name) == ["block_bundles", "blocks", "geth_block"])
            for register in registry.registers {
                let path = try registry.path(of: register.name)
                let pid = try registry.pipelinePID(of: register.name, network: .layer1, type: .live)
                #expect(pid.first.register == register.number && pid.last.register == path.last?.number && pid.last.kind == .oracle)
            }
        }

        @Test("along a pipeline each component works on what the one before it made, and the end of it goes to whoever asked")
        func sequence() async throws {
            let steps: [(String, @Sendable (Int64) -> Int64?)] = [
                ("more", { $0 + 1 }), ("double", { $0 * 2 }), ("square", { $0 * $0 }), ("less", { $0 - 3 }),
            ]
            var registers = [rowsRegister]
            for (index, step) in steps.enumerated() {
                registers.append(
                    numbers(step.0, UInt8(201 + index), of: index == 0 ? "rows" : steps[index - 1].0, by: step.1))
            }
            let (oracle, sink) = (FakeOracle(head: 30, finalized: 20), TableSink())
            let asked = branch("p", [registers[4]], into: [sink], until: 30)
            try await following(hub(oracle, registers: registers), [asked]) { _ = await asked.ended() }
            #expect(sink.values("less") == (0...30).map { (number: Int64) -> Int64 in (number + 1) * 2 * ((number + 1) * 2) - 3 })
        }

        // MARK: - Types

        @Test("a pipeline is live or a backtest; its identity says which, and so do those of its components")
        func types() throws {
            let registry = try Registry(DocumentNode.registers)
            let live = try registry.pipelinePID(of: "event_log", network: .layer1, type: .live)
            let backtest = try registry.pipelinePID(of: "event_log", network: .layer1, type: .backtest)
            #expect(live.bytes == [2, 1, 2, 2, 3, 1, 2, 1, 2] && backtest.bytes == [1, 1, 1, 2, 3, 1, 1, 1, 2])
            #expect(PipelineType.backtest.rawValue == 1 && PipelineType.live.rawValue == 2)
        }

        @Test("a live pipeline works on what its node has just made")
        func live() async throws {
            try await DocumentNode.run { node in
                let sink = TableSink()
                let manager = EtlManager(
                    EtlManager.Surroundings(
                        registry: try Registry(DocumentNode.registers),
                        networks: ["net": EtlManager.Network(kind: .layer1, chainID: 1, hub: try node.hub())], sinks: ["store": sink],
                        shelf: MemoryShelf(), log: .disabled), random: SeededRandom(seed: 1))
                let first = node.simulator.head
                try await working(manager) {
                    let id = try await manager.create(
                        PipelineRequest(name: "p", network: "net", registers: ["geth_block"], sinks: ["store"]))
                    for count in 1...4 {
                        try await eventually("block \(count)") { sink.blocks.count == count }
                        #expect(await manager.state(of: id) == .live)
                        try node.simulator.advance(1)
                    }
                }
                let transactions = try (first..<first + 4).map {
                    (try node.block($0)["transactions"] as? [DocumentNode.Object])?.count ?? 0
                }
                #expect(sink.tables("transactions").prefix(4).map(\.rowCount) == transactions)
            }
        }

        @Test("a backtest goes through the components in order from one height to another, and ends; the live pipeline does not notice")
        func backtest() async throws {
            let (oracle, sinks) = (FakeOracle(head: 200, finalized: 190), (TableSink(), TableSink()))
            let doubled = numbers("doubled", 201, of: "rows") { $0 * 2 }
            let registry = try Registry([rowsRegister, doubled])
            let asked = branch("live", [doubled], into: [sinks.0], start: 150)
            try await following(hub(oracle, registers: [rowsRegister, doubled]), [asked]) {
                try await eventually("the live one follows") { sinks.0.blocks.count == 51 }
                let backtest = Backtest(
                    PipelineDefinition(name: "p", chainID: 1, registers: [doubled], start: 20), range: 20...120, into: sinks.1,
                    registry: registry, time: .live, log: .disabled
                ) { _, _ in oracle }
                let outcome = await backtest.run(until: StopSignal())
                #expect(outcome.end.isCompleted && outcome.blocks == 101)
            }
            #expect(
                sinks.1.blocks == Array(oracle.canonical[20...120]).map(\.ref) && sinks.1.values("doubled") == (20...120).map { $0 * 2 })
            #expect(sinks.0.blocks == Array(oracle.canonical[150...200]).map(\.ref))
        }

        /// Lets those balances through that are not within bounds.
        private struct Enforcement: SluiceCore.Pipe {
            static let key = StateKeyShape(prefix: "balance_enforcement", id: "address")
            let lower: UInt256
            let upper: UInt256
            let schemas = [Schema(name: "breaches", key: BalanceTables.balances.key, doc: "", fields: BalanceTables.balances.fields)]

            func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                guard let table = batch.table(BalanceTables.balances.name), let balances = table.column("balance") else {
                    throw SluiceError(.init("no_table"), .fatal, "no balances")
                }
                // What the register says that comes, comes: not what its oracle read.
                #expect(table.schema == BalanceTables.balances)
                let out = (0..<table.rowCount).filter { row in
                    let balance = balances.load(row, as: UInt256.self)
                    return balance < lower || upper < balance
                }
                report.filter("within bounds", rows: table.rowCount - out.count)
                return [Table(schema: schemas[0], columns: table.columns.map { $0.rows(out) }, rowCount: out.count)]
            }
        }

        @Test("balances can be held against bounds in a backtest between the layer 1 heights 0 and 1000")
        func balanceEnforcement() async throws {
            try await DocumentNode.run(first: 0, history: 1016, transactions: 0...1) { node in
                let (state, accounts, sink) = (MemoryState(), try node.accounts(3), TableSink())
                for shape in [AccountBalanceRegister.stateKey, Enforcement.key] {
                    try await state.insert(accounts.map(\.description), into: shape.key(of: "p"))
                }
                let sampled = (0...1000).filter { ($0 + 1).isMultiple(of: 100) || $0 == 1000 } as [UInt64]
                let expected = try await node.balances(of: accounts, at: sampled)
                let sorted = expected.map(\.balance).sorted()
                let (lower, upper) = (sorted[sorted.count / 3], sorted[sorted.count * 2 / 3])
                let enforcement = Register(
                    name: "balance_enforcement", number: RegisterType(rawValue: 201), doc: "",
                    schemas: Enforcement(lower: lower, upper: upper).schemas, dependencies: ["account_balance"],
                    needs: [Need(BalanceTables.balances.name)], isAddressed: true, stateKey: Enforcement.key,
                    maker: .pipe { _ in Enforcement(lower: lower, upper: upper) })
                func backtest(_ registers: [Register]) async throws -> Backtest.Outcome {
                    await Backtest(
                        PipelineDefinition(name: "p", chainID: 1, registers: registers, start: 0, state: state), range: 0...1000,
                        into: sink,
                        registry: try Registry(DocumentNode.registers + [enforcement]), time: .live, log: .disabled,
                        makeOracle: node.makeOracle()
                    ).run(until: StopSignal())
                }
                let outcome = try await backtest([DocumentNode.balances(every: 100), enforcement])
                #expect(outcome.end.isCompleted && outcome.blocks == 1001 && sampled.count == 11)
                #expect(sink.balances == expected)
                let breaches = expected.filter { $0.balance < lower || upper < $0.balance }
                #expect(!breaches.isEmpty && breaches.count < expected.count)
                #expect(sink.values("breaches", "block_number") == breaches.map { Int64($0.block) })
                let last = try #require(outcome.components.first { $0.register == "balance_enforcement" })
                #expect(last.rows.in == 33 && last.rows.out == breaches.count)
                #expect(last.rows.filtered == ["within bounds": 33 - breaches.count])
                // Nobody would tell the balances whose they are to be.
                guard case .failed(let error as SluiceError) = try await backtest([enforcement]).end else {
                    Issue.record("it was not refused")
                    return
                }
                #expect(error.code == .registerNotAsked && error.mend == "ask for account_balance as well")
            }
        }
    }
}
