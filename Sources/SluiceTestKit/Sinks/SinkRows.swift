import Foundation
public import SluiceCore

/// Rows as text, the same for all stores: integers, decimals and times (microseconds since 1970) in digits, floats as the digits of their bits
/// taken for a signed integer, `true` and `false`, bytes as `0x..`, text as it is, null as nil.
public enum SinkRows {
    /// A table's rows, each a list of values.
    public static func of(_ table: Table) -> [[String?]] {
        (0..<table.rowCount).map { row in table.columns.map { value($0, row) } }
    }

    /// A value; nil for null.
    public static func value(_ column: Column, _ row: Int) -> String? {
        if column.isNull(row) { return nil }
        switch column.type {
        case .bool: return column.load(row, as: UInt8.self) == 0 ? "false" : "true"
        case .int64, .timestamp: return "\(column.load(row, as: Int64.self))"
        case .uint64: return "\(column.load(row, as: UInt64.self))"
        case .float64: return "\(column.load(row, as: Int64.self))"
        case .decimal: return "\(column.load(row, as: Int128.self))"
        case .uint256: return column.load(row, as: UInt256.self).description
        case .string, .json: return String(decoding: column.bytes(row), as: UTF8.self)
        case .bytes, .fixedBytes: return Hex.text(Array(column.bytes(row)))
        }
    }

    /// Rows in one order, whatever order they came in.
    static func sorted(_ rows: [[String?]]) -> [[String?]] {
        rows.map { row in (row, row.map { $0.map { "1" + $0 } ?? "0" }.joined(separator: "\u{0}")) }
            .sorted { $0.1.utf8.lexicographicallyPrecedes($1.1.utf8) }.map(\.0)
    }

    /// What is different between rows that were found and those that should be; nil when nothing is.
    static func difference(_ found: [[String?]], _ expected: [[String?]], inOrder: Bool = false) -> String? {
        // By bytes: equality of strings would let differences pass that a store keeps.
        func bytes(_ rows: [[String?]]) -> [[[UInt8]?]] { (inOrder ? rows : sorted(rows)).map { $0.map { $0.map { Array($0.utf8) } } } }
        let (found, expected) = (bytes(found), bytes(expected))
        guard found != expected else { return nil }
        func shown(_ row: [[UInt8]?]) -> String {
            row.map { $0.map { String(String(decoding: $0, as: UTF8.self).debugDescription.prefix(60)) } ?? "nil" }.joined(separator: ", ")
        }
        let place = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(found.count, expected.count)
        let (one, other) = (place < found.count ? found[place] : nil, place < expected.count ? expected[place] : nil)
        guard let one, let other, one.count == other.count else {
            return
                "\(found.count) rows, not \(expected.count); row \(place): [\(one.map(shown) ?? "none")], not [\(other.map(shown) ?? "none")]"
        }
        let columns = one.indices.filter { one[$0] != other[$0] }
        func some(_ row: [[UInt8]?]) -> String { shown(columns.map { row[$0] }) }
        return "\(found.count) rows, \(expected.count) expected; row \(place), columns \(columns): [\(some(one))], not [\(some(other))]"
    }
}
