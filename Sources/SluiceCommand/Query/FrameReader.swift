import SluiceDuckDB

/// Takes a frame apart; nil wherever the bytes end early or make no sense.
struct FrameReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    mutating func byte() -> UInt8? { integer(UInt8.self) }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        let size = T.bitWidth / 8
        guard bytes.count - at >= size else { return nil }
        var value: T = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[at..<at + size]) }
        at += size
        return T(littleEndian: value)
    }

    mutating func slice() -> ArraySlice<UInt8>? {
        guard let count = integer(UInt32.self), bytes.count - at >= Int(count) else { return nil }
        defer { at += Int(count) }
        return bytes[at..<at + Int(count)]
    }

    mutating func text() -> String? { slice().flatMap { String(validating: $0, as: UTF8.self) } }

    mutating func texts() -> [String]? {
        guard let count = integer(UInt32.self), Int(count) <= bytes.count - at else { return nil }
        var out: [String] = []
        for _ in 0..<count {
            guard let text = text() else { return nil }
            out.append(text)
        }
        return out
    }

    mutating func rows() -> [[DuckDBValue]]? {
        guard let count = integer(UInt32.self), let width = integer(UInt32.self), width > 0 || count == 0,
            UInt64(count) * UInt64(width) <= UInt64(bytes.count - at)
        else { return nil }
        var rows: [[DuckDBValue]] = []
        rows.reserveCapacity(Int(count))
        for _ in 0..<count {
            var row: [DuckDBValue] = []
            row.reserveCapacity(Int(width))
            for _ in 0..<width {
                guard let value = value() else { return nil }
                row.append(value)
            }
            rows.append(row)
        }
        return rows
    }

    private mutating func value() -> DuckDBValue? {
        guard let tag = byte() else { return nil }
        switch tag {
        case 0: return .null
        case 1: return byte().map { .bool($0 != 0) }
        case 2: return integer(Int64.self).map { .int($0) }
        case 3: return integer(UInt64.self).map { .uint($0) }
        case 4: return integer(Int128.self).map { .int128($0) }
        case 5: return integer(UInt128.self).map { .uint128($0) }
        case 6: return text().map { .bignum($0) }
        case 7: return integer(UInt32.self).map { .float(Float(bitPattern: $0)) }
        case 8: return integer(UInt64.self).map { .double(Double(bitPattern: $0)) }
        case 9: return text().map { .decimal($0) }
        case 10: return text().map { .text($0) }
        case 11: return slice().map { .blob(Array($0)) }
        case 12: return integer(Int32.self).map { .date($0) }
        case 13: return integer(Int64.self).map { .time($0) }
        case 14: return integer(Int64.self).map { .timestamp($0, utc: false) }
        case 15: return integer(Int64.self).map { .timestamp($0, utc: true) }
        case 16:
            guard let months = integer(Int32.self), let days = integer(Int32.self), let micros = integer(Int64.self) else { return nil }
            return .interval(months: months, days: days, micros: micros)
        default: return nil
        }
    }
}
