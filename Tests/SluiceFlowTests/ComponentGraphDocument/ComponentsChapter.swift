import EthereumConnector
import Foundation
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceStore
import SluiceTelemetry
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// What components are, and how they hang together.
    @Suite("Components and connectivity") struct Components {
        private static let doubled = numbers("doubled", 201, of: "rows") { $0 * 2 }
        private static let fourfold = numbers("fourfold", 202, of: "doubled") { $0 * 2 }
        private static let twelvefold = numbers("twelvefold", 203, of: "fourfold") { $0 * 3 }
        private static let twentyfold = numbers("twentyfold", 204, of: "fourfold") { $0 * 5 }
        private static let registers = [rowsRegister, doubled, fourfold, twelvefold, twentyfold]

        private let oracle = FakeOracle(head: 20, finalized: 10)
        private var shared: Hub { hub(oracle, registers: Self.registers) }

        // MARK: - The graph

        @Test("components hang together as a graph that turns a chain, for as long as it grows, into rows for whoever asked")
        func graph() async throws {
            let sink = TableSink()
            try await following(shared, [branch("p", [Self.twelvefold], into: [sink])]) {
                for count in [21, 26, 31, 36] {
                    try await eventually("\(count) blocks") { sink.values("twelvefold").count == count }
                    oracle.grow(5)
                }
            }
            #expect(Array(sink.values("twelvefold").prefix(36)) == (0..<36).map { $0 * 12 })
        }

        @Test("a component that a second pipeline needs as well is used again")
        func reuse() async throws {
            let sinks = (TableSink(), TableSink())
            let (first, second) = (branch("p", [Self.twelvefold], into: [sinks.0]), branch("q", [Self.twentyfold], into: [sinks.1]))
            let shared = shared
            try await following(shared, [first, second]) {
                try await eventually("both follow") {
                    sinks.0.values("twelvefold").count == 21 && sinks.1.values("twentyfold").count == 21
                }
                let users = Dictionary(uniqueKeysWithValues: shared.components.map { ($0.register, $0.users) })
                #expect(users == ["doubled": 2, "fourfold": 2, "twelvefold": 1, "twentyfold": 1])
            }
            #expect(sinks.0.values("twelvefold") == (0..<21).map { $0 * 12 } && sinks.1.values("twentyfold") == (0..<21).map { $0 * 20 })
        }

        // MARK: - Components

        @Test("a node of the graph does one piece of work: of the tables that its register needs it makes those that its register names")
        func node() async throws {
            try await DocumentNode.run { node in
                let block = try #require(try await node.read(node.simulator.head...node.simulator.head).first)
                var made: Set<String> = []
                for register in DocumentNode.registers where register.kind != .aggregator {
                    let needed = Set(register.needs.map(\.table))
                    let input = block.tables.filter { needed.contains($0.schema.name) }
                    // Balances are not part of blocks: they have tests of their own.
                    guard input.count == needed.count else { continue }
                    var pipe = try register.makePipe(ComponentContext(pipeline: "p"))
                    var report = PipeReport()
                    let output = try pipe.transform(Batch(chainID: 1, span: block.span, tables: input), report: &report)
                    #expect(output.map(\.schema) == register.schemas, "\(register.name)")
                    made.insert(register.name)
                }
                #expect(
                    made.isSuperset(of: [
                        "geth_block", "blocks", "transactions", "logs", "withdrawals", "erc20_transfers", "erc721_transfers",
                        "erc1155_transfers", "event_log",
                    ]))
            }
        }

        @Test("there are oracles, pipes and aggregators, and at the ends of the graph sinks")
        func kinds() throws {
            #expect(ComponentKind.named.map(\.description) == ["oracle", "pipe", "aggregator", "sink"])
            #expect(Set(DocumentNode.registers.map(\.kind)) == [.oracle, .pipe, .aggregator])
            let plan = try GraphPlan(
                registry: try Registry(DocumentNode.registers),
                networks: [
                    .init(name: "one", chainID: 1, kind: .layer1, endpoints: []),
                    .init(name: "two", chainID: 10, kind: .layer2, endpoints: []),
                ],
                pipelines: [
                    .init(name: "tokens", networks: ["one"], registers: ["erc20_transfers"], sinks: ["store"]),
                    .init(
                        name: "pairs", networks: ["one", "two"], registers: ["block_bundles"], policy: .alignedByHeight(), sinks: ["store"]),
                ], sinks: [.init(name: "store", type: "duckdb", delivery: .exactlyOnce, holdsBack: false)])
            let kinds = Set(plan.nodes.map(\.kind))
            #expect(kinds == [.network, .oracle, .pipe, .aggregator, .pipeline, .sink])
        }

        @Test("a pipe works on what is there: it takes the withdrawals out of their blocks")
        func pipeExample() async throws {
            try await DocumentNode.run { node in
                let (sink, head) = (TableSink(), node.simulator.head)
                let asked = branch("p", [try DocumentNode.register("withdrawals")], into: [sink], start: head - 9, until: head)
                try await following(try node.hub(), [asked]) { _ = await asked.ended() }
                let expected = try (head - 9...head).flatMap { number in
                    (try node.block(number)["withdrawals"] as? [DocumentNode.Object] ?? []).map { withdrawal in
                        ["index", "address", "amount"].map { withdrawal[$0] as? String ?? "" } + ["\(number)"]
                    }
                }
                let found = sink.tables("withdrawals").flatMap { table in
                    (0..<table.rowCount).compactMap { row -> [String]? in
                        guard let index = table.column("index"), let address = table.column("address"),
                            let amount = table.column("amount"), let number = table.column("block_number")
                        else { return nil }
                        return [
                            Hex.quantity(UInt64(index.load(row, as: Int64.self))), Hex.text(address.bytes(row)),
                            Hex.quantity(amount.load(row, as: UInt64.self)), "\(number.load(row, as: Int64.self))",
                        ]
                    }
                }
                #expect(found.count > 20 && found == expected)
            }
        }

        @Test("an oracle asks somebody else: a node, for the balances of accounts as they are now")
        func oracleExample() async throws {
            try await DocumentNode.run { node in
                let (sink, state) = (TableSink(), MemoryState())
                let accounts = try node.accounts(3)
                try await state.insert(accounts.map(\.description), into: AccountBalanceRegister.stateKey.key(of: "p"))
                let asked = branch("p", [DocumentNode.balances()], into: [sink], start: nil, state: state)
                try await following(try node.hub(), [asked]) {
                    try await eventually("balances") { sink.balances.count == 3 }
                }
                #expect(try await sink.balances == node.balances(of: accounts, at: [node.simulator.head]))
            }
        }

        @Test("an aggregator brings sources together that come at their own pace: the blocks of a layer 1 and of a layer 2")
        func aggregatorExample() async throws {
            try await TwoLayers.run(blocks: (10, 60)) { layers in
                let sink = TableSink()
                let manager = try layers.manager(["store": sink])
                try await working(manager) {
                    try await manager.create(layers.request("pairs", .alignedByTime(tolerance: 0), sinks: ["store"]))
                    try await eventually("all pairs") { sink.values("block_bundles", "block_number").count == 20 }
                }
                // A block each 12 seconds, and one each 2 seconds.
                let first = layers.first
                #expect(sink.values("block_bundles", "block_number") == (0..<10).flatMap { [first + $0, first + 6 * $0] })
                #expect(sink.values("block_bundles", "block_chain_id") == (0..<10).flatMap { _ in [1, 10] })
            }
        }

        // MARK: - Connections

        @Test("what one component makes goes into the next, and what that one makes into the two behind it")
        func diagram() async throws {
            let sink = TableSink()
            let shared = shared
            try await following(shared, [branch("p", [Self.twelvefold, Self.twentyfold], into: [sink])]) {
                try await eventually("all blocks") { sink.blocks.count == 21 }
                // Along every edge goes in what has come out.
                let rows = Dictionary(uniqueKeysWithValues: shared.components.map { ($0.register, $0.rows) })
                #expect(rows["doubled"]?.out == 21)
                #expect(rows["fourfold"]?.in == rows["doubled"]?.out)
                for end in ["twelvefold", "twentyfold"] { #expect(rows[end]?.in == rows["fourfold"]?.out) }
            }
            #expect(sink.values("twelvefold") == (0..<21).map { $0 * 12 } && sink.values("twentyfold") == (0..<21).map { $0 * 20 })
        }

        @Test(
            "what a component makes goes to all who are subscribed at that moment, and to nobody else",
            arguments: [rowsRegister, Self.doubled])
        func egress(register: Register) async throws {
            let sinks = [TableSink(), TableSink(), TableSink()]
            let (table, shared) = (register.schemas[0].name, shared)
            func count(_ index: Int) -> Int { sinks[index].values(table, "block_number").count }
            let branches = sinks.enumerated().map { branch("p\($0.offset)", [register], into: [$0.element], start: $0.offset < 2 ? 0 : 28) }
            try await following(shared, [branches[0], branches[1]]) {
                try await eventually("two are subscribed") { count(0) == 21 && count(1) == 21 }
                branches[1].leave()
                _ = await branches[1].ended()
                oracle.grow(10)
                try await eventually("one is") { count(0) == 31 }
                shared.join([branches[2]])
                try await eventually("another one comes") { count(2) == 3 }
                oracle.grow(4)
                try await eventually("both are") { count(0) == 35 && count(2) == 7 }
                branches[2].leave()
                _ = await branches[2].ended()
            }
            #expect(sinks[0].values(table, "block_number") == Array(0..<35))
            #expect(sinks[1].values(table, "block_number") == Array(0..<21))
            #expect(sinks[2].values(table, "block_number") == Array(28..<35))
        }

        @Test("all ways out of a component carry the same in the same order, and what is undone is undone on all of them")
        func egresses() async throws {
            let sinks = [TableSink(), TableSink()]
            try await following(shared, [branch("p", [Self.doubled], into: sinks)]) {
                try await eventually("all blocks") { sinks.allSatisfy { $0.blocks.count == 21 } }
                oracle.reorganise(behind: 15, to: 24, branch: 1)
                try await eventually("the other branch") { sinks.allSatisfy { $0.blocks.last == oracle.canonical.last?.ref } }
            }
            #expect(sinks[0].transits == sinks[1].transits && sinks[0].transits.contains { $0.hasPrefix("r") })
            #expect(sinks[0].blocks == oracle.canonical.map(\.ref) && sinks[1].blocks == sinks[0].blocks)
        }

        @Test("a component takes in what all those make that it depends on: a pipe of several components, an aggregator of several streams")
        func ingress() async throws {
            let both = numbers("both", 205, of: "doubled", "fourfold") { $0 }
            let sink = TableSink()
            let asked = branch("p", [both], into: [sink], until: 20)
            try await following(hub(oracle, registers: Self.registers + [both]), [asked]) { _ = await asked.ended() }
            #expect(sink.values("both") == (0..<21).flatMap { [$0 * 2, $0 * 4] })

            let collector = Collector()
            let stage = try AggregateStage(CountingAggregator(.alignedByHeight()), streams: 3, chainID: 9, into: collector)
            let run = Task { try await stage.run() }
            for (stream, ingress) in stage.ingresses.enumerated() {
                try await ingress.send(.batch(batch(stream, 1...4)))
                try await ingress.finish()
            }
            try await run.value
            #expect(collector.rows.map { $0[2] } == [3, 3, 3, 3])
        }

        @Test("an oracle depends on nothing: what it reads comes from elsewhere")
        func oracleHasNoIngress() {
            let wrong = Register(
                name: "wrong", number: RegisterType(rawValue: 206), doc: "", schemas: [rowsSchema], dependencies: ["rows"],
                maker: .oracle { PassPipe() })
            #expect(Registry.problems(in: [rowsRegister, wrong]).map(\.kind) == [.oracleWithDependency])
        }
    }
}
