public import SluiceCore

/// PostgreSQL's binary format of COPY: a header, a tuple a row with the length before each value, a trailer.
/// Source: "COPY", File Formats, and the `*_recv` functions of the types (PostgreSQL 15 documentation and wire behaviour).
///
/// Types: bool `bool`, int64 `int8`, uint64, decimal and uint256 `numeric`, float64 `float8`, timestamp `timestamptz`, string `text`,
/// bytes and fixed bytes `bytea`, json `json`. Everything is big-endian.
public struct CopyBinary: ~Copyable {
    /// What begins a copy.
    public static let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [UInt8](repeating: 0, count: 8)
    /// What ends it.
    public static let trailer: [UInt8] = [0xFF, 0xFF]
    /// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
    public static let epoch: Int64 = 946_684_800_000_000
    /// The first instant that `timestamptz` holds, 4714-11-24 BC, in microseconds since 1970. Its last one lies behind all that we have.
    public static let firstInstant: Int64 = -210_866_803_200_000_000

    /// Where a value cannot be written.
    public struct Misfit: Error, Hashable, Sendable {
        public let row: Int
        public let field: String
        /// Why, for messages.
        public let reason: String
    }

    private var out: UnsafeMutableRawPointer
    private var capacity: Int
    private var count = 0
    private let chunk: Int

    /// - Parameter chunk: bytes that are gathered before they are handed on.
    public init(chunk: Int = 256 << 10) {
        self.chunk = max(chunk, 64)
        capacity = self.chunk + 4096
        out = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { out.deallocate() }

    /// Writes a whole copy of the rows of some tables of one schema; `send` is handed the bytes piece by piece.
    /// - Throws: ``Misfit`` before the row in question is sent, or what `send` throws.
    public mutating func encode(_ tables: [Table], send: (UnsafeRawBufferPointer) throws -> Void) throws {
        count = 0
        append(Self.header)
        for table in tables { try encode(table, send) }
        append(Self.trailer)
        try flush(send)
    }

    private mutating func encode(_ table: Table, _ send: (UnsafeRawBufferPointer) throws -> Void) throws {
        let fields = table.schema.fields
        let columns = table.columns
        // The most that a row takes beside its values of variable length: a numeric of 256 bits takes 4 + 8 + 40.
        let bound = 2 + columns.reduce(0) { $0 + 4 + max($1.type.width ?? 0, 52) }
        for row in 0..<table.rowCount {
            if count >= chunk { try flush(send) }
            var need = bound
            for column in columns where column.type.width == nil { need += column.bytes(row).count }
            reserve(need)
            store(Int16(columns.count))
            for (index, column) in columns.enumerated() {
                if column.isNull(row) {
                    store(Int32(-1))
                    continue
                }
                if let reason = value(column, row) {
                    throw Misfit(row: row, field: fields[index].name, reason: reason)
                }
            }
        }
    }

    /// Appends one value; returns why it cannot be written.
    @inline(__always)
    private mutating func value(_ column: Column, _ row: Int) -> String? {
        switch column.type {
        case .bool:
            store(Int32(1))
            store(column.load(row, as: UInt8.self) == 0 ? 0 : 1 as UInt8)
        case .int64:
            store(Int32(8))
            store(column.load(row, as: Int64.self))
        case .float64:
            store(Int32(8))
            store(column.load(row, as: UInt64.self))
        case .timestamp:
            let instant = column.load(row, as: Int64.self)
            guard instant >= Self.firstInstant else { return "timestamptz begins in 4714 BC" }
            store(Int32(8))
            store(instant - Self.epoch)
        case .uint64: numeric(UInt128(column.load(row, as: UInt64.self)), isNegative: false)
        case .decimal:
            let number = column.load(row, as: Int128.self)
            numeric(number.magnitude, isNegative: number < 0)
        case .uint256:
            let number = column.load(row, as: UInt256.self)
            if number.high == 0 { numeric(number.low, isNegative: false) } else { numeric(number) }
        case .string, .json:
            let bytes = column.bytes(row)
            if bytes.contains(0) { return "text holds no zero byte" }
            raw(bytes)
        case .bytes, .fixedBytes: raw(column.bytes(row))
        }
        return nil
    }

    // MARK: - Numerics

    /// Digits of base 10,000, least significant first, then written the other way round.
    private mutating func numeric(_ value: UInt128, isNegative: Bool) {
        var digits = (0 as UInt64, 0 as UInt64, 0 as UInt64)
        var number = value
        // 16 decimal digits a word: four digits of base 10,000.
        let word: UInt128 = 10_000_000_000_000_000
        if number < word {
            digits.0 = UInt64(truncatingIfNeeded: number)
            number = 0
        } else {
            let first = number.quotientAndRemainder(dividingBy: word)
            digits.0 = UInt64(truncatingIfNeeded: first.remainder)
            let second = first.quotient.quotientAndRemainder(dividingBy: word)
            digits.1 = UInt64(truncatingIfNeeded: second.remainder)
            digits.2 = UInt64(truncatingIfNeeded: second.quotient)
        }
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 12) { small in
            var index = 0
            for word in [digits.0, digits.1, digits.2] {
                var rest = word
                for _ in 0..<4 {
                    small[index] = UInt16(truncatingIfNeeded: rest % 10_000)
                    rest /= 10_000
                    index += 1
                }
            }
            numeric(small, isNegative: isNegative)
        }
    }

    private mutating func numeric(_ value: UInt256) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 20) { small in
            var rest = value
            for word in 0..<5 {
                let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10_000_000_000_000_000)
                var part = remainder
                for digit in 0..<4 {
                    small[word * 4 + digit] = UInt16(truncatingIfNeeded: part % 10_000)
                    part /= 10_000
                }
                rest = quotient
            }
            numeric(small, isNegative: false)
        }
    }

    /// - Parameter digits: least significant first, with zeros at the end.
    private mutating func numeric(_ digits: UnsafeMutableBufferPointer<UInt16>, isNegative: Bool) {
        var top = digits.count
        while top > 0, digits[top - 1] == 0 { top -= 1 }
        // Zeros at the low end are left out: the weight tells that they are there.
        var low = 0
        while low < top, digits[low] == 0 { low += 1 }
        let shown = top - low
        store(Int32(8 + 2 * shown))
        store(Int16(shown))
        store(Int16(shown == 0 ? 0 : top - 1))
        store(isNegative ? 0x4000 : 0 as UInt16)
        store(0 as UInt16)
        for index in stride(from: top - 1, through: low, by: -1) where shown > 0 { store(digits[index]) }
    }

    // MARK: - Bytes

    @inline(__always)
    private mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        out.storeBytes(of: value.bigEndian, toByteOffset: count, as: T.self)
        count += MemoryLayout<T>.size
    }

    @inline(__always)
    private mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        store(Int32(bytes.count))
        if let base = bytes.baseAddress, bytes.count > 0 {
            (out + count).copyMemory(from: base, byteCount: bytes.count)
            count += bytes.count
        }
    }

    private mutating func append(_ bytes: [UInt8]) {
        reserve(bytes.count)
        bytes.withUnsafeBytes { if let base = $0.baseAddress { (out + count).copyMemory(from: base, byteCount: $0.count) } }
        count += bytes.count
    }

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        let larger = max(capacity * 2, count + more)
        let next = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        next.copyMemory(from: out, byteCount: count)
        out.deallocate()
        (out, capacity) = (next, larger)
    }

    private mutating func flush(_ send: (UnsafeRawBufferPointer) throws -> Void) throws {
        defer { count = 0 }
        if count > 0 { try send(UnsafeRawBufferPointer(start: out, count: count)) }
    }
}
