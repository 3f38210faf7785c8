public import SluiceCore

/// Rows with two columns of every type, one that may be null and one that may not: values at the edges first, then any.
public enum EveryValue {
    /// What a store cannot hold of a type; it is to refuse those rows, never to change them.
    public struct Limits: Sendable {
        /// Microseconds since 1970.
        public var times: ClosedRange<Int64> = .min ... .max
        /// Texts with a zero byte.
        public var zeroBytes = true
        /// Of floats -0 is another value than 0.
        public var negativeZero = true
        /// A text of JSON that is `null` is another value than no text.
        public var jsonNulls = true
        /// Of floats there is one that is no number.
        public var notANumber = true

        public init() {}
    }

    private static let types: [(name: String, type: LogicalType)] = [
        ("bool", .bool), ("int", .int64), ("uint", .uint64), ("float", .float64), ("decimal", .decimal), ("wide", .uint256),
        ("time", .timestamp), ("text", .string), ("blob", .bytes), ("address", .fixedBytes(20)), ("hash", .fixedBytes(32)), ("json", .json),
    ]

    /// The table.
    public static let schema = Schema(
        name: "every_value", key: ["chain_id", "block_hash", "log_index"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("block_timestamp", .timestamp, ""), Field("log_index", .int64, ""),
        ] + types.map { Field("a_\($0.name)", $0.type, nullable: true, content: $0.name == "text" ? .repeating : .varied, "") }
            + types.map { Field("b_\($0.name)", $0.type, content: $0.name == "json" ? .patterned : .varied, "") })

    /// A block of the small chain with so many rows.
    public static func batch(_ number: UInt64, rows: Int, seed: UInt64, within limits: Limits, fork: UInt8 = 0) -> Batch {
        var random = SeededRandom(seed: seed)
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        let time = 1_700_000_000 + number * 12
        for row in 0..<rows {
            columns[0].append(Int64(1))
            columns[1].append(number)
            columns[2].append(bytes: SmallChain.hash(number, fork: fork).bytes)
            columns[3].append(Int64(time) * 1_000_000)
            columns[4].append(Int64(row))
            for index in 5..<columns.count {
                if schema.fields[index].nullable, row > 20, random.next() % 5 == 0 {
                    columns[index].appendNull()
                } else {
                    EveryType.put(row, &columns[index], &random, within: limits)
                }
            }
        }
        let span = Span(
            number, parentHash: SmallChain.hash(number - 1, fork: fork),
            block: BlockStamp(hash: SmallChain.hash(number, fork: fork), timestamp: time))
        return Batch(chainID: 1, span: span, tables: [Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: rows)])
    }
}
