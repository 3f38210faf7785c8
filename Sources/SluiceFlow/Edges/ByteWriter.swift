/// Appends integers (little-endian), text and raw bytes to an array.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }

    /// Forgets what was written, and keeps the memory unless it is more than `keeping` bytes.
    mutating func clear(keeping: Int) { bytes.removeAll(keepingCapacity: bytes.capacity <= keeping) }

    /// Forgets what was written behind the first `count` bytes.
    mutating func cut(to count: Int) { bytes.removeLast(bytes.count - count) }

    mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A count or a length: never negative.
    mutating func append(count: Int) { append(UInt64(count)) }

    mutating func append(raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

    mutating func append(text: String) {
        append(count: text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes over what is there, which must reach that far.
    mutating func replace<T: FixedWidthInteger>(at offset: Int, with value: T) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self) }
    }
}
