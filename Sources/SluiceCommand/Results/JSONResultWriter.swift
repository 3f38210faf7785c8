public import SluiceDuckDB

/// An array of objects, one a line.
public struct JSONResultWriter: ResultWriter {
    private let out: TextSink
    private var names: [String] = []
    private var isFirst = true

    public init(_ out: @escaping TextSink) { self.out = out }

    public mutating func begin(_ columns: [String]) {
        names = columns.map(JSON.quoted)
        out("[")
    }

    public mutating func rows(_ rows: [[DuckDBValue]]) {
        var text = ""
        for row in rows {
            text += isFirst ? "\n{" : ",\n{"
            isFirst = false
            for (index, value) in row.enumerated() {
                if index > 0 { text += "," }
                text += names[index] + ":" + Self.json(value).compact
            }
            text += "}"
        }
        out(text)
    }

    public mutating func end() { out(isFirst ? "]\n" : "\n]\n") }

    /// A value as JSON: exact integers beyond 2^53 and decimals as strings, bytes as `0x` hex, what JSON has no number for as text.
    public static func json(_ value: DuckDBValue) -> JSON {
        switch value {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .integer(value)
        case .uint(let value): .integer(value)
        case .int128(let value): .integer(value)
        case .uint128(let value): .integer(value)
        case .bignum(let digits): Int64(digits).map { .integer($0) } ?? .string(digits)
        case .float(let value): value.isFinite ? .number("\(value)") : .string("\(value)")
        case .double(let value): value.isFinite ? .number("\(value)") : .string("\(value)")
        default: .string(value.description)
        }
    }
}
