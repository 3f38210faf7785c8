import Foundation
import SluiceCore
import SluiceSimulator
import Testing

@testable import EthereumConnector

/// What the decoder and the transfer pipes make, against what Foundation reads from the same text.
@Suite struct DecodeTests {
    private static let standards: [(String, [String])] = [
        ("erc20_transfers", ["token_address", "from_address", "to_address", "value", "log_index"]),
        ("erc721_transfers", ["token_address", "from_address", "to_address", "token_id", "log_index"]),
        (
            "erc1155_transfers",
            ["token_address", "operator_address", "from_address", "to_address", "token_id", "value", "batch_index", "log_index"]
        ),
    ]

    private func transfers(_ name: String, of tables: [Table], number: UInt64) throws -> Table {
        let register = try #require(EthereumRegisters.all.first { $0.name == name })
        var pipe = try register.makePipe(ComponentContext(pipeline: "test"))
        let span = Span(first: number, parentHash: .zero, blocks: [BlockStamp(hash: .zero, timestamp: 0)])
        var report = PipeReport()
        return try #require(try pipe.transform(Batch(chainID: 1, span: span, tables: tables), report: &report).first)
    }

    /// Compares all tables; returns how many transfers there were of each standard.
    private func compare(block: [UInt8], receipts: [UInt8], number: UInt64) throws -> [Int] {
        let decoded = try decode(SluiceSimulator.BlockSet(block: block, receipts: receipts), number: number)
        let blockObject = try object(block)
        let receiptObjects = try objects(receipts)
        for table in decoded.tables {
            let expected = IndependentDecode.rows(table.schema, block: blockObject, receipts: receiptObjects, chainID: 1)
            let found = table.shown()
            #expect(found.count == expected.count, "rows of \(table.schema.name)")
            for (row, (ours, theirs)) in zip(found, expected).enumerated() where ours != theirs {
                for (field, (a, b)) in zip(table.schema.fields, zip(ours, theirs)) where a != b {
                    Issue.record("block \(number), \(table.schema.name) \(row), \(field.name): \(a.prefix(80)), not \(b.prefix(80))")
                }
            }
        }
        return try Self.standards.map { name, columns in
            let found = try transfers(name, of: decoded.tables, number: number).shown(columns)
            let expected = IndependentDecode.transfers(name, receipts: receiptObjects)
            #expect(found == expected, "block \(number), \(name)")
            return found.count
        }
    }

    @Test("generated blocks and their transfers are read as Foundation reads them", arguments: [1, 2, 3] as [UInt64])
    func generated(seed: UInt64) throws {
        let simulator = try Simulator(chain(seed: seed, history: 12) { $0.transactions = 0...20 })
        var counts = [0, 0, 0]
        for number in simulator.head - 11...simulator.head {
            let block = try #require(try simulator.canonical(number))
            let found = try compare(block: block.block, receipts: block.receipts ?? [], number: number)
            counts = zip(counts, found).map { $0 + $1 }
        }
        #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
    }

