/// A column in Arrow layout: values, offsets for the types of variable length, a validity bitmap when something is null.
public struct Column: Sendable {
    public let type: LogicalType
    public let count: Int
    public let nullCount: Int
    /// Fixed width: `count * width` bytes. Variable length: the bytes of all values, one behind the other.
    public let values: Buffer
    /// `count + 1` offsets (Int32) into `values`; nil for fixed width.
    public let offsets: Buffer?
    /// Bit i (least significant first) is set when row i is not null; nil when none is null.
    public let validity: Buffer?

    /// Puts buffers together. The caller answers for their sizes; checked in debug builds.
    public init(type: LogicalType, count: Int, nullCount: Int, values: Buffer, offsets: Buffer?, validity: Buffer?) {
        assert(type.width.map { values.count >= count * $0 } ?? ((offsets?.count ?? 0) >= (count + 1) * 4))
        assert(nullCount == 0 || (validity?.count ?? 0) * 8 >= count)
        self.type = type
        self.count = count
        self.nullCount = nullCount
        self.values = values
        self.offsets = offsets
        self.validity = nullCount == 0 ? nil : validity
    }

    /// Whether row `row` is null.
    @inlinable public func isNull(_ row: Int) -> Bool {
        guard let validity else { return false }
        return validity.bytes[row >> 3] & (1 << UInt8(row & 7)) == 0
    }

    /// Reads one value of fixed width as a trivial type of the same width.
    @inlinable public func load<T: BitwiseCopyable>(_ row: Int, as type: T.Type = T.self) -> T {
        values.bytes.loadUnaligned(fromByteOffset: row * MemoryLayout<T>.size, as: T.self)
    }

    /// The bytes of one value. Valid only while the column is held. A null row of variable length is empty.
    @inlinable public func bytes(_ row: Int) -> UnsafeRawBufferPointer {
        if let width = type.width {
            return UnsafeRawBufferPointer(rebasing: values.bytes[row * width..<(row + 1) * width])
        }
        guard let offsets else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let start = Int(offsets.bytes.loadUnaligned(fromByteOffset: row * 4, as: Int32.self))
        let end = Int(offsets.bytes.loadUnaligned(fromByteOffset: row * 4 + 4, as: Int32.self))
        return UnsafeRawBufferPointer(rebasing: values.bytes[start..<end])
    }

    /// The unsigned integer in row `row`, nil when null. Only for columns of type `uint64`.
    public func uint64(_ row: Int) -> UInt64? { isNull(row) ? nil : load(row, as: UInt64.self) }

    /// Bytes of memory the column holds.
    public var byteCount: Int { values.count + (offsets?.count ?? 0) + (validity?.count ?? 0) }
}
