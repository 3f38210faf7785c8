/// Writes one column, row by row. For derived tables and tests; what comes from JSON is written by the decoder.
public struct ColumnBuilder {
    public let type: LogicalType
    public private(set) var count = 0
    private var values: [UInt8] = []
    private var offsets: [Int32] = []
    private var validity: [UInt8] = []
    private var nullCount = 0

    /// An empty column of `type`, with room for `capacity` rows.
    public init(_ type: LogicalType, capacity: Int = 0) {
        self.type = type
        if let width = type.width {
            values.reserveCapacity(width * capacity)
        } else {
            offsets.reserveCapacity(capacity + 1)
            offsets.append(0)
        }
    }

    /// Appends a value of fixed width; `T` must have the width of the type.
    public mutating func append<T: BitwiseCopyable>(_ value: T) {
        precondition(MemoryLayout<T>.size == type.width, "a value of another width than the column's")
        withUnsafeBytes(of: value) { values.append(contentsOf: $0) }
        advance(valid: true)
    }

    /// Appends the bytes of a value; for fixed width they must be exactly as many as the width.
    public mutating func append(bytes: some Collection<UInt8>) {
        values.append(contentsOf: bytes)
        if let width = type.width { precondition(values.count == (count + 1) * width, "a value of another width than the column's") }
        advance(valid: true)
    }

    /// The same for raw memory, which is what the bytes of another column are.
    public mutating func append(bytes: UnsafeRawBufferPointer) {
        values.append(contentsOf: bytes)
        if let width = type.width { precondition(values.count == (count + 1) * width, "a value of another width than the column's") }
        advance(valid: true)
    }

    /// Appends text.
    public mutating func append(_ text: String) { append(bytes: text.utf8) }

    /// Appends a null.
    public mutating func appendNull() {
        if let width = type.width { values.append(contentsOf: repeatElement(0, count: width)) }
        advance(valid: false)
    }

    /// Appends row `row` of a column of the same type.
    public mutating func append(_ row: Int, of column: Column) {
        column.isNull(row) ? appendNull() : append(bytes: column.bytes(row))
    }

    private mutating func advance(valid: Bool) {
        if type.width == nil { offsets.append(Int32(values.count)) }
        if count & 7 == 0 { validity.append(0) }
        if valid { validity[count >> 3] |= 1 << UInt8(count & 7) } else { nullCount += 1 }
        count += 1
    }

    /// The column.
    public consuming func finish() -> Column {
        Column(
            type: type, count: count, nullCount: nullCount, values: Buffer(copying: values),
            offsets: type.width == nil ? offsets.withUnsafeBytes { Buffer(copying: $0) } : nil,
            validity: nullCount > 0 ? Buffer(copying: validity) : nil)
    }
}
