import SluiceCore

/// Rows as Avro in the frame that Confluent's registry asks for: a zero, the schema's id, the value. Pure.
///
/// `uint64`, `decimal` and `uint256` are `bytes` of logical type `decimal`; times are `timestamp-micros`, JSON is text.
struct RowAvro {
    private let prefix: [UInt8]
    private let fields: [String]
    private let nullable: [Bool]
    /// The least magnitude that has more than 38 digits.
    private static let decimalEnd: UInt128 = 100_000_000_000_000_000_000_000_000_000_000_000_000

    /// - Parameter id: what the registry calls the schema.
    init(_ schema: Schema, id: UInt32) {
        prefix = [0] + withUnsafeBytes(of: id.bigEndian) { Array($0) }
        fields = schema.fields.map(\.name)
        nullable = schema.fields.map(\.nullable)
    }

    /// Writes the row, framed.
    /// - Returns: why Avro cannot hold it; nil when it can.
    func value(_ cells: borrowing RowCells, row: Int, into out: inout RecordBytes) -> String? {
        out.put(prefix)
        for index in nullable.indices {
            let cell = cells[index]
            if nullable[index] {
                let isNull = cell.isNull(row)
                // The branch of the union: 0 is null, 1 the value; doubled, as Avro writes signed numbers.
                out.put(isNull ? 0 : 2)
                if isNull { continue }
            }
            if let fault = Self.append(cell, row, to: &out) { return "\(fields[index]) \(fault)" }
        }
        return nil
    }

    /// - Returns: what is wrong with the value.
    private static func append(_ cell: RowCells.Cell, _ row: Int, to out: inout RecordBytes) -> String? {
        switch cell.type {
        case .bool: out.put(cell.load(row, as: UInt8.self) != 0 ? 1 : 0)
        case .int64, .timestamp: append(cell.load(row, as: Int64.self), to: &out)
        case .float64: out.store(cell.load(row, as: UInt64.self).littleEndian)
        case .uint64: appendDecimal((UInt64(0), cell.load(row, as: UInt64.self).bigEndian), to: &out)
        case .decimal:
            let number = cell.load(row, as: Int128.self)
            guard number.magnitude < decimalEnd else { return "has more than 38 digits" }
            appendDecimal(number.bigEndian, to: &out)
        case .uint256:
            let number = cell.load(row, as: UInt256.self)
            appendDecimal((UInt128(0), number.high.bigEndian, number.low.bigEndian), to: &out)
        case .fixedBytes(let width): out.put(cell.bytes(row, width: width))
        case .bytes, .string, .json:
            let bytes = cell.bytes(row)
            append(Int64(bytes.count), to: &out)
            out.put(bytes)
            guard cell.type == .bytes || UTF8Check.isValid(bytes) else { return "is not UTF-8" }
        }
        return nil
    }

    /// A number in groups of seven bits, the sign in the last.
    private static func append(_ number: Int64, to out: inout RecordBytes) {
        var rest = UInt64(bitPattern: number << 1 ^ number >> 63)
        while rest > 0x7F {
            out.put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.put(UInt8(truncatingIfNeeded: rest))
    }

    /// Two's complement, most significant byte first, as it lies in memory, in as few bytes as hold it.
    private static func appendDecimal<T>(_ number: T, to out: inout RecordBytes) {
        withUnsafeBytes(of: number) { bytes in
            var first = 0
            while first + 1 < bytes.count, bytes[first] == 0 && bytes[first + 1] < 0x80 || bytes[first] == 0xFF && bytes[first + 1] >= 0x80
            {
                first += 1
            }
            append(Int64(bytes.count - first), to: &out)
            out.put(UnsafeRawBufferPointer(rebasing: bytes[first...]))
        }
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
