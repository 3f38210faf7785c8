extension JSON {
    /// JSON text from outside with a line for each value, indented by two spaces, its words as they came; nil when it is no JSON, or is
    /// nested deeper than anybody reads. Made safe for a terminal, so that a text may differ in what cannot be seen.
    public static func indented(_ text: String, indent: String = "") -> String? {
        var printer = Printer(bytes: Array(text.utf8), margin: indent)
        return printer.print()
    }

    /// Reads a text token by token and writes each where it belongs.
    private struct Printer {
        let bytes: [UInt8]
        let margin: String
        private var at = 0
        private var out = ""
        private let deepest = 64

        init(bytes: [UInt8], margin: String) {
            self.bytes = bytes
            self.margin = margin
        }

        mutating func print() -> String? {
            out = margin
            skip()
            guard value(depth: 0) else { return nil }
            skip()
            return at == bytes.count ? out : nil
        }

        private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

        private mutating func skip() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
        }

        private mutating func value(depth: Int) -> Bool {
            switch next {
            case UInt8(ascii: "{"): members(depth: depth, end: UInt8(ascii: "}"), named: true)
            case UInt8(ascii: "["): members(depth: depth, end: UInt8(ascii: "]"), named: false)
            case UInt8(ascii: "\""): string()
            default: word()
            }
        }

        private mutating func members(depth: Int, end: UInt8, named: Bool) -> Bool {
            guard depth < deepest else { return false }
            take()
            skip()
            if next == end {
                take()
                return true
            }
            while true {
                line(depth + 1)
                if named {
                    guard next == UInt8(ascii: "\""), string() else { return false }
                    skip()
                    guard next == UInt8(ascii: ":") else { return false }
                    take()
                    out += " "
                    skip()
                }
                guard value(depth: depth + 1) else { return false }
                skip()
                guard let byte = next, byte == end || byte == UInt8(ascii: ",") else { return false }
                if byte == end { line(depth) }
                take()
                if byte == end { return true }
                skip()
            }
        }

        private mutating func string() -> Bool {
            let start = at
            at += 1
            while let byte = next, byte >= 0x20 {
                at += 1
                if byte == UInt8(ascii: "\"") {
                    out += Visible.safe(String(decoding: bytes[start..<at], as: UTF8.self))
                    return true
                }
                // Whatever is escaped, it does not end the string; a control character ends it in the next round.
                if byte == UInt8(ascii: "\\"), let escaped = next, escaped >= 0x20 { at += 1 }
            }
            return false
        }

        /// A number, `true`, `false` or `null`.
        private mutating func word() -> Bool {
            let start = at
            while let byte = next, isWordByte(byte) { at += 1 }
            let word = String(decoding: bytes[start..<at], as: UTF8.self)
            guard ["true", "false", "null"].contains(word) || isNumber(word) else { return false }
            out += word
            return true
        }

        private func isWordByte(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "E"), UInt8(ascii: "+"),
                UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }

        private func isNumber(_ word: String) -> Bool {
            // A number may have any number of digits, and is written as it came: only its alphabet counts here.
            guard let last = word.utf8.last, let first = word.utf8.first else { return false }
            let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
            return isDigit(last) && (isDigit(first) || first == UInt8(ascii: "-"))
                && word.utf8.allSatisfy { isDigit($0) || [UInt8]("+-.eE".utf8).contains($0) }
        }

        private mutating func take() {
            out.unicodeScalars.append(Unicode.Scalar(bytes[at]))
            at += 1
        }

        private mutating func line(_ depth: Int) { out += "\n" + margin + String(repeating: "  ", count: depth) }
    }
}
