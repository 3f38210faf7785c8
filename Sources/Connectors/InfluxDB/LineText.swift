import SluiceCore

/// Writes the pieces of line protocol to memory that is known to have room. Pure.
enum LineText {
    typealias Target = UnsafeMutablePointer<UInt8>

    /// What is looked into for every digit: plain memory, for as long as the program runs.
    struct Tables {
        /// `00` to `99`.
        let decimals: UnsafePointer<UInt16>
        /// `00` to `ff`.
        let hexes: UnsafePointer<UInt16>
        /// Powers of ten; the first is 0, so that no number is below it.
        let powers: UnsafePointer<UInt64>

        fileprivate init() {
            let digits = Array("0123456789abcdef".utf8)
            decimals = Self.permanent((0..<100).map { UInt16(48 + $0 / 10) | UInt16(48 + $0 % 10) << 8 })
            hexes = Self.permanent((0..<256).map { UInt16(digits[$0 >> 4]) | UInt16(digits[$0 & 15]) << 8 })
            powers = Self.permanent((0..<20).map { $0 == 0 ? 0 : (0..<$0).reduce(1) { power, _ in power * 10 } })
        }

        private static func permanent<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafePointer<Value> {
            let memory = UnsafeMutablePointer<Value>.allocate(capacity: values.count)
            memory.initialize(from: values, count: values.count)
            return UnsafePointer(memory)
        }
    }

    // SAFETY: written once, before anybody reads, and never freed.
    nonisolated(unsafe) static let tables = Tables()

    @inline(__always)
    static func byte(_ value: UInt8, _ at: inout Target) {
        at.pointee = value
        at += 1
    }

    @inline(__always)
    static func copy(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Target) {
        at.update(from: bytes, count: count)
        at += count
    }

    /// How far `short` reads behind what it copies, and writes behind where it ends.
    static let slack = 32

