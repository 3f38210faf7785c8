import Foundation
import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import EthereumConnector

/// What is asked of the network for events, and that nothing is missing of it.
@Suite(.timeLimit(.minutes(1))) struct EventFilterTests {
    private let transfer = Result { try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 value)") }

    @Test("a filter lets through what any of the needs wants")
    func union() throws {
        func need(_ topics: [UInt64], _ addresses: [UInt8]) -> Need {
            Need("logs", topics: topics.map { hash($0) }, addresses: addresses.map { account($0).bytes })
        }
        func filter(_ topics: [UInt64], _ addresses: [UInt8]) -> LogFilter {
            LogFilter(topics: topics.map { hash($0) }, addresses: addresses.map { account($0) })
        }
        let cases: [([Need], LogFilter?)] = [
            ([], nil), ([Need("blocks")], nil), ([Need("logs")], filter([], [])), ([need([1], [2])], filter([1], [2])),
            ([need([3, 1], [9, 2]), need([1, 2], [5])], filter([1, 2, 3], [2, 5, 9])),
            ([need([1], [2]), need([2], [])], filter([1, 2], [])),
            ([need([1], [2]), need([], [3])], filter([], [2, 3])), ([need([1], [2]), Need("logs")], filter([], [])),
            ([need([1], [2]), Need("blocks")], filter([1], [2])), ([need([1], [2]), Need("transactions")], nil),
            ([Need("logs", topics: [hash(1)], addresses: [[1, 2]])], filter([1], [])),
        ]
        for (needs, expected) in cases { #expect(FetchPlan(needs: needs).logFilter == expected) }
        func many(_ count: Int) -> Need {
            Need("logs", addresses: (0..<count).map { Array(UInt256(UInt64($0)).bigEndianBytes.suffix(20)) })
        }
        #expect(FetchPlan(needs: [many(1000)]).logFilter?.addresses.count == 1000)
        #expect(FetchPlan(needs: [many(1001)]).logFilter?.isOpen == true)
    }

    @Test("subscriptions say what they need")
    func needs() throws {
        let event = try transfer.get()
        let created = try ABIEvent("event Created(address made)")
        let factory = try ContractFactory(address: account(7), event: created, argument: "made")
        let fixed = EventSubscription(addresses: [account(2), account(1)], events: [event])
        #expect([fixed].needs == [Need("logs", topics: [event.topic0], addresses: [account(1).bytes, account(2).bytes])])
        let dynamic = EventSubscription(factory: factory, events: [event])
        #expect([dynamic].needs == [Need("logs", topics: [event.topic0, created.topic0].sorted())])
        #expect(FetchPlan(needs: [fixed, dynamic].needs).logFilter?.addresses == [])
        let empty = [EventSubscription(addresses: [], events: [event]), EventSubscription(addresses: [account(1)], events: [])]
        #expect(empty.needs.isEmpty && FetchPlan(needs: empty.needs).logFilter == nil)
        let register = EventLogRegister.register([fixed])
        #expect(register.name == "event_log" && register.needs == [fixed].needs && register.dependencies == ["geth_block"])
        #expect(register.number.rawValue == 3)
        #expect(EventLogRegister.stateKey.key(of: "p") == StateKey(pipeline: "p", prefix: "event_log", id: "address"))
    }

    private func held(_ entries: [(String, [String])]) -> StateSnapshot {
        StateSnapshot(version: 1, entries: entries.map { .init(member: $0, items: $1) })
    }

    @Test("shared state says which events of which addresses are wanted; what cannot be read is named and left out")
    func sharedState() throws {
        let signatures = ["Approval(address,address,uint256)", "event Transfer(address indexed from, address indexed to, uint256 value)"]
        let state = held([
            (account(1).description, signatures), (account(2).description, signatures), (account(3).description, [signatures[0]]),
            (account(4).description, []),
        ])
        let (subscriptions, problems) = EventSubscription.read(state)
        #expect(subscriptions.map(\.contracts) == [.at([account(3)]), .at([account(1), account(2)])] && problems == [])
        #expect(subscriptions.map { $0.events.map(\.name) } == [["Approval"], ["Approval", "Transfer"]])
        let bad = EventSubscription.read(
            held([("0x12", ["Transfer()"]), (account(1).description, ["Transfer(", "Transfer(uint7)", "Transfer()"])]))
        #expect(bad.subscriptions == [EventSubscription(addresses: [account(1)], events: [try ABIEvent("Transfer()")])])
        #expect(bad.problems.count == 3)
        for (problem, part) in zip(bad.problems, ["column 10", "'uint7' is not a type", "'0x12' is no address"]) {
            #expect(problem.contains(part), "\(problem)")
        }
    }

    @Test("a register that is told keeps what stays, and can be told again")
    func told() throws {
        let event = try transfer.get()
        let factory = try ContractFactory(address: account(7), event: try ABIEvent("event Created(address made)"), argument: "made")
        let fixed = EventSubscription(factory: factory, events: [event])
        let tell = try #require(EventLogRegister.register([fixed]).tell)
        let first = tell("p", held([(account(1).description.uppercased().replacingOccurrences(of: "X", with: "x"), [event.declaration])]))
        let wanted = EventSubscription(addresses: [account(1)], events: [event])
        #expect(first.register.needs == [fixed, wanted].needs && first.problems == [] && first.register.keepsFindings)
        #expect(first.understood == [.init(member: account(1).description, items: [event.declaration])])
        let tellAgain = try #require(first.register.tell)
        let second = tellAgain("p", held([]))
        #expect(second.register.needs == [fixed].needs && second.understood == [])
        let tellNobody = try #require(EventLogRegister.register().tell)
        let bare = tellNobody("p", held([]))
        #expect(bare.register.needs == [] && !bare.register.keepsFindings)
    }

    // MARK: - Over the network

    /// A node that knows the blocks of a simulator, and notes what it is asked for.
    private final class RecordingNode: Sendable {
        let filters = Mutex<[[String: [String]]]>([])
        private let simulator: Simulator

        init(_ simulator: Simulator) { self.simulator = simulator }

        func answer(_ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
            guard let body = try? JSONSerialization.jsonObject(with: Data(request.body)),
                let reply = try? text((body as? [Object]).map { $0.map(answer) as Any } ?? answer(body as? Object ?? [:]))
            else { return .response(500) }
            return .response(body: reply)
        }

        private func answer(_ call: Object) -> Object {
            ["jsonrpc": "2.0", "id": call["id"] ?? 0, "result": (try? result(call)) ?? NSNull()]
        }

        private func result(_ call: Object) throws -> Any {
            let params = call["params"] as? [Any] ?? []
            switch call["method"] as? String {
            case "eth_chainId": return "0x1"
            case "eth_getBlockByNumber":
                let number = number(params.first)
                return try simulator.canonical(number).map { try object($0.block) } ?? NSNull()
            case "eth_getLogs": return try logs(params.first as? Object ?? [:])
            default: return NSNull()
            }
        }

        private func number(_ value: Any?) -> UInt64 {
            switch value as? String {
            case "latest": simulator.head
            case "finalized": simulator.finalized
            case let text: text.flatMap { Hex.quantity($0) } ?? .max
            }
        }

        private func logs(_ filter: Object) throws -> [Object] {
            let addresses = filter["address"] as? [String]
            let topics = (filter["topics"] as? [[String]])?.first
            let place = filter["blockHash"] == nil ? "range" : "hash"
            filters.withLock { $0.append(["address": addresses ?? [], "topics": topics ?? [], "by": [place]]) }
            var range = number(filter["fromBlock"])...max(number(filter["fromBlock"]), number(filter["toBlock"]))
            if let hash = filter["blockHash"] as? String {
                let all = simulator.head - 30...simulator.head
                let found = try all.first { try simulator.canonical($0)?.ref.hash.description == hash }
                range = (found ?? 0)...(found ?? 0)
            }
            return try range.flatMap { number -> [Object] in
                let receipts = try simulator.canonical(number).map { try objects($0.receipts ?? []) } ?? []
                return receipts.flatMap { $0["logs"] as? [Object] ?? [] }.filter { log in
                    let first = (log["topics"] as? [String])?.first
                    return addresses?.contains(log["address"] as? String ?? "") ?? true
                        && (topics.map { first.map($0.contains) ?? false } ?? true)
                }
            }
        }
    }

    /// Keeps the rows of events, as text.
    private final class EventEgress: Egress {
        private let state: Mutex<(pipe: EventLogPipe, rows: [[String]])>

        init(_ pipe: EventLogPipe) { state = Mutex((pipe, [])) }

        var rows: [[String]] { state.withLock { $0.rows } }

        func send(_ transit: Transit) async throws {
            guard case .batch(let batch) = transit else { return }
            try state.withLock { state in
                var report = PipeReport()
                for table in try state.pipe.transform(batch, report: &report) { state.rows += table.shown() }
            }
        }
    }

    /// The most frequent tokens of a chain, and what the pipe makes of all of its logs.
    private func expected(
        _ range: ClosedRange<UInt64>, of simulator: Simulator, _ make: ([Address]) throws -> [EventSubscription]
    ) throws -> (subscriptions: [EventSubscription], rows: [[String]]) {
        let tables = try range.compactMap { number in
            try simulator.canonical(number).map { try decode($0.set, number: number).tables.filter { $0.schema.name == "logs" } }
        }
        var counts: [Address: Int] = [:]
        for table in tables.joined() {
            let column = try #require(table.column("address"))
            for row in 0..<table.rowCount { counts[Address(column.bytes(row)) ?? .zero, default: 0] += 1 }
        }
        let busy = counts.sorted { ($1.value, $1.key.description) < ($0.value, $0.key.description) }.map(\.key)
        let subscriptions = try make(Array(busy.prefix(3)))
        var pipe = EventLogPipe(subscriptions)
        var report = PipeReport()
        return (subscriptions, try tables.flatMap { try pipe.transform(batch($0), report: &report).flatMap { $0.shown() } })
    }

    private func oracle(_ url: String, _ needs: [Need]) throws -> GethBlockOracle {
        let network = EthereumNetwork(
            name: "test", chainID: 1, endpoints: [EndpointConfiguration(url: url, maxInFlight: 4, maxBatch: 20)],
            pollInterval: .milliseconds(2), finalityDepth: 16, verifiesHeaderHash: true)
        let node = EthereumNode(network, http: try HTTPClient(), time: .live, random: SeededRandom(seed: 5), log: .disabled)
        return GethBlockOracle(node: node, needs: needs, recent: MemoryBlocks())
    }

    @Test("requests name addresses and topics, in ranges and at the tip, and all of their logs come")
    func requests() async throws {
        let simulator = try Simulator(chain(seed: 3, history: 24))
        let node = RecordingNode(simulator)
        let server = try ScriptedServer { node.answer($0) }
        defer { server.stop() }
        let event = try transfer.get()
        let range = simulator.head - 19...simulator.head
        let (subscriptions, expected) = try expected(range, of: simulator) { [EventSubscription(addresses: Set($0), events: [event])] }
        #expect(expected.count > 5)

        let source = try oracle(server.url, subscriptions.needs)
        let ranges = EventEgress(EventLogPipe(subscriptions))
        try await source.backfill(range, after: nil, into: ranges)
        #expect(ranges.rows == expected)
        let tip = EventEgress(EventLogPipe(subscriptions))
        for number in range { try await source.backfill(number...number, after: nil, into: tip) }
        #expect(tip.rows == expected)

        let filters = node.filters.withLock { $0 }
        let addresses = subscriptions.needs[0].addresses.map { Hex.text($0) }
        #expect(filters.allSatisfy { $0["address"] == addresses && $0["topics"] == [event.topic0.description] })
        #expect(filters.contains { $0["by"] == ["range"] } && filters.contains { $0["by"] == ["hash"] })
    }

    @Test(
        "what a simulator lets through a filter is complete, whatever the subscriptions are",
        arguments: ["addresses", "mixed", "anonymous", "any"])
    func complete(kind: String) async throws {
        let event = try transfer.get()
        let approval = try ABIEvent("Approval(address,address,uint256)")
        let anonymous = try ABIEvent("event Odd(bytes32 indexed a, bytes32 indexed b, bytes32 indexed c) anonymous")
        var options = chain(seed: 8, history: 24)
        options.rpc.maxLogResults = 30
        options.faults.rates = [.serverError: 0.1]
        try await withSimulator(options) { simulator, port in
            let range = simulator.head - 19...simulator.head
            let (subscriptions, expected) = try expected(range, of: simulator) { tokens in
                switch kind {
                case "addresses": [EventSubscription(addresses: Set(tokens), events: [event, approval])]
                case "anonymous": [EventSubscription(addresses: Set(tokens), events: [anonymous])]
                case "any": [try EventSubscription(.any, events: [event])]
                default: [EventSubscription(addresses: [tokens[0]], events: [approval]), try EventSubscription(.any, events: [event])]
                }
            }
            let egress = EventEgress(EventLogPipe(subscriptions))
            try await oracle("http://127.0.0.1:\(port)/", subscriptions.needs).backfill(range, after: nil, into: egress)
            #expect(egress.rows == expected)
            #expect(!expected.isEmpty)
        }
    }
}
