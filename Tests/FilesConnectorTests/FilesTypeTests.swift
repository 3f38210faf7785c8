import FilesConnector
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// Every logical type goes into a file and comes back without losing a bit.
@Suite struct FilesTypeTests {
    private static let names = [
        "a_bool", "a_int", "a_uint", "a_float", "a_decimal", "a_wide", "a_time", "a_text", "a_blob", "a_hash", "a_json",
    ]
    private static let types: [LogicalType] = [
        .bool, .int64, .uint64, .float64, .decimal, .uint256, .timestamp, .string, .bytes, .fixedBytes(32), .json,
    ]
    private static let schema = Schema(
        name: "all_types", key: ["block_number"], doc: "",
        fields: [Field("block_number", .int64, "")] + zip(names, types).map { Field($0, $1, nullable: true, "") })
    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}\u{2028}", "\\N", "NULL", "null", ",", "\"",
        "\"\"", "\r\n",
        "\u{0}\u{1}\u{1F}\u{7F}", "\"block_number\":9", "=1+1", String(repeating: "long,\"", count: 20_000),
    ]
    private static let jsons = ["null", "{}", "[1, 2.50, 1e400]", "{\"b\": 1, \"a\": 2, \"a\": 3}", "\"\\u0000\"", "  [ ]\n "]
    private static let ten38 = (0..<38).reduce(Int128(1)) { product, _ in product * 10 }

    @Test("edges and any other values, nulls and hostile texts", arguments: TextRows.Format.allCases, [1, 2] as [UInt64])
    func roundTrip(_ format: TextRows.Format, seed: UInt64) async throws {
        try await withFolder { folder in
            var random = SeededRandom(seed: seed)
            var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
            var expected: [[String?]] = []
            for row in 0..<300 {
                columns[0].append(Int64(7))
                expected.append(
                    (1...Self.types.count).map { index in
                        // Python's csv knows no null beside an empty text.
                        let isNull =
                            row > 20 && Int.random(in: 0..<5, using: &random) == 0 && !(format == .csv && Self.types[index - 1] == .string)
                        if isNull {
                            columns[index].appendNull()
                            return nil
                        }
                        return Self.put(row, &columns[index], &random)
                    })
            }
            let sink = FilesSink(FilesSinkOptions(format, directory: folder))
            let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [Self.schema])
            let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
            let table = Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: 300)
            _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
            #expect(try await stream.flush() == span.last)
            let found = try Reader.rows(format, folder, "all_types", Self.names)
            #expect(found.count == expected.count)
            for (row, (found, expected)) in zip(found, expected).enumerated() { #expect(found == expected, "row \(row)") }
            // A search for an end reads all of it, too.
            try await stream.finalized(100)
            let next = Span(first: 8, parentHash: span.last.hash, blocks: [BlockStamp(hash: SmallChain.hash(8), timestamp: 1)])
            _ = try await stream.write(Batch(chainID: 1, span: next, tables: []))
            _ = try await stream.flush()
            try await stream.rollback(to: span.last)
            #expect(try Reader.rows(format, folder, "all_types", Self.names) == found)
            await sink.close()
        }
    }

    /// Appends a value, of the edges first, and returns what should be read.
    private static func put(_ row: Int, _ column: inout ColumnBuilder, _ random: inout SeededRandom) -> String {
        func pick<T>(_ edges: [T], _ other: T) -> T { row < edges.count ? edges[row] : other }
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in pick([0, 255], UInt8.random(in: 0 ... .max, using: &random)) } }
        switch column.type {
        case .bool:
            let flag = Bool.random(using: &random)
            column.append(flag)
            return "\(flag)"
        case .int64, .timestamp:
            // The second from the last of a leap year, of a century, of a year without a number, and the edges.
            let edges: [Int64] = [
                0, 1, -1, .max, .min, 951_868_799_999_999, -62_167_219_200_000_001, 253_402_300_800_000_000, 4_107_542_399_000_000,
            ]
            let value = pick(edges, Int64.random(in: .min ... .max, using: &random))
            column.append(value)
            return "\(value)"
        case .uint64:
            let value = pick([0, 1, .max, 9, 10], UInt64.random(in: 0 ... .max, using: &random))
            column.append(value)
            return "\(value)"
        case .float64:
            let edges: [Double] = [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, 1e16, 1e-7]
            let value = pick(edges, Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))
            column.append(value)
            return "\(Int64(bitPattern: value.bitPattern))"
        case .decimal:
            let any = Int128(random.next()) * Int128(truncatingIfNeeded: random.next() >> 3)
            let value = pick([0, 1, -1, ten38 - 1, 1 - ten38], random.next() % 2 == 0 ? any : -any)
            column.append(value)
            return "\(value)"
        case .uint256:
            let any = UInt256(high: UInt128(random.next()) << 64 | UInt128(random.next()), low: UInt128(random.next()) << 64)
            let ten19 = UInt256(10_000_000_000_000_000_000)
            let value = pick([.zero, .max, UInt256(high: 1, low: 0), UInt256(low: .max), ten19, UInt256(UInt64.max)], any)
            column.append(value)
            return value.description
        case .string, .json:
            let all = column.type == .json ? jsons : texts
            column.append(all[row % all.count])
            return all[row % all.count]
        case .bytes, .fixedBytes:
            let value = bytes(column.type.width ?? [0, 1, 31, 300][row % 4])
            column.append(bytes: value)
            return Hex.text(value)
        }
    }
}
