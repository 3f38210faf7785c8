import Foundation
import SluiceChain
import SluiceCore
import SluiceSimulator
import Testing

@testable import EthereumConnector

/// The pipe that decodes events, log by log.
@Suite struct EventLogTests {
    private let erc20 = Result { try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 value)") }
    private let erc721 = Result { try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)") }

    private func amount(_ value: UInt64) -> ABIValue { .uint(UInt256(value)) }

    @Test("rows carry the log's place, the event's name and its arguments")
    func rows() throws {
        let event = try erc20.get()
        let logs = try [
            MadeLog(account(9), event, [.address(account(1)), .address(account(2)), amount(5)]),
            MadeLog(account(8), event, [.address(account(1)), .address(account(2)), amount(6)]),
        ]
        var pipe = EventLogPipe([EventSubscription(addresses: [account(8)], events: [event])])
        let (rows, report) = try run(&pipe, table(logs))
        #expect(rows.texts("event") == ["Transfer"] && rows.texts("signature") == ["Transfer(address,address,uint256)"])
        #expect(rows.texts("arguments") == [#"{"from":"\#(account(1))","to":"\#(account(2))","value":"6"}"#])
        #expect(
            rows.shown(["log_index", "address", "transaction_hash", "transaction_index", "block_number", "block_hash", "chain_id"])
                == [["1", "\(account(8))", "\(hash(77))", "1", "1", "\(hash(1))", "1"]])
        #expect(report.filtered == ["no matching address or event": 1] && report.deadLetters.isEmpty)
    }

    @Test("two events of one signature are told apart by their indexed arguments")
    func arity() throws {
        let both = try [erc20.get(), erc721.get()]
        let values: [ABIValue] = [.address(account(1)), .address(account(2)), amount(5)]
        let logs = try table(both.map { try MadeLog(account(9), $0, values) })
        for (events, names) in [
            ([both[0]], ["value"]), ([both[1]], ["tokenId"]), (both, ["value", "tokenId"]), (both.reversed(), ["value", "tokenId"]),
        ] {
            var pipe = EventLogPipe([EventSubscription(addresses: [account(9)], events: events)])
            let (rows, _) = try run(&pipe, logs)
            #expect(rows.texts("arguments").map { $0.contains("tokenId") ? "tokenId" : "value" } == names)
        }
    }

    @Test("a bare signature matches whatever is indexed, and says when it cannot tell the arguments apart")
    func bare() throws {
        let values: [ABIValue] = [.address(account(1)), .address(account(2)), amount(5)]
        let all = try ABIEvent("event Transfer(address, address, uint256)")
        let logs = try table([erc20.get(), erc721.get(), all].map { try MadeLog(account(9), $0, values) })
        let bare = try ABIEvent("Transfer(address,address,uint256)")
        var pipe = EventLogPipe([EventSubscription(addresses: [account(9)], events: [bare])])
        let decoded = #"["\#(account(1))","\#(account(2))","5"]"#
        let words = [account(1), account(2)].map { "\"0x" + String(repeating: "0", count: 24) + $0.description.dropFirst(2) + "\"" }
        let raw = #"{"undecoded":{"topics":[\#(words.joined(separator: ","))],"data":"\#(hash(5))"}}"#
        #expect(try run(&pipe, logs).rows.texts("arguments") == [raw, decoded, decoded])
        // A declaration beside it takes what it says.
        pipe.update([EventSubscription(addresses: [account(9)], events: [bare, try erc20.get()])])
        #expect(try run(&pipe, logs).rows.texts("arguments")[0].hasPrefix(#"{"from":"#))
    }

    @Test("anonymous events are matched by address, number of topics and what can be decoded")
    func anonymous() throws {
        let note = try ABIEvent("event Note(address indexed who, bytes32 indexed what, uint8 level) anonymous")
        let event = try erc721.get()
        let logs = try table([
            MadeLog(account(9), note, [.address(account(1)), .fixedBytes(hash(3).bytes), amount(4)]),
            MadeLog(account(8), note, [.address(account(1)), .fixedBytes(hash(3).bytes), amount(4)]),
            // As many topics, but not what the event says: it is somebody else's.
            MadeLog(account(9), topics: [hash(1), hash(2)], data: []), MadeLog(account(9), topics: [hash(1)], data: hash(4).bytes),
            MadeLog(account(9), event, [.address(account(1)), .address(account(2)), amount(5)]), MadeLog(account(9), topics: [], data: []),
        ])
        var pipe = EventLogPipe([EventSubscription(addresses: [account(9)], events: [note, event])])
        let (rows, report) = try run(&pipe, logs)
        #expect(rows.texts("event") == ["Note", "Transfer"])
        #expect(rows.texts("arguments")[0] == #"{"who":"\#(account(1))","what":"\#(hash(3))","level":"4"}"#)
        #expect(report.filtered == ["no matching address or event": 4])
        #expect(throws: SluiceError.self) { try EventSubscription(.any, events: [note]) }
        #expect(EventSubscription(addresses: [account(9)], events: [note, event]).need.topics == [])
    }

    @Test("a log that is not encoded as its event says is a dead letter, each time the same")
    func malformed() throws {
        let event = try erc20.get()
        var logs = try (1...3).map { try MadeLog(account(9), event, [.address(account(1)), .address(account(2)), amount($0)], block: $0) }
        logs[1].topics[1] = hash(.max)
        logs[1].topics[2] = try #require(Hash32([UInt8](repeating: 1, count: 32)))
        var pipe = EventLogPipe([try EventSubscription(.any, events: [event])])
        let (rows, report) = try run(&pipe, table(logs))
        #expect(rows.shown(["log_index"]) == [["0"], ["2"]])
        let letter = try #require(report.deadLetters.first)
        #expect(letter.register == "event_log" && letter.row == "log 1" && letter.reason == "abi_malformed")
        #expect(letter.block == BlockRef(number: 2, hash: hash(2)))
        #expect(letter.message.hasPrefix("decoding Transfer(address,address,uint256): argument to: "), "\(letter.message)")
        let payload = try object(Array(letter.payload.utf8))
        #expect(payload["topics"] as? [String] == logs[1].topics.map(\.description) && payload["data"] as? String == "\(hash(2))")
        #expect(payload["address"] as? String == "\(account(9))" && payload["logIndex"] as? String == "0x1")
        #expect(payload["blockNumber"] as? String == "0x2" && payload["blockHash"] as? String == "\(hash(2))")
        #expect(try run(&pipe, table(logs)).report.deadLetters == report.deadLetters)
    }

    @Test("of two declarations that index other arguments the one that fits is taken")
    func alternatives() throws {
        let first = try ABIEvent("event Swap(address indexed sender, uint256 amount, address to)")
        let second = try ABIEvent("event Swap(address sender, uint256 indexed amount, address to)")
        let values: [ABIValue] = [.address(account(1)), .uint(.max), .address(account(2))]
        var pipe = EventLogPipe([EventSubscription(addresses: [account(9)], events: [first, second])])
        let logs = try [MadeLog(account(9), first, values), MadeLog(account(9), second, values)]
        let (rows, report) = try run(&pipe, table(logs))
        #expect(Set(rows.texts("arguments")).count == 1 && rows.rowCount == 2 && report.deadLetters.isEmpty)
    }

    @Test("every changed byte of a log gives a row, a dead letter or a log that is filtered")
    func mutations() throws {
        let event = try ABIEvent("event Order(address indexed who, (uint8 kind, string[] notes)[] items, bytes tail)")
        let item = ABIValue.tuple([amount(3), .array([.string("one"), .string("")])])
        let log = try MadeLog(account(9), event, [.address(account(1)), .array([item, item]), .bytes([1, 2, 3])])
        var logs: [MadeLog] = []
        for at in log.data.indices {
            for flip in [1, 0x80, 0xff] as [UInt8] {
                var changed = log
                changed.data[at] ^= flip
                logs.append(changed)
            }
            var cut = log
            cut.data = Array(log.data[..<at])
            logs.append(cut)
        }
        for place in log.topics.indices {
            for at in 0..<32 {
                var bytes = log.topics[place].bytes
                bytes[at] ^= 0x10
                var changed = log
                changed.topics[place] = Hash32(bytes) ?? .zero
                logs.append(changed)
            }
        }
        var pipe = EventLogPipe([EventSubscription(addresses: [account(9)], events: [event])])
        let (rows, report) = try run(&pipe, table(logs))
        #expect(rows.rowCount > 100 && report.deadLetters.count > 500 && report.filtered == ["no matching address or event": 32])
        for text in rows.texts("arguments") + report.deadLetters.map(\.payload) {
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
        }
    }

    @Test("without a subscription nothing is read and nothing is missed; with one the logs must be there")
    func idle() throws {
        var report = PipeReport()
        var pipe = EventLogPipe([])
        #expect(try pipe.transform(batch([]), report: &report).map(\.rowCount) == [0])
        pipe.update([EventSubscription(addresses: [account(1)], events: [try erc20.get()])])
        #expect(throws: SluiceError.self) { try pipe.transform(batch([]), report: &report) }
    }

    // MARK: - Against the transfer pipes

    /// Topics and data in which the pipes of the standards and the declaration of the event must agree.
    private static let standards = [
        ("erc20_transfers", "event Transfer(address indexed from_address, address indexed to_address, uint256 value)"),
        ("erc721_transfers", "event Transfer(address indexed from_address, address indexed to_address, uint256 indexed token_id)"),
        (
            "erc1155_transfers",
            """
            event TransferSingle(address indexed operator_address, address indexed from_address, address indexed to_address,
                uint256 token_id, uint256 value)
            """
        ),
    ]

    /// Compares what both pipes make of some logs; returns how many rows there were of each standard.
    private func compare(_ logs: Table) throws -> [Int] {
        try Self.standards.map { name, declaration in
            let event = try ABIEvent(declaration)
            let register = try #require(EthereumRegisters.all.first { $0.name == name })
            var transfers = try register.makePipe(ComponentContext(pipeline: "p"))
            var report = PipeReport()
            let made = try #require(try transfers.transform(batch([logs]), report: &report).first)
            let places = ["log_index", "transaction_hash", "block_timestamp", "block_number", "block_hash", "chain_id"]
            let names = event.inputs.map(\.name)
            // Of a batch of ERC-1155 there is another event.
            let topics = try #require(logs.column("topic0"))
            let isSingle = Set((0..<logs.rowCount).filter { !topics.isNull($0) && topics.load($0) == event.topic0 })
            let expected = made.shown(places + ["token_address"] + names).filter { row in
                logs.shown(["log_index", "block_number"]).enumerated().contains {
                    isSingle.contains($0.offset) && $0.element == [row[0], row[3]]
                }
            }

            var pipe = EventLogPipe([try EventSubscription(.any, events: [event])])
            let (rows, events) = try run(&pipe, logs)
            let found = try zip(rows.shown(places + ["address"]), rows.texts("arguments")).map { place, text in
                let arguments = try #require(try object(Array(text.utf8)) as? [String: String])
                return place + names.map { arguments[$0] ?? "missing" }
            }
            #expect(found == expected, "\(name)")
            #expect(events.deadLetters.allSatisfy { $0.reason == "abi_malformed" })
            return found.count
        }
    }

    @Test("transfers of a generated chain come out as from the transfer pipes", arguments: [1, 2, 3, 4] as [UInt64])
    func transfers(seed: UInt64) throws {
        let simulator = try Simulator(chain(seed: seed, history: 12) { $0.transactions = 5...20 })
        var counts = [0, 0, 0]
        for number in simulator.head - 11...simulator.head {
            let block = try #require(try simulator.canonical(number))
            let logs = try #require(try decode(block.set, number: number).tables.first { $0.schema.name == "logs" })
            counts = zip(counts, try compare(logs)).map { $0 + $1 }
        }
        #expect(counts[0] > 20 && counts[1] > 0 && counts[2] > 0, "\(counts)")
    }

    /// What wallets and exchanges log all day, with arguments of all kinds.
    private static let everyday = [
        "event Approval(address indexed owner, address indexed spender, uint256 value)",
        "event Sync(uint112 reserve0, uint112 reserve1)", "event Deposit(address indexed dst, uint256 wad)",
        "event Swap(address indexed sender, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to)",
        """
        event Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, uint160 sqrtPriceX96,
            uint128 liquidity, int24 tick)
        """,
        "event TransferBatch(address indexed, address indexed, address indexed, uint256[] ids, uint256[] values)",
        """
        event OrderFulfilled(bytes32 orderHash, address indexed offerer, address indexed zone, address recipient,
            (uint8 itemType, address token, uint256 identifier, uint256 amount)[] offer,
            (uint8 itemType, address token, uint256 identifier, uint256 amount, address recipient)[] consideration)
        """,
    ]

    @Test(
        "logs of mainnet are decoded, and its transfers come out as from the transfer pipes",
        .enabled(if: SharedData.root != nil, "no recorded blocks beside this checkout"))
    func mainnet() throws {
        let lines = try SharedData.mainnet.get()
        var pipe = EventLogPipe([try EventSubscription(.any, events: Self.everyday.map { try ABIEvent($0) })])
        var (transfers, events): (Int, Set<String>) = (0, [])
        for line in [lines[lines.count / 2], lines[lines.count - 2]] {
            let whole = try object(line)
            let number = try #require(((whole["block"] as? Object)?["number"] as? String).flatMap { Hex.quantity($0) })
            let set = SluiceSimulator.BlockSet(
                block: try text(whole["block"] as? Object ?? [:]), receipts: try text(whole["receipts"] as? [Object] ?? []))
            let logs = try #require(try decode(set, number: number).tables.first { $0.schema.name == "logs" })
            transfers += try compare(logs)[0]
            let (rows, report) = try run(&pipe, logs)
            #expect(report.deadLetters.isEmpty, "\(report.deadLetters.first?.message ?? "")")
            for text in rows.texts("arguments") { #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) } }
            events.formUnion(rows.texts("signature"))
        }
        #expect(transfers > 10 && events.count >= 4, "\(transfers) transfers, \(events)")
    }
}
