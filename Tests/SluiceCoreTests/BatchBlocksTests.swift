import SluiceCore
import Testing

@Suite struct BatchBlocksTests {
    private static let numbers = Schema(
        name: "numbers", key: [], doc: "", fields: [Field("number", .int64, ""), Field("text", .string, nullable: true, "")])

    private func table(_ schema: Schema, _ rows: [(Int64, String?)]) -> Table {
        var (numbers, texts) = (ColumnBuilder(.int64), ColumnBuilder(.string))
        for (number, text) in rows {
            numbers.append(number)
            if let text { texts.append(text) } else { texts.appendNull() }
        }
        return Table(schema: schema, columns: [numbers.finish(), texts.finish()], rowCount: rows.count)
    }

    private func rows(_ batch: Batch, _ name: String) -> [String] {
        guard let table = batch.table(name) else { return ["no table"] }
        return (0..<table.rowCount).map { row in
            "\(table.columns[0].load(row, as: Int64.self))"
                + (table.columns[1].isNull(row) ? "" : String(decoding: table.columns[1].bytes(row), as: UTF8.self))
        }
    }

    @Test("a batch is cut into its blocks, each with its own rows and its own parent")
    func cut() throws {
        func hash(_ number: UInt8) throws -> Hash32 { try #require(Hash32([UInt8](repeating: number, count: 32))) }
        let span = Span(
            first: 7, parentHash: try hash(6),
            blocks: try (7...10).map { BlockStamp(hash: try hash($0), timestamp: UInt64($0) * 100) })
        let keyless = Schema(name: "totals", key: [], doc: "", fields: [Field("total", .int64, ""), Field("text", .string, "")])
        let batch = Batch(
            chainID: 5, span: span,
            tables: [
                table(Self.numbers, [(7, "a"), (7, nil), (9, "b"), (9, nil), (9, "c"), (10, "d")]), table(keyless, [(1, "x"), (2, "y")]),
            ])
        let blocks = batch.blocks()
        #expect(blocks.map { rows($0, "numbers") } == [["7a", "7"], [], ["9b", "9", "9c"], ["10d"]])
        // What has no block number cannot be told apart.
        #expect(blocks.map { rows($0, "totals") } == [[], [], [], ["1x", "2y"]])
        #expect(blocks.map(\.span.first) == [7, 8, 9, 10])
        #expect(blocks.map(\.span.lastTimestamp) == [700, 800, 900, 1000])
        #expect(try blocks.map(\.span.parentHash) == (6...9).map { try hash($0) })
        #expect(try blocks.map(\.span.last.hash) == (7...10).map { try hash($0) })
        #expect(blocks.allSatisfy { $0.chainID == 5 && $0.blocks().count == 1 })
    }

    @Test("rows of an aggregator belong to its bundle, whatever block numbers stand beside it")
    func bundleNumber() {
        func schema(_ fields: [Field]) -> Schema { Schema(name: "t", key: [], doc: "", fields: fields) }
        let both = schema([Field("block_number", .int64, ""), Field("bundle_number", .int64, "")])
        #expect(both.blockNumberField == "bundle_number")
        #expect(schema([Field("number", .int64, ""), Field("bundle_number", .int64, nullable: true, "")]).blockNumberField == "number")
    }
}

@Suite struct BundleRecordTests {
    private func position(_ number: UInt64) -> Position {
        Position(number: number, hash: Hash32([UInt8](repeating: UInt8(number & 255), count: 32)) ?? .zero)
    }

    @Test("a record survives as bytes; anything else is refused")
    func bytes() {
        let marks = [
            BundleRecord.Mark(taken: position(70), seen: position(300), readFrom: position(69), began: position(2), lateBelow: .max),
            BundleRecord.Mark(taken: nil, seen: nil, readFrom: nil, began: nil, lateBelow: 0),
        ]
        let record = BundleRecord(number: 1 << 40, hash: position(9).hash, parentHash: position(8).hash, marks: marks)
        let bytes = record.bytes
        #expect(BundleRecord(bytes: bytes) == record)
        for count in 0..<bytes.count { #expect(BundleRecord(bytes: bytes.prefix(count)) == nil) }
        #expect(BundleRecord(bytes: bytes + [0]) == nil)
        for index in [0, 1] {
            var wrong = bytes
            wrong[index] = 7
            #expect(BundleRecord(bytes: wrong) == nil)
        }
    }

    @Test("the records up to a bundle are found among those of bundles that were undone")
    func chain() {
        func record(_ number: UInt64, _ hash: UInt64, _ parent: UInt64) -> BundleRecord {
            BundleRecord(number: number, hash: position(hash).hash, parentHash: position(parent).hash, marks: [])
        }
        let records = [record(3, 31, 21), record(2, 20, 10), record(2, 21, 10), record(1, 10, 0), record(3, 30, 20), record(5, 50, 40)]
        func chain(_ number: UInt64, _ hash: UInt64) -> [BundleRecord] {
            BundleRecord.chain(to: BlockRef(number: number, hash: position(hash).hash), among: records)
        }
        #expect(chain(3, 31) == [record(1, 10, 0), record(2, 21, 10), record(3, 31, 21)])
        #expect(chain(3, 30) == [record(1, 10, 0), record(2, 20, 10), record(3, 30, 20)])
        #expect(chain(5, 50) == [record(5, 50, 40)])
        #expect(chain(4, 40) == [])
    }
}
