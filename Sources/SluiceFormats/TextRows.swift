public import SluiceCore

/// Rows as text, without losing a bit: lines of JSON or of CSV, or values one by one.
///
/// | type | text |
/// |---|---|
/// | bool | `true`, `false` |
/// | int64, uint64 | decimal digits; a number in JSON |
/// | decimal, uint256 | decimal digits; a string in JSON, because many readers make numbers doubles |
/// | float64 | the shortest digits that give it back; `NaN`, `Infinity` and `-Infinity` are strings in JSON |
/// | timestamp | `2023-11-14T22:13:20.000000Z`; years beyond four digits with a sign and six digits |
/// | string | as it is |
/// | bytes, fixed bytes | `0x` and two lower-case digits a byte |
/// | json | the text as it came; a string in JSON, so that nothing of it changes |
///
/// A null is `null` in JSON, and nothing in CSV, where a text without characters is `""`. CSV is that of RFC 4180 with a line feed behind
/// each line: a field is quoted when it holds a quote, a comma or the end of a line, or nothing.
public struct TextRows: ~Copyable {
    public enum Format: String, Sendable, Hashable, CaseIterable {
        case csv, jsonl
    }

    /// A column as plain memory: whoever reads value by value through its buffers counts references most of the time.
    private struct Cell {
        let type: LogicalType
        let values: UnsafeRawBufferPointer
        let offsets: UnsafeRawPointer?
        let validity: UnsafeRawPointer?
        /// What stands before a value in a line, such as `,"number":`.
        var prefix = UnsafeRawBufferPointer(start: nil, count: 0)

        init(_ column: Column) {
            type = column.type
            values = column.values.bytes
            offsets = column.offsets?.bytes.baseAddress
            validity = column.validity?.bytes.baseAddress
        }

        @inline(__always)
        func isNull(_ row: Int) -> Bool {
            guard let validity else { return false }
            return validity.load(fromByteOffset: row >> 3, as: UInt8.self) & (1 << UInt8(row & 7)) == 0
        }

        @inline(__always)
        func load<T: BitwiseCopyable>(_ row: Int, as type: T.Type = T.self) -> T {
            values.loadUnaligned(fromByteOffset: row * MemoryLayout<T>.size, as: T.self)
        }

        @inline(__always)
        func bytes(_ row: Int) -> UnsafeRawBufferPointer {
            if case .fixedBytes(let width) = type { return UnsafeRawBufferPointer(rebasing: values[row * width..<(row + 1) * width]) }
            guard let offsets else { return UnsafeRawBufferPointer(start: nil, count: 0) }
            let start = Int(offsets.loadUnaligned(fromByteOffset: row * 4, as: Int32.self))
            let end = Int(offsets.loadUnaligned(fromByteOffset: row * 4 + 4, as: Int32.self))
            return UnsafeRawBufferPointer(rebasing: values[start..<end])
        }
    }

