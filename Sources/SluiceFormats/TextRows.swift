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

    private let format: Format
    private var out: UnsafeMutableRawPointer
    private var capacity = 64 << 10
    /// Bytes that were written and not handed over.
    public private(set) var count = 0
    /// What stands before each value of a row of `named`, such as `,"number":`.
    private var names: [[UInt8]] = []
    private var named: Schema?
    /// What every line of JSON of a table begins with, behind the brace.
    private let member: String?

    /// - Parameter member: a first member that every line of JSON has, with the table's name.
    public init(_ format: Format, member: String? = nil) {
        self.format = format
        self.member = member
        out = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { out.deallocate() }

    /// Hands over what was written, and forgets it.
    public mutating func take<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        defer { count = 0 }
        return try body(UnsafeRawBufferPointer(start: out, count: count))
    }

    /// The names of the columns, which a file of CSV begins with; nothing for JSON.
    public mutating func header(_ schema: Schema) {
        guard format == .csv else { return }
        for (index, field) in schema.fields.enumerated() {
            if index > 0 { byte(UInt8(ascii: ",")) }
            quoted(Array(field.name.utf8))
        }
        byte(UInt8(ascii: "\n"))
    }

    /// Lines of some rows.
    public mutating func append(_ table: Table, rows: Range<Int>) {
        if named != table.schema { learn(table.schema) }
        for row in rows {
            for index in table.columns.indices {
                raw(names[index])
                if format == .csv { csv(table.columns[index], row) } else { json(table.columns[index], row) }
            }
            if format == .jsonl { byte(UInt8(ascii: "}")) }
            byte(UInt8(ascii: "\n"))
        }
    }

    private mutating func learn(_ schema: Schema) {
        named = schema
        names = schema.fields.enumerated().map { index, field in
            if format == .csv { return index == 0 ? [] : [UInt8(ascii: ",")] }
            let first = member.map { "{\($0.jsonQuoted):\(schema.name.jsonQuoted)," } ?? "{"
            return Array(((index == 0 ? first : ",") + field.name.jsonQuoted + ":").utf8)
        }
    }

    // MARK: - Values

    private mutating func json(_ column: Column, _ row: Int) {
        if column.isNull(row) { return raw("null") }
        switch column.type {
        case .bool, .int64, .uint64: value(column, row)
        case .float64:
            if column.load(row, as: Double.self).isFinite { value(column, row) } else { inQuotes { $0.value(column, row) } }
        case .decimal, .uint256, .timestamp, .bytes, .fixedBytes: inQuotes { $0.value(column, row) }
        case .string, .json: escaped(column.bytes(row))
        }
    }

    private mutating func csv(_ column: Column, _ row: Int) {
        if column.isNull(row) { return }
        switch column.type {
        case .string, .json: quoted(column.bytes(row))
        default: value(column, row)
        }
    }

    /// The bare text of a value that is not null.
    public mutating func value(_ column: Column, _ row: Int) {
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
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { text in
            var (at, rest) = (20, number)
            while rest > 0 || 20 - at < width {
                at -= 1
                text[at] = UInt8(truncatingIfNeeded: rest % 10) + UInt8(ascii: "0")
                rest /= 10
            }
            raw(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(text)[at...]))
        }
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
        func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? nibble + 48 : nibble + 87 }
        for index in 0..<bytes.count {
            target.storeBytes(of: digit(bytes[index] >> 4), toByteOffset: 2 + 2 * index, as: UInt8.self)
            target.storeBytes(of: digit(bytes[index] & 15), toByteOffset: 3 + 2 * index, as: UInt8.self)
        }
        count += need
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

    private mutating func inQuotes(_ body: (inout Self) -> Void) {
        byte(UInt8(ascii: "\""))
        body(&self)
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
