import SluiceCore
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

/// Every logical type goes into the server and comes back without losing a bit, in the server's own words.
@Suite(.clickhouse, .needsClickHouse) struct ClickHouseTypeTests {
    private static let schema = Schema(
        name: "all_types", key: ["chain_id", "row_number"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("row_number", .int64, ""),
            Field("a_bool", .bool, nullable: true, ""), Field("a_int", .int64, nullable: true, ""),
            Field("a_uint", .uint64, nullable: true, ""), Field("a_float", .float64, nullable: true, ""),
            Field("a_decimal", .decimal, nullable: true, ""), Field("a_wide", .uint256, nullable: true, ""),
            Field("a_time", .timestamp, nullable: true, ""), Field("a_text", .string, nullable: true, content: .repeating, ""),
            Field("a_blob", .bytes, nullable: true, ""), Field("a_hash", .fixedBytes(32), nullable: true, ""),
            Field("a_json", .json, nullable: true, content: .patterned, ""), Field("b_bool", .bool, ""), Field("b_wide", .uint256, ""),
            Field("b_decimal", .decimal, ""), Field("b_time", .timestamp, ""), Field("b_text", .string, content: .repeating, ""),
            Field("b_blob", .bytes, ""), Field("b_hash", .fixedBytes(20), ""),
        ])

    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}", "\\N", "NULL", "zero \u{0} byte",
        "''; DROP TABLE x; --", String(repeating: "long ", count: 20_000), String(repeating: "x", count: 127),
        String(repeating: "x", count: 128), String(repeating: "x", count: 16_384),
    ]
    private static let jsons = ["null", "{}", "[1, 2.50, 1e400]", "{\"b\": 1, \"a\": 2, \"a\": 3}", "\"\\u0000\"", "  [ ]  "]
    private static let ten38 = (0..<38).reduce(Int128(1)) { product, _ in product * 10 }

    /// The values of a row, each as text; nil is null. First the edges, then any.
    private struct Row {
        var values: [String?] = []
        let kind: Kind

        init(_ row: Int, _ columns: inout [ColumnBuilder], _ random: inout SeededRandom, _ kind: Kind) {
            self.kind = kind
            func pick<T>(_ edges: [T], _ other: T) -> T { row < edges.count ? edges[row] : other }
            let any = UInt256(high: UInt128(random.next()) << 64 | UInt128(random.next()), low: UInt128(random.next()) << 64)
            let magnitude = Int128(random.next()) * Int128(truncatingIfNeeded: random.next() >> 3)
            let isNull = { (random: inout SeededRandom) in row > 12 && Int.random(in: 0..<5, using: &random) == 0 }
            func put<T: BitwiseCopyable>(_ index: Int, _ value: T, _ text: String) {
                if Self.isNullable(index), isNull(&random) {
                    columns[index].appendNull()
                    values.append(nil)
                } else {
                    columns[index].append(value)
                    values.append(text)
                }
            }
            func put(_ index: Int, _ bytes: [UInt8], _ text: String) {
                if Self.isNullable(index), isNull(&random) {
                    columns[index].appendNull()
                    values.append(nil)
                } else {
                    columns[index].append(bytes: bytes)
                    values.append(text)
                }
            }
            let flag = row % 2 == 1
            let wide = pick([.zero, .max, UInt256(high: 1, low: 0), UInt256(low: .max), UInt256(10_000)], any)
            let decimal = pick([0, 1, -1, ten38 - 1, 1 - ten38, 10_000], row % 2 == 0 ? magnitude : -magnitude)
            let time = pick([0, -1, 1, .max, .min, 946_684_800_000_000], Int64(truncatingIfNeeded: random.next()))
            let text = texts[row % texts.count]
            let blob = (0..<[0, 1, 31, 300][row % 4]).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            let hash = (0..<32).map { _ in pick([0, 255], UInt8.random(in: 0 ... .max, using: &random)) }
            put(3, flag, flag ? "1" : "0")
            let int = pick([0, 1, -1, .max, .min], Int64(truncatingIfNeeded: random.next()))
            put(4, int, "\(int)")
            let uint = pick([0, 1, .max], random.next())
            put(5, uint, "\(uint)")
            let float = pick(
                [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, .nan],
                Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))
            put(6, float, "\(float.bitPattern)")
            put(7, decimal, "\(decimal)")
            put(8, wide, self.text(wide))
            put(9, time, "\(time)")
            put(10, Array(text.utf8), text)
            put(11, blob, hex(blob))
            put(12, hash, hex(hash))
            let json = jsons[row % jsons.count]
            put(13, Array(json.utf8), json)
            put(14, flag, flag ? "1" : "0")
            put(15, wide, self.text(wide))
            put(16, decimal, "\(decimal)")
            put(17, time, "\(time)")
            put(18, Array(text.utf8), text)
            put(19, blob, hex(blob))
            put(20, Array(hash.prefix(20)), hex(Array(hash.prefix(20))))
        }

        private static func isNullable(_ index: Int) -> Bool { ClickHouseTypeTests.schema.fields[index].nullable }

        /// Numbers of 256 bits are bytes where the server has none of that size.
        private func text(_ wide: UInt256) -> String { kind == .old ? hex(wide.bigEndianBytes) : wide.description }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    /// How the server is asked for a value.
    private static func shown(_ field: Field, _ kind: Kind) -> String {
        switch field.type {
        case .bool: "toUInt8(\(field.name))"
        case .float64: "reinterpretAsUInt64(reinterpretAsString(\(field.name)))"
        case .uint256: kind == .old ? "lower(hex(\(field.name)))" : field.name
        case .timestamp: kind == .old ? field.name : "toUnixTimestamp64Micro(\(field.name))"
        case .bytes, .fixedBytes: "lower(hex(\(field.name)))"
        default: field.name
        }
    }

    @Test("edges and any other values, nulls and hostile texts", arguments: Kind.available, [1, 2] as [UInt64])
    func roundTrip(_ kind: Kind, _ seed: UInt64) async throws {
        let server = try Server(kind, "types_\(seed)")
        let stream = try await server.sink().open(StreamID(pipeline: "p", chainID: 1), tables: [Self.schema])
        var random = SeededRandom(seed: seed)
        var expected: [[String?]] = []
        // Two batches that go in as one.
        for (block, range) in [(7, 0..<150), (8, 150..<300)] {
            var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
            for row in range {
                columns[0].append(Int64(1))
                columns[1].append(Int64(block))
                columns[2].append(Int64(row))
                expected.append(Row(row, &columns, &random, kind).values)
            }
            let span = Span(
                UInt64(block), parentHash: SmallChain.hash(UInt64(block - 1)),
                block: BlockStamp(hash: SmallChain.hash(UInt64(block)), timestamp: 1))
            _ = try await stream.write(
                Batch(
                    chainID: 1, span: span,
                    tables: [Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: range.count)]))
        }
        #expect(try await stream.flush() == SmallChain.position(8))
        let fields = Self.schema.fields.dropFirst(3)
        let names = fields.flatMap { ["isNull(\($0.name))", Self.shown($0, kind)] }.joined(separator: ", ")
        let found = try await server.rows("SELECT \(names) FROM %.all_types_current ORDER BY row_number")
        #expect(found.count == expected.count)
        for (row, (found, expected)) in zip(found, expected).enumerated() {
            let values = stride(from: 0, to: found.count, by: 2).map { found[$0] == "1" ? nil : found[$0 + 1] }
            #expect(values == expected, "row \(row)")
        }
        // They sort as what they are.
        let greatest = try await server.rows("SELECT max(b_wide) FROM %.all_types WHERE row_number < 5")
        if kind == .modern { #expect(greatest == [[UInt256.max.description]]) }
        let order = try await server.rows("SELECT row_number FROM %.all_types_current WHERE row_number < 5 ORDER BY b_wide")
        #expect(order == [["0"], ["4"], ["3"], ["2"], ["1"]])
    }
}
