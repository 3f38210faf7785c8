import SluiceCore

/// What bytes can be shown as. Pure.
enum PayloadText {
    /// Whether bytes are UTF-8 that every store takes as text: without a zero, which PostgreSQL has no place for.
    static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
    }

    /// Whether bytes are JSON (RFC 8259) that every store takes as such: nested to 64 at most, no escaped zero, no half of a pair.
    static func isJSON(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard isText(bytes) else { return false }
        var reader = JSONShape(bytes: bytes)
        return reader.isWhole()
    }

    /// Headers as JSON, in their order.
    static func headers(_ headers: [(name: [UInt8], value: [UInt8]?)]) -> String {
        let items = headers.map { header in
            let name = header.name.withUnsafeBytes { isText($0) ? text($0).jsonQuoted : Hex.text($0).jsonQuoted }
            guard let value = header.value else { return "{\"key\":\(name),\"value\":null}" }
            return value.withUnsafeBytes { bytes in
                isText(bytes)
                    ? "{\"key\":\(name),\"value\":\(text(bytes).jsonQuoted)}" : "{\"key\":\(name),\"hex\":\(Hex.text(bytes).jsonQuoted)}"
            }
        }
        return "[" + items.joined(separator: ",") + "]"
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// Goes through a text by the grammar of JSON.
private struct JSONShape {
    let bytes: UnsafeRawBufferPointer
    private var at = 0
    private var depth = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func isWhole() -> Bool {
        guard value() else { return false }
        skipSpace()
        return at == bytes.count
    }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() { while let byte = next, [0x20, 0x0A, 0x0D, 0x09].contains(byte) { at += 1 } }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        at += 1
        return true
    }

    private mutating func take(_ word: StaticString) -> Bool {
        let end = at + word.utf8CodeUnitCount
        guard end <= bytes.count else { return false }
        for index in 0..<word.utf8CodeUnitCount where bytes[at + index] != word.utf8Start[index] { return false }
        at = end
        return true
    }

    private mutating func value() -> Bool {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return list(UInt8(ascii: "}"), hasNames: true)
        case UInt8(ascii: "["): return list(UInt8(ascii: "]"), hasNames: false)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return take("true")
        case UInt8(ascii: "f"): return take("false")
        case UInt8(ascii: "n"): return take("null")
        default: return number()
        }
    }

    private mutating func list(_ end: UInt8, hasNames: Bool) -> Bool {
        depth += 1
        guard depth <= 64 else { return false }
        defer { depth -= 1 }
        at += 1
        skipSpace()
        if take(end) { return true }
        while true {
            if hasNames {
                skipSpace()
                guard next == UInt8(ascii: "\""), string() else { return false }
                skipSpace()
                guard take(UInt8(ascii: ":")) else { return false }
            }
            guard value() else { return false }
            skipSpace()
            if take(end) { return true }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private mutating func string() -> Bool {
        at += 1
        while let byte = next {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"): guard escape() else { return false }
            case 0..<0x20: return false
            default: break
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let byte = next else { return false }
        at += 1
        guard byte == UInt8(ascii: "u") else { return "\"\\/bfnrt".utf8.contains(byte) }
        guard let unit = unit(), unit != 0 else { return false }
        guard (0xD800..<0xE000).contains(unit) else { return true }
        // Two halves of one character, or nothing.
        guard unit < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let low = self.unit() else { return false }
        return (0xDC00..<0xE000).contains(low)
    }

    private mutating func unit() -> UInt16? {
        guard at + 4 <= bytes.count else { return nil }
        var unit: UInt16 = 0
        for index in at..<at + 4 {
            guard let digit = Character(UnicodeScalar(bytes[index])).hexDigitValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        at += 4
        return unit
    }

    private mutating func digits() -> Bool {
        let start = at
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
        return at > start
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        guard take(UInt8(ascii: "0")) || digits() else { return false }
        if take(UInt8(ascii: ".")), !digits() { return false }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
            return digits()
        }
        return true
    }
}
