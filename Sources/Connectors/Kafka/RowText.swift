import SluiceCore

/// Rows as JSON, and their keys. Pure.
///
/// Whole numbers of 64 bits are numbers; longer ones are text in decimal digits. Bytes are text in hex behind `0x`, times are
/// microseconds since 1970, JSON stands as it came. What JSON has no number for is `"NaN"`, `"Infinity"`, `"-Infinity"`.
struct RowText {
    private let prefixes: [[UInt8]]
    private let key: [Int]

    init(_ schema: Schema) {
        prefixes = schema.fields.enumerated().map { index, field in
            Array(((index == 0 ? "{" : ",") + field.name.jsonQuoted + ":").utf8)
        }
        key = schema.key.compactMap { schema.index(of: $0) }
    }

    /// The row as an object, its fields in the order of the schema.
    func value(_ table: Table, row: Int, into out: inout [UInt8]) {
        for index in prefixes.indices {
            out += prefixes[index]
            Self.append(table.columns[index], row, to: &out)
        }
        out.append(UInt8(ascii: "}"))
    }

    /// The values of the key fields as an array.
    func key(_ table: Table, row: Int, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "["))
        for (place, index) in key.enumerated() {
            if place > 0 { out.append(UInt8(ascii: ",")) }
            Self.append(table.columns[index], row, to: &out)
        }
        out.append(UInt8(ascii: "]"))
    }

    private static func append(_ column: Column, _ row: Int, to out: inout [UInt8]) {
        if column.isNull(row) {
            out += "null".utf8
            return
        }
        switch column.type {
        case .bool: out += (column.load(row, as: UInt8.self) != 0 ? "true" : "false").utf8
        case .int64, .timestamp: out += String(column.load(row, as: Int64.self)).utf8
        case .uint64: out += String(column.load(row, as: UInt64.self)).utf8
        case .float64: append(column.load(row, as: Double.self), to: &out)
        case .decimal: appendQuoted(String(column.load(row, as: Int128.self)), to: &out)
        case .uint256: appendQuoted(column.load(row, as: UInt256.self).description, to: &out)
        case .string: appendText(column.bytes(row), to: &out)
        case .bytes, .fixedBytes: appendHex(column.bytes(row), to: &out)
        case .json: column.bytes(row).isEmpty ? out += "null".utf8 : out.append(contentsOf: column.bytes(row))
        }
    }

    private static func append(_ number: Double, to out: inout [UInt8]) {
        if number.isNaN {
            appendQuoted("NaN", to: &out)
        } else if number.isInfinite {
            appendQuoted(number < 0 ? "-Infinity" : "Infinity", to: &out)
        } else {
            // The shortest digits that give the same bits again.
            out += number.description.utf8
        }
    }

    private static func appendQuoted(_ digits: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        out += digits.utf8
        out.append(UInt8(ascii: "\""))
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func appendHex(_ bytes: UnsafeRawBufferPointer, to out: inout [UInt8]) {
        out += [UInt8(ascii: "\""), UInt8(ascii: "0"), UInt8(ascii: "x")]
        digits.withUnsafeBufferPointer { digits in
            for byte in bytes {
                out.append(digits[Int(byte >> 4)])
                out.append(digits[Int(byte & 15)])
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func appendText(_ bytes: UnsafeRawBufferPointer, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                out.append(UInt8(ascii: "\\"))
                out.append(byte)
            case 0..<0x20: out += [0x5C, 0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}
