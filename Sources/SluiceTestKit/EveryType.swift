public import SluiceCore

/// A table with a column of every type: values at the edges first, then any, some of them null.
public enum EveryType {
    /// The columns, but for the block's number.
    public static let names = [
        "a_bool", "a_int", "a_uint", "a_float", "a_decimal", "a_wide", "a_time", "a_text", "a_blob", "a_hash", "a_json",
    ]
    private static let types: [LogicalType] = [
        .bool, .int64, .uint64, .float64, .decimal, .uint256, .timestamp, .string, .bytes, .fixedBytes(32), .json,
    ]
    /// One block's rows.
    public static let schema = Schema(
        name: "all_types", key: ["block_number"], doc: "",
        fields: [Field("block_number", .int64, ""), Field("row", .int64, "")] + zip(names, types).map { Field($0, $1, nullable: true, "") })
    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}\u{2028}", "\\N", "NULL", "null", ",", "\"",
        "\"\"", "\r\n",
        "\u{0}\u{1}\u{1F}\u{7F}", "\"block_number\":9", "=1+1", String(repeating: "long,\"", count: 20_000),
    ]
    private static let jsons = ["null", "{}", "[1, 2.50, 1e400]", "{\"b\": 1, \"a\": 2, \"a\": 3}", "\"\\u0000\"", "  [ ]\n "]
    private static let ten38 = (0..<38).reduce(Int128(1)) { product, _ in product * 10 }

    /// Rows of block 7, and what a reader should find under `names`: floats as the digits of their bits, times as microseconds.
    /// - Parameter textsAreNull: whether a text may be null.
    public static func rows(_ count: Int, seed: UInt64, textsAreNull: Bool) -> (table: Table, expected: [[String?]]) {
        var random = SeededRandom(seed: seed)
        var limits = EveryValue.Limits()
        limits.notANumber = false
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        var expected: [[String?]] = []
        for row in 0..<count {
            columns[0].append(Int64(7))
            columns[1].append(Int64(row))
            expected.append(
                types.indices.map { index in
                    let canBeNull = textsAreNull || types[index] != .string
                    if row > 20, Int.random(in: 0..<5, using: &random) == 0, canBeNull {
                        columns[index + 2].appendNull()
                        return nil
                    }
                    return put(row, &columns[index + 2], &random, within: limits)
                })
        }
        return (Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: count), expected)
    }

    /// Appends a value, of the edges first, and returns what should be read.
    @discardableResult
    static func put(_ row: Int, _ column: inout ColumnBuilder, _ random: inout SeededRandom, within limits: EveryValue.Limits = .init())
        -> String
    {
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
            let any = pick(edges, Int64.random(in: .min ... .max, using: &random))
            let times = limits.times
            let value = column.type == .int64 ? any : min(max(any, times.lowerBound), times.upperBound)
            column.append(value)
            return "\(value)"
        case .uint64:
            let value = pick([0, 1, .max, 9, 10], UInt64.random(in: 0 ... .max, using: &random))
            column.append(value)
            return "\(value)"
        case .float64:
            let edges: [Double] = [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, 1e16, 1e-7]
            var value = pick(edges + (limits.notANumber ? [.nan] : []), Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))
            if !limits.negativeZero, value == 0 { value = 0 }
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
            let all =
                column.type == .json
                ? jsons.filter { limits.jsonNulls || $0 != "null" } : limits.zeroBytes ? texts : texts.filter { !$0.utf8.contains(0) }
            column.append(all[row % all.count])
            return all[row % all.count]
        case .bytes, .fixedBytes:
            let value = bytes(column.type.width ?? [0, 1, 31, 300][row % 4])
            column.append(bytes: value)
            return Hex.text(value)
        }
    }
}