    private let format: Format
    private var out: UnsafeMutableRawPointer
    private var capacity = 64 << 10
    /// Bytes that were written and not handed over.
    public private(set) var count = 0
    /// What stands before the values of a row of `named`, one behind the other.
    private var prefixes = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)
    private var prefixEnds: [Int] = []
    private var named: Schema?
    /// Whose memory `cells` looks at: it is held for as long as they do.
    private var table: Table?
    private var cells = UnsafeMutableBufferPointer<Cell>.allocate(capacity: 0)
    /// What every line of JSON of a table begins with, behind the brace.
    private let member: String?

    /// - Parameter member: a first member that every line of JSON has, with the table's name.
    public init(_ format: Format, member: String? = nil) {
        self.format = format
        self.member = member
        out = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit {
        out.deallocate()
        prefixes.deallocate()
        cells.deallocate()
    }

    /// Hands over what was written, and forgets it.
    public mutating func take<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        defer { count = 0 }
        return try body(bytes)
    }

    /// What was written and not handed over; valid until more is written.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: out, count: count) }

    /// Forgets what was written.
    public mutating func clear() { count = 0 }

    /// The names of the columns, which a file of CSV begins with; nothing for JSON.
    public mutating func header(_ schema: Schema) {
        guard format == .csv else { return }
        for (index, field) in schema.fields.enumerated() {
            if index > 0 { byte(UInt8(ascii: ",")) }
            quoted(Array(field.name.utf8))
        }
        byte(UInt8(ascii: "\n"))
    }

    // MARK: - Rows

    /// Begins with a table, which is held until the next one, or until ``release()``.
    public mutating func begin(_ table: Table) {
        if named != table.schema { learn(table.schema) }
        cells.deallocate()
        cells = .allocate(capacity: table.columns.count)
        var start = 0
        for index in table.columns.indices {
            var cell = Cell(table.columns[index])
            cell.prefix = UnsafeRawBufferPointer(rebasing: prefixes[start..<prefixEnds[index]])
            cells.initializeElement(at: index, to: cell)
            start = prefixEnds[index]
        }
        self.table = table
    }

    /// Lets go of the table.
    public mutating func release() {
        cells.deallocate()
        cells = .allocate(capacity: 0)
        table = nil
    }

    /// Lines of some rows.
    public mutating func append(_ table: Table, rows: Range<Int>) {
        begin(table)
        for row in rows { line(row) }
        release()
    }

    /// The line of a row of the table.
    public mutating func line(_ row: Int) {
        if format == .csv {
            for index in 0..<cells.count {
                let cell = cells[index]
                raw(cell.prefix)
                csv(cell, row)
            }
        } else {
            for index in 0..<cells.count {
                let cell = cells[index]
                raw(cell.prefix)
                json(cell, row)
            }
            byte(UInt8(ascii: "}"))
        }
        byte(UInt8(ascii: "\n"))
    }

    /// Whether a value of the table is null.
    public func isNull(_ column: Int, _ row: Int) -> Bool { cells[column].isNull(row) }

    /// The bare text of a value of the table that is not null.
    public mutating func value(_ column: Int, _ row: Int) { value(cells[column], row) }

    /// Text as it is.
    public mutating func text(_ bytes: UnsafeRawBufferPointer) { raw(bytes) }
    public mutating func text(_ text: String) { raw(text) }

    /// Decimal digits.
    public mutating func number(_ number: UInt64) { digits(number) }

    /// Puts something else in the place of what was written behind the first bytes.
    public mutating func replace(behind start: Int, by body: (UnsafeRawBufferPointer) -> [UInt8]) {
        let next = body(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        count = start
        raw(next)
    }

    private mutating func learn(_ schema: Schema) {
        named = schema
        var all: [UInt8] = []
        prefixEnds = []
        for (index, field) in schema.fields.enumerated() {
            if format == .csv {
                if index > 0 { all.append(UInt8(ascii: ",")) }
            } else {
                let first = member.map { "{\($0.jsonQuoted):\(schema.name.jsonQuoted)," } ?? "{"
                all += Array(((index == 0 ? first : ",") + field.name.jsonQuoted + ":").utf8)
            }
            prefixEnds.append(all.count)
        }
        prefixes.deallocate()
        prefixes = .allocate(byteCount: all.count, alignment: 1)
        prefixes.copyBytes(from: all)
    }

    // MARK: - Values

    private mutating func json(_ column: Cell, _ row: Int) {
        if column.isNull(row) { return raw("null") }
        switch column.type {
        case .bool, .int64, .uint64: value(column, row)
        case .float64:
            if column.load(row, as: Double.self).isFinite { value(column, row) } else { inQuotes(column, row) }
        case .decimal, .uint256, .timestamp, .bytes, .fixedBytes: inQuotes(column, row)
        case .string, .json: escaped(column.bytes(row))
        }
    }

    private mutating func csv(_ column: Cell, _ row: Int) {
        if column.isNull(row) { return }
        switch column.type {
        case .string, .json: quoted(column.bytes(row))
        default: value(column, row)
        }
    }

    /// The bare text of a value that is not null.
    private mutating func value(_ column: Cell, _ row: Int) {
        switch column.type {
        case .bool: raw(column.load(row, as: UInt8.self) == 0 ? "false" : "true")
        case .int64:
            let number = column.load(row, as: Int64.self)
            if number < 0 { byte(UInt8(ascii: "-")) }
            digits(number.magnitude)
        case .uint64: digits(column.load(row, as: UInt64.self))
        case .float64:
            let number = column.load(row, as: Double.self)
            raw(number.isFinite ? number.description : number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity")
        case .decimal:
            let number = column.load(row, as: Int128.self)
            if number < 0 { byte(UInt8(ascii: "-")) }
            digits(UInt256(low: number.magnitude))
        case .uint256: digits(column.load(row, as: UInt256.self))
        case .timestamp: timestamp(column.load(row, as: Int64.self))
        case .string, .json: raw(column.bytes(row))
        case .bytes, .fixedBytes: hex(column.bytes(row))
        }
    }

    private mutating func digits(_ number: UInt64, width: Int = 1) {
        var (length, bound) = (1, 10 as UInt64)
        while number >= bound {
            length += 1
            if length == 20 { break }
            bound &*= 10
        }
        length = max(length, width)
        reserve(length)
        var (at, rest) = (out + count + length, number)
        for _ in 0..<length {
            at -= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            at.storeBytes(of: UInt8(truncatingIfNeeded: digit) + UInt8(ascii: "0"), as: UInt8.self)
            rest = quotient
        }
        count += length
    }

    private mutating func digits(_ number: UInt256) {
        if number.high == 0, number.low <= UInt128(UInt64.max) { return digits(UInt64(truncatingIfNeeded: number.low)) }
        // 19 digits a step is what fits a word.
        let (rest, tail) = number.quotientAndRemainder(dividingBy: 10_000_000_000_000_000_000)
        if rest != .zero { digits(rest) }
        digits(tail, width: rest == .zero ? 1 : 19)
    }

    private mutating func hex(_ bytes: UnsafeRawBufferPointer) {
        let need = 2 + 2 * bytes.count
        reserve(need)
        let target = out + count
        target.storeBytes(of: UInt8(ascii: "0"), as: UInt8.self)
        target.storeBytes(of: UInt8(ascii: "x"), toByteOffset: 1, as: UInt8.self)
        count += need
        guard let base = bytes.baseAddress else { return }
        var at = 0
        // Four bytes at a time: their halves spread over eight, then all eight made digits at once.
        while at + 4 <= bytes.count {
            var spread = UInt64(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF
            spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
            let halves = (spread >> 4) & 0x000F_000F_000F_000F | (spread & 0x000F_000F_000F_000F) << 8
            let letters = ((halves &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
            let text = halves &+ 0x3030_3030_3030_3030 &+ letters &* 39
            target.storeBytes(of: text.littleEndian, toByteOffset: 2 + 2 * at, as: UInt64.self)
            at += 4
        }
        func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? nibble + 48 : nibble + 87 }
        for index in at..<bytes.count {
            target.storeBytes(of: digit(bytes[index] >> 4), toByteOffset: 2 + 2 * index, as: UInt8.self)
            target.storeBytes(of: digit(bytes[index] & 15), toByteOffset: 3 + 2 * index, as: UInt8.self)
        }
    }

    private mutating func timestamp(_ micros: Int64) {
        let day: Int64 = 86_400_000_000
        let days = micros >= 0 ? micros / day : (micros + 1) / day - 1
        // Of the day; the multiplication may not fit where the days do.
        let rest = UInt64(micros &- days &* day)
        // Counted in eras of 400 years that begin in March, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let march = (5 * ofYear + 2) / 153
        let date = ofYear - (153 * march + 2) / 5 + 1
        let month = march < 10 ? march + 3 : march - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        if (0...9999).contains(year) {
            digits(UInt64(year), width: 4)
        } else {
            byte(year < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
            digits(year.magnitude, width: 6)
        }
        let seconds = rest / 1_000_000
        let parts: [(UInt8, UInt64, Int)] = [
            (UInt8(ascii: "-"), UInt64(month), 2), (UInt8(ascii: "-"), UInt64(date), 2), (UInt8(ascii: "T"), seconds / 3600, 2),
            (UInt8(ascii: ":"), seconds / 60 % 60, 2), (UInt8(ascii: ":"), seconds % 60, 2), (UInt8(ascii: "."), rest % 1_000_000, 6),
        ]
        for (mark, number, width) in parts {
            byte(mark)
            digits(number, width: width)
        }
        byte(UInt8(ascii: "Z"))
    }

    // MARK: - Quotes

    private mutating func inQuotes(_ column: Cell, _ row: Int) {
        byte(UInt8(ascii: "\""))
        value(column, row)
        byte(UInt8(ascii: "\""))
    }

    /// A string of JSON: what must be escaped is (RFC 8259, section 7).
    private mutating func escaped(_ bytes: UnsafeRawBufferPointer) {
        byte(UInt8(ascii: "\""))
        var start = 0
        for index in 0..<bytes.count {
            let one = bytes[index]
            guard one < 0x20 || one == UInt8(ascii: "\"") || one == UInt8(ascii: "\\") else { continue }
            raw(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
            start = index + 1
            switch one {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            default: raw((one < 16 ? "\\u000" : "\\u00") + String(one, radix: 16))
            }
        }
        raw(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        byte(UInt8(ascii: "\""))
    }

    private mutating func quoted(_ bytes: [UInt8]) { bytes.withUnsafeBytes { quoted($0) } }

    /// A field of CSV.
    private mutating func quoted(_ bytes: UnsafeRawBufferPointer) {
        let needs = bytes.isEmpty || bytes.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") || $0 == 0x0A || $0 == 0x0D }
        guard needs else { return raw(bytes) }
        byte(UInt8(ascii: "\""))
        var start = 0
        for index in 0..<bytes.count where bytes[index] == UInt8(ascii: "\"") {
            raw(UnsafeRawBufferPointer(rebasing: bytes[start...index]))
            start = index
        }
        raw(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        byte(UInt8(ascii: "\""))
    }

    // MARK: - Bytes

    @inline(__always)
    private mutating func byte(_ value: UInt8) {
        reserve(1)
        out.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    private mutating func raw(_ text: String) {
        var text = text
        text.withUTF8 { raw(UnsafeRawBufferPointer($0)) }
    }

    private mutating func raw(_ bytes: [UInt8]) { bytes.withUnsafeBytes { raw($0) } }

    @inline(__always)
    private mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (out + count).copyMemory(from: base, byteCount: bytes.count)
        count += bytes.count
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if count + more > capacity { grow(more) }
    }

    private mutating func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let next = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        next.copyMemory(from: out, byteCount: count)
        out.deallocate()
        out = next
    }
}
