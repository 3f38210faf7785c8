import SluiceDuckDB

/// Puts a frame together.
struct FrameWriter {
    private var bytes: [UInt8] = [0, 0, 0, 0]

    /// A name of its own: as `put`, a literal would become an Int.
    mutating func begin(kind: UInt8) { bytes.append(kind) }

    mutating func put<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }

    mutating func put(_ text: String) {
        put(UInt32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func put(_ texts: [String]) {
        put(UInt32(texts.count))
        for text in texts { put(text) }
    }

    mutating func put(_ value: DuckDBValue) {
        switch value {
        case .null: put(UInt8(0))
        case .bool(let value):
            put(UInt8(1))
            put(UInt8(value ? 1 : 0))
        case .int(let value): tagged(2, value)
        case .uint(let value): tagged(3, value)
        case .int128(let value): tagged(4, value)
        case .uint128(let value): tagged(5, value)
        case .bignum(let digits): tagged(6, digits)
        case .float(let value): tagged(7, value.bitPattern)
        case .double(let value): tagged(8, value.bitPattern)
        case .decimal(let digits): tagged(9, digits)
        case .text(let text): tagged(10, text)
        case .blob(let blob):
            put(UInt8(11))
            put(UInt32(blob.count))
            bytes.append(contentsOf: blob)
        case .date(let days): tagged(12, days)
        case .time(let micros): tagged(13, micros)
        case .timestamp(let micros, let utc): tagged(utc ? 15 : 14, micros)
        case .interval(let months, let days, let micros):
            tagged(16, months)
            put(days)
            put(micros)
        }
    }

    private mutating func tagged(_ tag: UInt8, _ value: some FixedWidthInteger) {
        put(tag)
        put(value)
    }

    private mutating func tagged(_ tag: UInt8, _ text: String) {
        put(tag)
        put(text)
    }

    consuming func finish() -> [UInt8] {
        let length = UInt32(bytes.count - 4)
        withUnsafeBytes(of: length.littleEndian) { length in for index in 0..<4 { bytes[index] = length[index] } }
        return bytes
    }
}
