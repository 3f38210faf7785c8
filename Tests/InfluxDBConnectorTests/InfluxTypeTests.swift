import SluiceCore
import SluiceTestKit
import Testing

@testable import InfluxDBConnector

/// Every logical type goes into the server and comes back without losing a bit, in the server's own words.
@Suite(.influxdb, .enabled(if: TestServices.hasInfluxDB, "InfluxDB is not installed: scripts/setup --test")) struct InfluxTypeTests {
    private static let schema = Schema(
        name: "all types", key: ["chain_id", "row_number"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("row_number", .int64, ""),
            Field("a_bool", .bool, nullable: true, ""), Field("a_int", .int64, nullable: true, ""),
            Field("a_uint", .uint64, nullable: true, ""), Field("a_float", .float64, nullable: true, ""),
            Field("a_decimal", .decimal, nullable: true, ""), Field("a_wide", .uint256, nullable: true, ""),
            Field("a_time", .timestamp, nullable: true, ""), Field("a_text", .string, nullable: true, ""),
            Field("a_blob", .bytes, nullable: true, ""), Field("a_hash", .fixedBytes(32), nullable: true, ""),
            Field("a_json", .json, nullable: true, ""), Field("a_tag", .string, nullable: true, ""),
        ])

    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}", "\\", "a\\", "a,b=c d\\,e", "100%", "%0A",
        "\n",
        "# comment", "''; DROP MEASUREMENT x; --", "\u{0}", String(repeating: "long ", count: 10_000),
    ]

    /// As anybody reads URLs. Foundation's own loses a mark of byte order.
    private static func decoded(_ text: String) -> String {
        if text == "%" { return "" }
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            out.append(byte == 0x25 ? UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0 : byte)
            if byte == 0x25 { rest = rest.dropFirst(2) }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func double(_ value: Any) -> Double? { value as? Double ?? (value as? Int64).map { Double($0) } }

    @Test("edges and any other values, nulls and hostile texts", arguments: [1, 2, 3] as [UInt64])
    func roundTrip(_ seed: UInt64) async throws {
        let server = try Server("types_\(seed)")
        let id = StreamID(pipeline: "p", chainID: 1)
        let sink = server.sink {
            $0.addsFloats = true
            $0.tables = ["all types": InfluxTableOptions(tags: ["a_tag"])]
        }
        let stream = try await sink.open(id, tables: [Self.schema])
        var random = SeededRandom(seed: seed)
        var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
        var expected: [[String: String]] = []
        for row in 0..<200 {
            var values: [String: String] = [:]
            func pick<T>(_ edges: [T], _ other: T) -> T { row < edges.count ? edges[row] : other }
            func isNull() -> Bool { row > 16 && Int.random(in: 0..<5, using: &random) == 0 }
            func put<T: BitwiseCopyable>(_ at: Int, _ value: T, _ text: String, _ suffix: String = "") {
                if isNull() { return columns[at].appendNull() }
                columns[at].append(value)
                values[Self.schema.fields[at].name + suffix] = text
            }
            func put(_ at: Int, _ bytes: [UInt8], _ text: String) {
                if isNull() { return columns[at].appendNull() }
                columns[at].append(bytes: bytes)
                values[Self.schema.fields[at].name] = text
            }
            columns[0].append(Int64(1))
            columns[1].append(Int64(7))
            columns[2].append(Int64(row))
            let flag = Bool.random(using: &random)
            put(3, flag, flag ? "1" : "0")
            let int = pick([0, 1, -1, .max, .min], Int64.random(in: .min ... .max, using: &random))
            put(4, int, "\(int)")
            let uint = pick([0, 1, .max, UInt64(Int64.max), UInt64(Int64.max) + 1], UInt64.random(in: 0 ... .max, using: &random))
            put(5, uint, "\(uint)", uint > UInt64(Int64.max) ? "_text" : "")
            let float = pick(
                [0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, .nan], Double(random.next() >> 3) / 7)
            put(6, float, float.isFinite ? "\(float.bitPattern)" : "\(float)", float.isFinite ? "" : "_text")
            let magnitude = Int128(random.next()) * Int128(truncatingIfNeeded: random.next() >> 3)
            let decimal = pick([0, 1, -1, Int128(Int64.max) + 1, -(Int128(1) << 126)], magnitude)
            put(7, decimal, "\(decimal)")
            let wide = pick(
                [.zero, .max, UInt256(high: 1, low: 0), UInt256(low: .max), UInt256(.max)],
                UInt256(high: UInt128(random.next() >> 32), low: UInt128(random.next())))
            put(8, wide, wide.description)
            let time = pick([0, -1, .max, .min], Int64.random(in: .min ... .max, using: &random))
            put(9, time, "\(time)")
            let text = Self.texts[row % Self.texts.count]
            put(10, Array(text.utf8), text)
            let blob = (0..<[0, 1, 31, 300][row % 4]).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            put(11, blob, Hex.text(blob))
            let hash = (0..<32).map { _ in pick([0, 255], UInt8.random(in: 0 ... .max, using: &random)) }
            put(12, hash, Hex.text(hash))
            put(13, Array("{\"a\": 1, \"a\": 2.50}".utf8), "{\"a\": 1, \"a\": 2.50}")
            put(14, Array(text.utf8), text)
            expected.append(values)
        }
        let span = Span(7, parentHash: .zero, block: BlockStamp(hash: SmallChain.hash(7), timestamp: 1_700_000_000))
        _ = try await stream.write(
            Batch(chainID: 1, span: span, tables: [Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: 200)]))
        #expect(try await stream.flush() == span.last)
        let found = try await server.ask("SELECT * FROM \"all types\"")
        #expect(found.count == 200)
        let names = Set(expected.flatMap(\.keys))
        for row in found {
            let number = try #require(row["row_number"] as? Int64)
            let values = expected[Int(number)]
            for name in names {
                let text: String? =
                    switch (name, row[name]) {
                    case (_, nil): nil
                    case ("a_float", let value?): "\(Self.double(value)?.bitPattern ?? 0)"
                    case ("a_tag", let value as String): Self.decoded(value)
                    case ("a_bool", let value as Bool): value ? "1" : "0"
                    case (_, let value as Int64): "\(value)"
                    case (_, let value?): "\(value)"
                    }
                #expect(text == values[name], "row \(number), \(name)")
            }
            if let wide = values["a_wide"] { #expect(row["a_wide_float"].flatMap(Self.double) == Double(wide)) }
        }
        let sums = try await server.ask("SELECT sum(a_wide_float) FROM \"all types\"")
        #expect((sums.first?["sum"].flatMap(Self.double) ?? 0) > 1e77)
    }
}
