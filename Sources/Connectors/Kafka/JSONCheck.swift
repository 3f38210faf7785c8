/// Whether bytes are one JSON text (RFC 8259), in UTF-8. Pure; it keeps nothing.
struct JSONCheck {
    /// Deeper texts are refused: no reader of ours made them.
    private static let depthLimit = 512

    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var check = JSONCheck(bytes: bytes)
        guard check.value(0) else { return false }
        check.skipSpace()
        return check.at == bytes.count && UTF8Check.isValid(bytes)
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private var peek: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private mutating func skipSpace() {
        while [0x20, 0x0A, 0x0D, 0x09].contains(peek), at < bytes.count { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(_ depth: Int) -> Bool {
        guard depth < Self.depthLimit else { return false }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"):
            return many(UInt8(ascii: "}")) { check in
                check.skipSpace()
                guard check.string() else { return false }
                check.skipSpace()
                return check.take(UInt8(ascii: ":")) && check.value(depth + 1)
            }
        case UInt8(ascii: "["): return many(UInt8(ascii: "]")) { $0.value(depth + 1) }
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    /// What stands between brackets, with commas between.
    private mutating func many(_ end: UInt8, _ one: (inout Self) -> Bool) -> Bool {
        at += 1
        skipSpace()
        if take(end) { return true }
        while one(&self) {
            skipSpace()
            if take(end) { return true }
            guard take(UInt8(ascii: ",")) else { return false }
        }
        return false
    }

    private mutating func word(_ word: StaticString) -> Bool {
        for index in 0..<word.utf8CodeUnitCount where !take(word.utf8Start[index]) { return false }
        return true
    }

    private mutating func string() -> Bool {
        guard take(UInt8(ascii: "\"")) else { return false }
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            guard byte == UInt8(ascii: "\\") else { continue }
            let kind = peek
            at += 1
            switch kind {
            case UInt8(ascii: "u"):
                for _ in 0..<4 {
                    guard isHex(peek) else { return false }
                    at += 1
                }
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
                UInt8(ascii: "r"), UInt8(ascii: "t"):
                break
            default: return false
            }
        }
        return false
    }

    private func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (97...102).contains(byte | 0x20) }
    private func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    private mutating func digits() -> Bool {
        let start = at
        while isDigit(peek) { at += 1 }
        return at > start
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { guard digits() else { return false } }
        if take(UInt8(ascii: ".")) { guard digits() else { return false } }
        if peek | 0x20 == UInt8(ascii: "e") {
            at += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { at += 1 }
            return digits()
        }
        return true
    }
}
