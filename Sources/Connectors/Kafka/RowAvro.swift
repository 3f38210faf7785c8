import SluiceCore

/// Rows as Avro in the frame that Confluent's registry asks for: a zero, the schema's id, the value. Pure.
///
/// `uint64`, `decimal` and `uint256` are `bytes` of logical type `decimal`; times are `timestamp-micros`, JSON is text.
struct RowAvro {
    private let prefix: [UInt8]
    private let nullable: [Bool]

    /// - Parameter id: what the registry calls the schema.
    init(_ schema: Schema, id: UInt32) {
        prefix = [0] + withUnsafeBytes(of: id.bigEndian) { Array($0) }
        nullable = schema.fields.map(\.nullable)
    }

    /// The row, framed.
    func value(_ table: Table, row: Int, into out: inout [UInt8]) {
        out += prefix
        for index in nullable.indices {
            let column = table.columns[index]
            if nullable[index] {
                let isNull = column.isNull(row)
                // The branch of the union: 0 is null, 1 the value; doubled, as Avro writes signed numbers.
                out.append(isNull ? 0 : 2)
                if isNull { continue }
            }
            Self.append(column, row, to: &out)
        }
    }

    private static func append(_ column: Column, _ row: Int, to out: inout [UInt8]) {
        switch column.type {
        case .bool: out.append(column.load(row, as: UInt8.self) != 0 ? 1 : 0)
        case .int64, .timestamp: append(column.load(row, as: Int64.self), to: &out)
        case .float64: withUnsafeBytes(of: column.load(row, as: UInt64.self).littleEndian) { out.append(contentsOf: $0) }
        case .uint64: appendDecimal([0] + withUnsafeBytes(of: column.load(row, as: UInt64.self).bigEndian) { Array($0) }, to: &out)
        case .decimal: appendDecimal(withUnsafeBytes(of: column.load(row, as: Int128.self).bigEndian) { Array($0) }, to: &out)
        case .uint256: appendDecimal([0] + column.load(row, as: UInt256.self).bigEndianBytes, to: &out)
        case .fixedBytes: out.append(contentsOf: column.bytes(row))
        case .string, .bytes, .json:
            append(Int64(column.bytes(row).count), to: &out)
            out.append(contentsOf: column.bytes(row))
        }
    }

    /// A number in groups of seven bits, the sign in the last.
    private static func append(_ number: Int64, to out: inout [UInt8]) {
        var rest = UInt64(bitPattern: number << 1 ^ number >> 63)
        while rest > 0x7F {
            out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Two's complement, most significant byte first, in as few bytes as hold it.
    private static func appendDecimal(_ bytes: [UInt8], to out: inout [UInt8]) {
        var first = 0
        while first + 1 < bytes.count, bytes[first] == 0 && bytes[first + 1] < 0x80 || bytes[first] == 0xFF && bytes[first + 1] >= 0x80 {
            first += 1
        }
        append(Int64(bytes.count - first), to: &out)
        out += bytes[first...]
    }

    // MARK: - The schema

    /// The schema of a table's rows, as JSON.
    static func schema(_ table: Schema) -> String {
        var declared: Set<Int> = []
        let fields = table.fields.map { field in
            let type = type(field.type, &declared)
            let shape = field.nullable ? "[\"null\",\(type)],\"default\":null" : type
            return "{\"name\":\(name(field.name).jsonQuoted),\"type\":\(shape)"
                + (field.doc.isEmpty ? "" : ",\"doc\":\(field.doc.jsonQuoted)") + "}"
        }
        return
            "{\"type\":\"record\",\"name\":\(name(table.name).jsonQuoted),\"namespace\":\"sluice\",\"fields\":[\(fields.joined(separator: ","))]}"
    }

    private static func type(_ type: LogicalType, _ declared: inout Set<Int>) -> String {
        switch type {
        case .bool: return "\"boolean\""
        case .int64: return "\"long\""
        case .uint64: return decimal(20)
        case .float64: return "\"double\""
        case .decimal: return decimal(38)
        case .uint256: return decimal(78)
        case .timestamp: return "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"
        case .string, .json: return "\"string\""
        case .bytes: return "\"bytes\""
        case .fixedBytes(let count):
            // A named type is declared once, and named afterwards.
            guard declared.insert(count).inserted else { return "\"sluice.bytes\(count)\"" }
            return "{\"type\":\"fixed\",\"name\":\"bytes\(count)\",\"size\":\(count)}"
        }
    }

    private static func decimal(_ digits: Int) -> String {
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":\(digits),\"scale\":0}"
    }

    /// Avro's names are letters, digits and `_`, with no digit first.
    static func name(_ name: String) -> String {
        var bytes = name.utf8.map { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) ? byte : UInt8(ascii: "_")
        }
        if bytes.first.map({ (48...57).contains($0) }) ?? true { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