    /// The same for what is short, as keys are: two blocks of 16 bytes whatever it holds, without asking for its length.
    /// What is behind it, here and there, must be ours to read and to write over: `slack` bytes.
    @inline(__always)
    static func short(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Target) {
        guard count <= slack else { return copy(bytes, count, &at) }
        let (from, to) = (UnsafeRawPointer(bytes), UnsafeMutableRawPointer(at))
        to.storeBytes(of: from.loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
        to.storeBytes(of: from.loadUnaligned(fromByteOffset: 16, as: SIMD16<UInt8>.self), toByteOffset: 16, as: SIMD16<UInt8>.self)
        at += count
    }

    /// Decimal digits, written from the end into place: how many there are follows from the number's highest bit, and one look whether it is enough.
    @inline(__always)
    static func decimal(_ value: UInt64, _ tables: Tables, _ at: inout Target) {
        // 1233 / 4096 is a little more than the logarithm of 2.
        var count = ((64 &- (value | 1).leadingZeroBitCount) &* 1233) &>> 12
        if value >= tables.powers[count] { count &+= 1 }
        var end = at + count
        at = end
        var rest = value
        while rest >= 100 {
            let quotient = rest / 100
            end -= 2
            UnsafeMutableRawPointer(end).storeBytes(of: tables.decimals[Int(truncatingIfNeeded: rest &- quotient &* 100)], as: UInt16.self)
            rest = quotient
        }
        if rest >= 10 {
            end -= 2
            UnsafeMutableRawPointer(end).storeBytes(of: tables.decimals[Int(truncatingIfNeeded: rest)], as: UInt16.self)
        } else {
            end -= 1
            end.pointee = UInt8(truncatingIfNeeded: 48 &+ rest)
        }
    }

    @inline(__always)
    static func decimal(_ value: Int64, _ tables: Tables, _ at: inout Target) {
        if value < 0 { byte(45, &at) }
        decimal(value.magnitude, tables, &at)
    }

    /// Short text of ASCII letters and digits.
    static func ascii(_ text: String, _ at: inout Target) {
        for character in text.utf8 { byte(character, &at) }
    }

    /// `0x` and two digits a byte, 16 bytes at a time: most of what a chain has to say is in hex.
    @inline(__always)
    static func hex(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ tables: Tables, _ at: inout Target) {
        byte(48, &at)
        byte(120, &at)
        let (from, to) = (UnsafeRawPointer(bytes), UnsafeMutableRawPointer(at))
        at += count * 2
        guard count >= 16 else {
            for index in 0..<count { to.storeBytes(of: tables.hexes[Int(bytes[index])], toByteOffset: index * 2, as: UInt16.self) }
            return
        }
        var index = 0
        while index &+ 16 <= count {
            digits(from, to, index)
            index &+= 16
        }
        // What is left, together with some that are there already.
        if index < count { digits(from, to, count &- 16) }
    }

    /// 32 digits of the 16 bytes at an offset. Two to a lane, by sums alone: comparing lanes is not made one instruction.
    @inline(__always)
    private static func digits(_ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ offset: Int) {
        let bytes = from.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
        var both = SIMD32<UInt8>()
        both.evenHalf = bytes &>> 4
        both.oddHalf = bytes & 15
        let pairs = unsafeBitCast(both, to: SIMD16<UInt16>.self)
        // 1 where it is ten or more: from "0" on there are 39 more up to "a".
        let letters = ((pairs &+ 0x0606) &>> 4) & 0x0101
        to.storeBytes(of: pairs &+ 0x3030 &+ letters &* 39, toByteOffset: offset &* 2, as: SIMD16<UInt16>.self)
    }

    /// The inside of a quoted string: quotes and backslashes are escaped, everything else stands for itself, line breaks too.
    @inline(__always)
    static func quoted(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Target) {
        for index in 0..<count {
            let character = bytes[index]
            if character == 0x22 || character == 0x5C { byte(0x5C, &at) }
            byte(character, &at)
        }
    }

    /// A measurement, a key or the value of a tag. Commas, spaces and equals signs are escaped, as the protocol says. It has no way to write
    /// a line break, nor a backslash at the end, nor nothing at all: these, and percent signs so that they can be told, are
    /// written as in URLs (`%0A`, `%5C`, `%25`), and an empty text as `%`. A text takes at most three times its length, and one byte.
    static func name(_ bytes: UnsafePointer<UInt8>, _ count: Int, isMeasurement: Bool = false, _ at: inout Target) {
        if count == 0 { return byte(0x25, &at) }
        for index in 0..<count {
            let character = bytes[index]
            switch character {
            case 0x2C, 0x20:
                byte(0x5C, &at)
                byte(character, &at)
            case 0x3D where !isMeasurement:
                byte(0x5C, &at)
                byte(character, &at)
            case 0...0x1F, 0x25, 0x5C, 0x7F:
                byte(0x25, &at)
                byte(upperHex(character >> 4), &at)
                byte(upperHex(character & 15), &at)
            default: byte(character, &at)
            }
        }
    }

    /// A name as the server has it once a line brought it there: what a statement must call it.
    static func stored(_ name: String) -> String {
        var out = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            switch scalar.value {
            case 0...0x1F, 0x25, 0x5C, 0x7F:
                let hex = String(scalar.value, radix: 16, uppercase: true)
                out.append(contentsOf: ("%" + (hex.count < 2 ? "0" : "") + hex).unicodeScalars)
            default: out.append(scalar)
            }
        }
        return out.isEmpty ? "%" : String(out)
    }

    private static func upperHex(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 55 + value }

    /// The same as bytes of their own.
    static func name(_ text: String, isMeasurement: Bool = false) -> [UInt8] {
        let source = Array(text.utf8)
        return [UInt8](unsafeUninitializedCapacity: source.count * 3 + 1) { target, count in
            guard let start = target.baseAddress else { return }
            var at = start
            source.withUnsafeBufferPointer { bytes in
                var nothing: UInt8 = 0
                withUnsafePointer(to: &nothing) { name(bytes.baseAddress ?? $0, bytes.count, isMeasurement: isMeasurement, &at) }
            }
            count = at - start
        }
    }
}
