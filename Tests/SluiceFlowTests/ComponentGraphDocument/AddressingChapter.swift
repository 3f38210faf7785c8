import EthereumConnector
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Addresses, and the state in which they are shared.
    @Suite("Addressing and shared state") struct Addressing {
        private static let addresses = StateKeyShape(prefix: "account_balance", id: "address")

        private static func pipeline(_ seed: UInt64) throws -> PUUID {
            var random = SeededRandom(seed: seed)
            return PUUID(
                try Registry(DocumentNode.registers).pipelinePID(of: "account_balance", network: .layer1, type: .live), using: &random)
        }

        /// A pipeline of balances that follows the head of a node.
        private struct Follower {
            let hub: Hub
            let branch: Branch
            let sink = TableSink()

            init(_ node: DocumentNode, _ pipeline: PUUID, _ state: any SharedState) throws {
                hub = try node.hub()
                branch = SluiceFlowTests.branch(pipeline.fullText, [DocumentNode.balances()], into: [sink], start: nil, state: state)
            }
        }

        @Test("some components must be told whom to look at: those of balances and of events; those of blocks need not")
        func addressed() throws {
            let registry = try Registry(DocumentNode.registers)
            let addressed = registry.registers.filter(\.isAddressed)
            #expect(Set(addressed.map(\.name)) == ["account_balance", "event_log"])
            #expect(try registry.register("account_balance").stateKey == StateKeyShape(prefix: "account_balance", id: "address"))
            #expect(try registry.register("event_log").stateKey == StateKeyShape(prefix: "event_log", id: "address", isNested: true))
            #expect(try registry.register("geth_block").stateKey == nil)
        }

        @Test("an oracle of balances that was told no address has nobody to ask for; it moves on with the chain")
        func nobody() async throws {
            try await DocumentNode.run { node in
                let follower = try Follower(node, Self.pipeline(1), MemoryState())
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    try await eventually("the head") { sink.blocks.count == 1 }
                    try node.simulator.advance(3)
                    try await eventually("three more") { sink.blocks.count == 4 }
                    #expect(sink.balances.isEmpty)
                }
                #expect(node.calls("eth_getBalance") == 0)
            }
        }

        @Test("both sides look into one store: what one of them puts there the other one finds, whole")
        func oneStore() async throws {
            let folder = TemporaryFolder()
            let store = try await StateStore.open(folder.path + "/state")
            let state: any SharedState = try await StoredState.open(store)
            let key = Self.addresses.key(of: try Self.pipeline(1).fullText)
            let view = StateView(state, key: key)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    for count in 1...50 { try? await state.set((0..<count).map { "0x\($0)" }, of: key) }
                }
                group.addTask {
                    for _ in 0..<200 {
                        _ = try? await view.refresh()
                        // All of one change, never a part of it.
                        let members = view.snapshot.members
                        #expect(Set(members) == Set((0..<members.count).map { "0x\($0)" }))
                        await Task.yield()
                    }
                }
            }
            try await view.refresh()
            #expect(view.snapshot.members.count == 50)
            await store.close()
        }

        // MARK: - The diagram, arrow by arrow

        @Test("a session sets addresses under the identity of its pipeline, and there they stand, and nowhere else")
        func set() async throws {
            let (state, one, two) = (MemoryState(), try Self.pipeline(1).fullText, try Self.pipeline(2).fullText)
            try await state.set(["0xb", "0xa"], of: Self.addresses.key(of: one))
            #expect(try await state.members(of: Self.addresses.key(of: one)) == ["0xa", "0xb"])
            #expect(try await state.members(of: Self.addresses.key(of: two)) == [])
            #expect(try await state.keys(of: one) == [Self.addresses.key(of: one)])
            #expect("\(Self.addresses.key(of: one))" == "\(one)-account_balance-address")
        }

        @Test("the oracle gets the addresses of its own pipeline, and not those of others")
        func get() async throws {
            try await DocumentNode.run { node in
                let (state, own, other) = (MemoryState(), try Self.pipeline(1), try Self.pipeline(2))
                let accounts = try node.accounts(6)
                try await state.set(accounts.prefix(2).map(\.description), of: Self.addresses.key(of: own.fullText))
                try await state.set(accounts.suffix(4).map(\.description), of: Self.addresses.key(of: other.fullText))
                for (pipeline, accounts) in [(own, Array(accounts.prefix(2))), (other, Array(accounts.suffix(4)))] {
                    let follower = try Follower(node, pipeline, state)
                    try await following(follower.hub, [follower.branch]) {
                        try await eventually("its balances") { follower.sink.balances.count == accounts.count }
                        #expect(follower.sink.balances.map(\.address) == accounts)
                    }
                }
            }
        }

        @Test("it asks the node for the balance of each of them, once a sample")
        func ask() async throws {
            try await DocumentNode.run { node in
                let (state, own) = (MemoryState(), try Self.pipeline(1))
                try await state.set(try node.accounts(5).map(\.description), of: Self.addresses.key(of: own.fullText))
                let follower = try Follower(node, own, state)
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    for count in 1...4 {
                        try await eventually("\(count) samples") { sink.balances.count == 5 * count }
                        #expect(node.calls("eth_getBalance") == 5 * count)
                        try node.simulator.advance(1)
                    }
                }
            }
        }

        @Test("what the node answers are the balances, to the last wei, each with the block in which it was so")
        func answer() async throws {
            try await DocumentNode.run { node in
                let (state, own, accounts) = (MemoryState(), try Self.pipeline(1), try node.accounts(8))
                try await state.set(accounts.map(\.description), of: Self.addresses.key(of: own.fullText))
                let follower = try Follower(node, own, state)
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    let head = node.simulator.head
                    try await eventually("all balances") { sink.balances.count == 8 }
                    let expected = try await node.balances(of: accounts, at: [head])
                    #expect(sink.balances == expected && Set(expected.map(\.balance)).count > 1)
                }
            }
        }

        @Test("it loops: with every new block the addresses are looked up again, so that one that was added is asked for from then on")
        func loop() async throws {
            try await DocumentNode.run { node in
                let (state, own, accounts) = (MemoryState(), try Self.pipeline(1), try node.accounts(3))
                let key = Self.addresses.key(of: own.fullText)
                try await state.set([accounts[0].description], of: key)
                let follower = try Follower(node, own, state)
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    let first = node.simulator.head
                    try await eventually("one") { sink.balances.count == 1 }
                    try await state.insert([accounts[2].description], into: key)
                    try node.simulator.advance(1)
                    try await eventually("two") { sink.balances.count == 3 }
                    try await state.insert([accounts[1].description], into: key)
                    try await state.remove([accounts[0].description], from: key)
                    try node.simulator.advance(1)
                    try await eventually("two others") { sink.balances.count == 5 }
                    var expected = try await node.balances(of: [accounts[0]], at: [first])
                    expected += try await node.balances(of: [accounts[0], accounts[2]], at: [first + 1])
                    expected += try await node.balances(of: [accounts[1], accounts[2]], at: [first + 2])
                    #expect(sink.balances == expected)
                }
            }
        }

        @Test("a session deletes the addresses of its pipeline, and nobody is asked for any more")
        func delete() async throws {
            try await DocumentNode.run { node in
                let (state, own, other) = (MemoryState(), try Self.pipeline(1).fullText, try Self.pipeline(2).fullText)
                try await state.set(try node.accounts(5).map(\.description), of: Self.addresses.key(of: own))
                try await state.set(["0xa"], of: Self.addresses.key(of: other))
                let follower = try Follower(node, Self.pipeline(1), state)
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    try await eventually("balances") { sink.balances.count == 5 }
                    try await state.delete(Self.addresses.key(of: own))
                    try node.simulator.advance(3)
                    try await eventually("three more blocks") { sink.blocks.count == 4 }
                    #expect(sink.balances.count == 5 && node.calls("eth_getBalance") == 5)
                }
                #expect(try await state.keys(of: own) == [])
                #expect(try await state.members(of: Self.addresses.key(of: other)) == ["0xa"], "others keep theirs")
            }
        }

        // MARK: - The two registers

        @Test("geth_block stands for what an Ethereum node says of its blocks")
        func gethBlock() async throws {
            let register = try DocumentNode.register("geth_block")
            #expect(register.number == .gethBlock && register.kind == .oracle && register.dependencies.isEmpty && !register.isAddressed)
            try await DocumentNode.run { node in
                let head = node.simulator.head
                let block = try #require(try await node.read(head...head).first)
                let said = try node.block(head)
                let rows = try #require(block.table("blocks"))
                #expect(rows.rowCount == 1 && Hex.text(rows.columns[1].bytes(0)) == said["hash"] as? String)
                #expect(block.table("transactions")?.rowCount == (said["transactions"] as? [DocumentNode.Object])?.count)
                #expect(try block.table("logs")?.rowCount == node.logs(head).count)
                #expect(block.table("withdrawals")?.rowCount == (said["withdrawals"] as? [DocumentNode.Object])?.count)
            }
        }

        @Test("account_balance stands for what accounts have in the coin of an Ethereum node's chain")
        func accountBalance() throws {
            let register = DocumentNode.balances()
            #expect(register.number == .accountBalance && register.kind == .oracle && register.dependencies.isEmpty)
            let table = try #require(register.schemas.first)
            #expect(register.schemas.count == 1 && table.name == "account_balances")
            #expect(table.fields.contains { $0.name == "address" && $0.type == .fixedBytes(20) })
            #expect(table.fields.contains { $0.name == "balance" && $0.type == .uint256 })
        }

        @Test("its oracles follow addresses that are kept in the state: those of the state file, also in the next process")
        func persisted() async throws {
            let folder = TemporaryFolder()
            try await DocumentNode.run { node in
                let (own, accounts) = (try Self.pipeline(1), try node.accounts(3))
                var store = try await StateStore.open(folder.path + "/state")
                try await StoredState.open(store).set(accounts.map(\.description), of: Self.addresses.key(of: own.fullText))
                await store.close()
                store = try await StateStore.open(folder.path + "/state")
                let follower = try Follower(node, own, await StoredState.open(store))
                let sink = follower.sink
                try await following(follower.hub, [follower.branch]) {
                    let head = node.simulator.head
                    try await eventually("balances") { sink.balances.count == 3 }
                    #expect(try await sink.balances == node.balances(of: accounts, at: [head]))
                }
                await store.close()
            }
        }

        @Test("unlike geth_block it cannot work without a set that it shares with others, and is addressed: each pipeline has its own")
        func difference() async throws {
            let registry = try Registry(DocumentNode.registers)
            #expect(try registry.register("account_balance").isAddressed && !registry.register("geth_block").isAddressed)
            let plan = try GraphPlan(
                registry: registry, networks: [.init(name: "one", chainID: 1, kind: .layer1, endpoints: [])],
                pipelines: ["a", "b"].map {
                    .init(name: $0, networks: ["one"], registers: ["account_balance", "geth_block"], sinks: ["s"])
                },
                sinks: [.init(name: "s", type: "duckdb", delivery: .exactlyOnce, holdsBack: false)])
            #expect(plan.nodes.filter { $0.name == "account_balance" }.map(\.users) == [1, 1])
            #expect(plan.nodes.filter { $0.name == "geth_block" }.map(\.users) == [2])
        }

        @Test("whatever is made from something addressed must be addressed itself; else it is refused")
        func inherited() throws {
            func enforcement(_ key: StateKeyShape?) -> Register {
                Register(
                    name: "balance_enforcement", number: RegisterType(rawValue: 201), doc: "", schemas: [NumberPipe.schema("breaches")],
                    dependencies: ["account_balance"], needs: [Need("account_balances")], isAddressed: key != nil, stateKey: key,
                    maker: .pipe { _ in PassPipe() })
            }
            let key = StateKeyShape(prefix: "balance_enforcement", id: "address")
            #expect(Registry.problems(in: DocumentNode.registers + [enforcement(key)]) == [])
            let problems = Registry.problems(in: DocumentNode.registers + [enforcement(nil)])
            #expect(problems.map(\.kind) == [.addressing])
            #expect(
                problems.map(\.description) == [
                    "balance_enforcement -> account_balance: balance_enforcement reads account_balance, which is addressed, and is not addressed itself"
                ])
        }
    }
}
