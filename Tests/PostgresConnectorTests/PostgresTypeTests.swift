import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Every logical type goes into the server and comes back without losing a bit.
@Suite(.postgres, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not installed")) struct PostgresTypeTests {
    private static let schema = Schema(
        name: "all_types", key: ["chain_id", "row_number"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("row_number", .int64, ""),
            Field("a_bool", .bool, nullable: true, ""), Field("a_int", .int64, nullable: true, ""),
            Field("a_uint", .uint64, nullable: true, ""), Field("a_float", .float64, nullable: true, ""),
            Field("a_decimal", .decimal, nullable: true, ""), Field("a_wide", .uint256, nullable: true, ""),
            Field("a_time", .timestamp, nullable: true, ""), Field("a_text", .string, nullable: true, ""),
            Field("a_blob", .bytes, nullable: true, ""), Field("a_hash", .fixedBytes(32), nullable: true, ""),
            Field("a_json", .json, nullable: true, ""),
        ])

    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}", "\\N", "NULL", "''; DROP TABLE x; --",
        String(repeating: "long ", count: 20_000),
    ]
    private static let jsons = ["null", "{}", "[1, 2.50, 1e400]", "{\"b\": 1, \"a\": 2, \"a\": 3}", "\"\\u0000\"", "  [ ]  "]

    private static let ten38 = (0..<38).reduce(Int128(1)) { product, _ in product * 10 }

    /// The values of a row: first the edges, then any.
    private struct Row {
        var values: [String?]
        init(_ row: Int, _ columns: inout [ColumnBuilder], _ random: inout SeededRandom) {
            func pick<T>(_ edges: [T], _ other: T) -> T { row < edges.count ? edges[row] : other }
            values = []
            func null() -> Bool { row > 12 && Int.random(in: 0..<5, using: &random) == 0 }
            func put<T: BitwiseCopyable>(_ index: Int, _ value: T, _ text: String) {
                if null() {
                    columns[index].appendNull()
                    values.append(nil)
                } else {
                    columns[index].append(value)
                    values.append(text)
                }
            }
            let flag = Bool.random(using: &random)
            put(3, flag, flag ? "t" : "f")
            let int = pick([0, 1, -1, .max, .min], Int64.random(in: .min ... .max, using: &random))
            put(4, int, "\(int)")
            let uint = pick([0, 1, .max, 10_000, 9_999, 100_000_000], UInt64.random(in: 0 ... .max, using: &random))
            put(5, uint, "\(uint)")
            let float = pick(
                [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1],
                Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))
            put(6, float, "\(float.bitPattern)")
            let magnitude = Int128(random.next()) * Int128(truncatingIfNeeded: random.next() >> 3)
            let decimal = pick(
                [0, 1, -1, ten38 - 1, 1 - ten38, 10_000, 99_990_000, 1_0000_0000_0000_0000], random.next() % 2 == 0 ? magnitude : -magnitude
            )
            put(7, decimal, "\(decimal)")
            let shift = Int.random(in: 0..<256, using: &random)
            let any = UInt256(high: UInt128(random.next()) << 64 | UInt128(random.next()), low: UInt128(random.next()) << 64)
            let wide = pick(
                [.zero, .max, UInt256(high: 1, low: 0), UInt256(low: .max), UInt256(10_000)],
                shift < 128 ? UInt256(low: any.low >> UInt128(shift)) : any)
            put(8, wide, wide.description)
            let time = pick(
                [0, -1, 1, .max, CopyBinaryEdge.first, 946_684_800_000_000], Int64.random(in: CopyBinaryEdge.first ... .max, using: &random)
            )
            put(9, time, "\(time)")
            func put(_ index: Int, _ bytes: [UInt8], _ text: String) {
                if null() {
                    columns[index].appendNull()
                    values.append(nil)
                } else {
                    columns[index].append(bytes: bytes)
                    values.append(text)
                }
            }
            let text = texts[row % texts.count]
            put(10, Array(text.utf8), text)
            let blob = (0..<[0, 1, 31, 300][row % 4]).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            put(11, blob, hex(blob))
            let hash = (0..<32).map { _ in pick([0, 255], UInt8.random(in: 0 ... .max, using: &random)) }
            put(12, hash, hex(hash))
            let json = jsons[row % jsons.count]
            put(13, Array(json.utf8), json)
        }
    }

    private enum CopyBinaryEdge { static let first: Int64 = -210_866_803_200_000_000 }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    @Test("edges and any other values, nulls and hostile texts", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(_ seed: UInt64) async throws {
        let server = try Server("types_\(seed)")
        let id = StreamID(pipeline: "p", chainID: 1)
        let stream = try await PostgresSink(server.options).open(id, tables: [Self.schema])
        var random = SeededRandom(seed: seed)
        var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
        var expected: [[String?]] = []
        for row in 0..<400 {
            columns[0].append(Int64(1))
            columns[1].append(Int64(7))
            columns[2].append(Int64(row))
            expected.append(Row(row, &columns, &random).values)
        }
        let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
        _ = try await stream.write(
            Batch(chainID: 1, span: span, tables: [Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: 400)]))
        #expect(try await stream.flush() == span.last)
        // The server says what it holds in its own words; times in microseconds, floats bit by bit.
        let found = try server.rows(
            """
            SELECT a_bool, a_int, a_uint, ('x' || encode(float8send(a_float), 'hex'))::bit(64)::bigint, a_decimal, a_wide,
              ('x' || encode(timestamptz_send(a_time), 'hex'))::bit(64)::bigint + 946684800000000, a_text, encode(a_blob, 'hex'),
              encode(a_hash, 'hex'), a_json
            FROM all_types ORDER BY row_number
            """)
        #expect(found.count == expected.count)
        for (row, (found, expected)) in zip(found, expected).enumerated() {
            var wanted = expected
            // SQL has no unsigned numbers.
            wanted[3] = wanted[3].flatMap { UInt64($0) }.map { "\(Int64(bitPattern: $0))" }
            #expect(found == wanted, "row \(row)")
        }
        let sums = try server.rows("SELECT sum(a_wide), max(a_wide), sum(a_uint) FROM all_types")
        #expect(sums[0][1] == UInt256.max.description)
    }
}
