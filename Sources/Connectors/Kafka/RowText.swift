import SluiceCore

/// Rows as JSON, and their keys. Pure.
///
/// Whole numbers of 64 bits are numbers; longer ones are text in decimal digits. Bytes are text in hex behind `0x`, times are
/// microseconds since 1970, JSON stands as it came. What JSON has no number for is `"NaN"`, `"Infinity"`, `"-Infinity"`.
struct RowText {
    private let fields: [String]
    /// What stands before each value, one behind the other, and where each ends.
    private let names: [UInt8]
    private let ends: [Int]
    /// The places of the key's fields.
    let key: [Int]

    init(_ schema: Schema) {
        var (names, ends) = ([UInt8](), [Int]())
        for (index, field) in schema.fields.enumerated() {
            names += Array(((index == 0 ? "{" : ",") + field.name.jsonQuoted + ":").utf8)
            ends.append(names.count)
        }
        (self.names, self.ends) = (names, ends)
        fields = schema.fields.map(\.name)
        key = schema.key.compactMap { schema.index(of: $0) }
    }

    /// Writes the row as an object, its fields in the order of the schema.
    /// - Returns: why JSON cannot hold it; nil when it can.
    func value(_ cells: borrowing RowCells, row: Int, into out: inout RecordBytes) -> String? {
        var start = 0
        for index in ends.indices {
            let end = ends[index]
            names.withUnsafeBytes { out.put(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
            start = end
            if let fault = Self.append(cells[index], row, to: &out) { return "\(fields[index]) \(fault)" }
        }
        out.put(UInt8(ascii: "}"))
        return nil
    }

    /// Writes the values of the key fields as an array.
    /// - Returns: why JSON cannot hold it; nil when it can.
    func key(_ cells: borrowing RowCells, row: Int, into out: inout RecordBytes) -> String? {
        out.put(UInt8(ascii: "["))
        for place in key.indices {
            if place > 0 { out.put(UInt8(ascii: ",")) }
            if let fault = Self.append(cells[key[place]], row, to: &out) { return "\(fields[key[place]]) \(fault)" }
        }
        out.put(UInt8(ascii: "]"))
        return nil
    }

    /// - Returns: what is wrong with the value.
    private static func append(_ cell: RowCells.Cell, _ row: Int, to out: inout RecordBytes) -> String? {
        if cell.isNull(row) {
            out.put("null")
            return nil
        }
        switch cell.type {
        case .bool: cell.load(row, as: UInt8.self) != 0 ? out.put("true") : out.put("false")
        case .int64, .timestamp: out.digits(cell.load(row, as: Int64.self))
        case .uint64: out.digits(cell.load(row, as: UInt64.self))
        case .float64: append(cell.load(row, as: Double.self), to: &out)
        case .decimal:
            let number = cell.load(row, as: Int128.self)
            out.put(UInt8(ascii: "\""))
            if number < 0 { out.put(UInt8(ascii: "-")) }
            out.digits(UInt256(low: number.magnitude))
            out.put(UInt8(ascii: "\""))
        case .uint256:
            out.put(UInt8(ascii: "\""))
            out.digits(cell.load(row, as: UInt256.self))
            out.put(UInt8(ascii: "\""))
        case .string:
            guard out.quoted(cell.bytes(row)) else { return "is not UTF-8" }
        case .bytes: append(cell.bytes(row), to: &out)
        case .fixedBytes(let width): append(cell.bytes(row, width: width), to: &out)
        case .json:
            let text = cell.bytes(row)
            if text.isEmpty { out.put("null") } else { out.put(text) }
            guard text.isEmpty || JSONCheck.isValid(text) else { return "is not JSON" }
        }
        return nil
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, to out: inout RecordBytes) {
        out.put("\"0x")
        out.hex(bytes)
        out.put(UInt8(ascii: "\""))
    }

    private static func append(_ number: Double, to out: inout RecordBytes) {
        if number.isNaN {
            out.put("\"NaN\"")
        } else if number.isInfinite {
            number < 0 ? out.put("\"-Infinity\"") : out.put("\"Infinity\"")
        } else {
            // The shortest digits that give the same bits again.
            out.put(number.description)
        }
    }
}
