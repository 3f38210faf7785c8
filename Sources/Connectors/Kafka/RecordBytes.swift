import SluiceCore

/// The bytes of a record on their way: text and numbers are written right into them.
struct RecordBytes: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 1 << 14) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    mutating func removeAll() { count = 0 }

    /// What was written; valid until more is.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Makes room for so many bytes more.
    @inline(__always)
    mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    private mutating func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
    }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let from = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (base + count).copyMemory(from: from, byteCount: bytes.count)
        count += bytes.count
    }

    mutating func put(_ bytes: [UInt8]) { bytes.withUnsafeBytes { put($0) } }

    mutating func put(_ text: StaticString) { put(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { put(UnsafeRawBufferPointer($0)) }
    }

    /// As it lies in memory.
    @inline(__always)
    mutating func store<T: BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        base.storeBytes(of: value, toByteOffset: count, as: T.self)
        count += MemoryLayout<T>.size
    }

    // MARK: - Text

    /// Decimal digits; with zeros before them when there are less than `width`.
    mutating func digits(_ number: UInt64, width: Int = 1) {
        var (length, limit) = (1, UInt64(10))
        while length < 20, number >= limit {
            length += 1
            if length < 20 { limit *= 10 }
        }
        length = max(length, width)
        reserve(length)
        var (at, rest) = (count + length, number)
        count = at
        for _ in 0..<length {
            at -= 1
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest % 10) | 0x30, toByteOffset: at, as: UInt8.self)
            rest /= 10
        }
    }

    mutating func digits(_ number: Int64) {
        if number < 0 { put(UInt8(ascii: "-")) }
        digits(number.magnitude)
    }

    mutating func digits(_ number: UInt256) {
        if number.high == 0, number.low <= UInt128(UInt64.max) { return digits(UInt64(truncatingIfNeeded: number.low)) }
        // 19 digits a step is what fits a word.
        let (rest, tail) = number.quotientAndRemainder(dividingBy: 10_000_000_000_000_000_000)
        if rest != .zero { digits(rest) }
        digits(tail, width: rest == .zero ? 1 : 19)
    }

    /// Two lower-case digits a byte, four bytes at a time.
    mutating func hex(_ bytes: UnsafeRawBufferPointer) {
        reserve(2 * bytes.count)
        let target = base + count
        count += 2 * bytes.count
        var at = 0
        while at + 4 <= bytes.count {
            let word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            target.storeBytes(of: Self.hex(word).littleEndian, toByteOffset: 2 * at, as: UInt64.self)
            at += 4
        }
        while at < bytes.count {
            let pair = UInt16(truncatingIfNeeded: Self.hex(UInt32(bytes[at])))
            target.storeBytes(of: pair.littleEndian, toByteOffset: 2 * at, as: UInt16.self)
            at += 1
        }
    }

    /// The digits of four bytes, the lowest first.
    @inline(__always)
    private static func hex(_ word: UInt32) -> UInt64 {
        var spread = UInt64(word)
        spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
        let nibbles = (spread >> 4 & 0x000F_000F_000F_000F) | (spread & 0x000F_000F_000F_000F) << 8
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return nibbles + 0x3030_3030_3030_3030 + letters * 39
    }

    /// Text inside of quotes, as JSON writes it. Returns whether it is UTF-8.
    mutating func quoted(_ text: UnsafeRawBufferPointer) -> Bool {
        put(UInt8(ascii: "\""))
        var (start, at, isPlain) = (0, 0, true)
        while at < text.count {
            if at + 8 <= text.count, Self.isPlain(text.loadUnaligned(fromByteOffset: at, as: UInt64.self)) {
                at += 8
                continue
            }
            let byte = text[at]
            if byte >= 0x80 { isPlain = false }
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                put(UnsafeRawBufferPointer(rebasing: text[start..<at]))
                put(UInt8(ascii: "\\"))
                if byte < 0x20 {
                    put("u00")
                    withUnsafeBytes(of: byte) { hex($0) }
                } else {
                    put(byte)
                }
                start = at + 1
            }
            at += 1
        }
        put(UnsafeRawBufferPointer(rebasing: text[start...]))
        put(UInt8(ascii: "\""))
        return isPlain || UTF8Check.isValid(text)
    }

    /// Whether eight bytes are ASCII, and none of them needs an escape.
    @inline(__always)
    private static func isPlain(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        func hasZero(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & tops }
        let isControl = (word &- ones &* 0x20) & ~word & tops
        return (word & tops) | isControl | hasZero(word ^ ones &* 0x22) | hasZero(word ^ ones &* 0x5C) == 0
    }
}

/// Whether bytes are text.
enum UTF8Check {
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var at = 0
        while at + 8 <= bytes.count, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 { at += 8 }
        while at < bytes.count, bytes[at] < 0x80 { at += 1 }
        return at == bytes.count || String(validating: UnsafeRawBufferPointer(rebasing: bytes[at...]), as: UTF8.self) != nil
    }
}