    @Test(
        "recorded mainnet blocks are read as Foundation reads them",
        .enabled(if: SharedData.root != nil, "no recorded blocks beside this checkout"))
    func recorded() throws {
        let lines = try SharedData.mainnet.get()
        for line in [lines[1], lines[lines.count - 2]] {
            let whole = try object(line)
            let block = try text(whole["block"] as? Object ?? [:])
            let receipts = try text(whole["receipts"] as? [Object] ?? [])
            _ = try compare(
                block: block, receipts: receipts,
                number: try #require(((whole["block"] as? Object)?["number"] as? String).flatMap { Hex.quantity($0) }))
        }
    }

    @Test("unknown fields of blocks, transactions, receipts and logs are kept as they came")
    func extra() throws {
        let simulator = try Simulator(chain(seed: 4, history: 12))
        let number = simulator.head - 2
        let canonical = try #require(try simulator.canonical(number))
        var block = try object(canonical.block)
        var receipts = try objects(canonical.receipts ?? [])
        var transactions = try #require(block["transactions"] as? [Object])
        let place = try #require(receipts.firstIndex { ($0["logs"] as? [Object])?.isEmpty == false })
        var logs = try #require(receipts[place]["logs"] as? [Object])
        block["l1BlockNumber"] = "0x5"
        transactions[place]["mint"] = ["deep": [1, "two", NSNull()]] as Object
        receipts[place]["l1Fee"] = "0x77"
        logs[0]["more"] = true
        block["transactions"] = transactions
        receipts[place]["logs"] = logs
        let tables = try decode(SluiceSimulator.BlockSet(block: try text(block), receipts: try text(receipts)), number: number).tables
        func extras(_ table: String, _ column: String) -> [String] {
            let column = tables.first { $0.schema.name == table }?.column(column)
            return column.map { column in (0..<column.count).map { column.shown($0) }.filter { $0 != "null" } } ?? []
        }
        #expect(extras("blocks", "extra") == [#"{"l1BlockNumber":"0x5"}"#])
        #expect(extras("transactions", "extra") == [#"{"mint":{"deep":[1,"two",null]}}"#])
        #expect(extras("transactions", "receipt_extra") == [#"{"l1Fee":"0x77"}"#])
        #expect(extras("logs", "extra") == [#"{"more":true}"#])
    }

    // MARK: transfers at the edge

    /// The table logs with one log.
    private func logs(_ topics: [String], _ data: String) throws -> Table {
        let columns = try EthereumTables.logs.fields.map { field -> Column in
            var builder = ColumnBuilder(field.type)
            if field.name.hasPrefix("topic"), let place = Int(field.name.suffix(1)) {
                if place < topics.count {
                    builder.append(bytes: try #require(Hex.bytes("0x" + topics[place])))
                } else {
                    builder.appendNull()
                }
            } else if field.name == "data" {
                builder.append(bytes: try #require(Hex.bytes("0x" + data)))
            } else if let width = field.type.width {
                builder.append(bytes: [UInt8](repeating: 1, count: width))
            } else {
                builder.appendNull()
            }
            return builder.finish()
        }
        return Table(schema: EthereumTables.logs, columns: columns, rowCount: 1)
    }

    private func word(_ value: Int) -> String {
        String(repeating: "0", count: 48) + String(repeating: "0", count: 16 - String(value, radix: 16).count) + String(value, radix: 16)
    }

    @Test("batches of ERC-1155 that lie give no rows, and those that do not give theirs")
    func batches() throws {
        let who = word(0xabc)
        let huge = String(repeating: "f", count: 64)
        let cases: [(String, [Int], Int)] = [
            ("one", [64, 128, 1, 7, 1, 9], 1), ("two", [64, 160, 2, 7, 8, 2, 9, 10], 2), ("none", [64, 96, 0, 0], 0),
            ("both in one place", [64, 64, 1, 7], 1), ("in the head", [0, 0], 0), ("lengths differ", [64, 128, 1, 7, 0], 0),
            ("too short", [64, 128, 2, 7, 1], 0),
            ("one item too many", [64, 128, 1, 7, 2, 9], 0), ("offset not of a word", [65, 128, 1, 7, 1, 9], 0),
            ("offset behind the end", [64, 192, 1, 7, 1, 9], 0),
            ("offset far behind", [64, Int.max, 1, 7, 1, 9], 0), ("length far too large", [64, 128, Int.max, 7, 1, 9], 0),
            ("offset alone", [64], 0), ("nothing", [], 0),
        ]
        for (name, words, rows) in cases {
            let table = try logs([IndependentDecode.batch, who, who, who], words.map(word).joined())
            #expect(try transfers("erc1155_transfers", of: [table], number: 1).rowCount == rows, "\(name)")
        }
        for data in [huge + word(128) + word(1), word(64) + huge, word(64) + word(96) + huge + huge, word(64) + word(64) + word(1)] {
            #expect(
                try transfers("erc1155_transfers", of: [try logs([IndependentDecode.batch, who, who, who], data)], number: 1).rowCount == 0)
        }
        // A tail that fills no word is nobody's element.
        let tail = try logs([IndependentDecode.batch, who, who, who], [64, 128, 1, 7, 1, 9].map(word).joined() + "abcd")
        #expect(
            try transfers("erc1155_transfers", of: [tail], number: 1).shown(["token_id", "value", "batch_index"]) == [["7", "9", "0"]])
    }

    @Test("logs of another shape are no transfers")
    func shapes() throws {
        let who = word(0xabc)
        let notAnAddress = "1" + who.dropFirst()
        func count(_ register: String, _ topics: [String], _ data: String) throws -> Int {
            try transfers(register, of: [try logs(topics, data)], number: 1).rowCount
        }
        #expect(try count("erc20_transfers", [IndependentDecode.transfer, who, who], word(5)) == 1)
        #expect(try count("erc721_transfers", [IndependentDecode.transfer, who, who, word(5)], "") == 1)
        #expect(try count("erc1155_transfers", [IndependentDecode.single, who, who, who], word(5) + word(6)) == 1)
        for (topics, data) in [
            ([], word(5)), ([IndependentDecode.transfer], word(5)), ([IndependentDecode.transfer, who], word(5)),
            ([IndependentDecode.transfer, who, who], ""),
            ([IndependentDecode.transfer, who, who], word(5) + "00"), ([IndependentDecode.transfer, who, notAnAddress], word(5)),
            ([IndependentDecode.transfer, notAnAddress, who], word(5)), ([IndependentDecode.transfer, who, who, who], word(5)),
            ([IndependentDecode.transfer, notAnAddress, who, who], ""), ([IndependentDecode.single, who, who, who], word(5)),
            ([IndependentDecode.single, who, who], word(5) + word(6)),
            ([IndependentDecode.single, who, who, notAnAddress], word(5) + word(6)),
        ] {
            for (name, _) in Self.standards {
                #expect(try count(name, topics, data) == 0, "\(name): \(topics.count) topics, \(data.count / 2) bytes")
            }
        }
    }
}
