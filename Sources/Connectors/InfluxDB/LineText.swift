import SluiceCore

/// Writes the pieces of line protocol to memory that is known to have room. Pure.
enum LineText {
    typealias Target = UnsafeMutablePointer<UInt8>

    private static let pairs: [UInt16] = (0..<100).map { UInt16(48 + $0 / 10) | UInt16(48 + $0 % 10) << 8 }
    private static let hexes: [UInt16] = (0..<256).map { byte in
        let digits = Array("0123456789abcdef".utf8)
        return UInt16(digits[byte >> 4]) | UInt16(digits[byte & 15]) << 8
    }
    /// Tables that are looked into for every digit: plain memory, for as long as the program runs.
    // SAFETY: written once, before anybody reads, and never freed.
    nonisolated(unsafe) static let decimalPairs: UnsafePointer<UInt16> = permanent(pairs)
    // SAFETY: as above.
    nonisolated(unsafe) static let hexPairs: UnsafePointer<UInt16> = permanent(hexes)

    private static func permanent(_ values: [UInt16]) -> UnsafePointer<UInt16> {
        let memory = UnsafeMutablePointer<UInt16>.allocate(capacity: values.count)
        memory.initialize(from: values, count: values.count)
        return UnsafePointer(memory)
    }

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

    /// Decimal digits. Most numbers are short: they are written from the end into place.
    @inline(__always)
    static func decimal(_ value: UInt64, _ pairs: UnsafePointer<UInt16>, _ at: inout Target) {
        var count = 1
        var bound: UInt64 = 10
        while value >= bound {
            count += 1
            if count == 20 { break }
            bound &*= 10
        }
        var end = at + count
        at = end
        var rest = value
        while rest >= 100 {
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 100)
            end -= 2
            UnsafeMutableRawPointer(end).storeBytes(of: pairs[Int(remainder)], as: UInt16.self)
            rest = quotient
        }
        if rest >= 10 {
            end -= 2
            UnsafeMutableRawPointer(end).storeBytes(of: pairs[Int(rest)], as: UInt16.self)
        } else {
            end -= 1
            end.pointee = UInt8(truncatingIfNeeded: 48 + rest)
        }
    }

    @inline(__always)
    static func decimal(_ value: Int64, _ pairs: UnsafePointer<UInt16>, _ at: inout Target) {
        if value < 0 { byte(45, &at) }
        decimal(value.magnitude, pairs, &at)
    }

    /// Short text of ASCII letters and digits.
    static func ascii(_ text: String, _ at: inout Target) {
        for character in text.utf8 { byte(character, &at) }
    }

    /// `0x` and two digits a byte.
    @inline(__always)
    static func hex(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ hexes: UnsafePointer<UInt16>, _ at: inout Target) {
        byte(48, &at)
        byte(120, &at)
        let out = UnsafeMutableRawPointer(at)
        for index in 0..<count { out.storeBytes(of: hexes[Int(bytes[index])], toByteOffset: index * 2, as: UInt16.self) }
        at += count * 2
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
