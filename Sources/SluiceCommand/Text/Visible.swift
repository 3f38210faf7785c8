/// Text as a terminal shows it.
public enum Visible {
    /// Columns that a text takes; control sequences take none.
    public static func width(_ text: String) -> Int {
        var count = 0
        scan(text) { character, isControl in
            if !isControl { count += columns(character) }
            return true
        }
        return count
    }

    /// The text cut to `width` columns, with `…` where something is missing. Control sequences stay whole, and styles are ended.
    public static func cut(_ text: String, _ width: Int) -> String {
        guard self.width(text) > width else { return text }
        guard width > 1 else { return width == 1 ? "…" : "" }
        var out = ""
        var used = 0
        var styled = false
        scan(text) { character, isControl in
            if isControl {
                out.append(character)
                styled = true
                return true
            }
            let needed = columns(character)
            guard used + needed <= width - 1 else { return false }
            out.append(character)
            used += needed
            return true
        }
        return out + "…" + (styled ? "\u{1B}[0m" : "")
    }

    /// Filled with spaces up to `width` columns, behind the text or (`right`) in front of it.
    public static func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - self.width(text)))
        return right ? space + text : text + space
    }

    /// Without control characters, so that no text from outside can drive a terminal or break a line.
    public static func safe(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && !text.unicodeScalars.contains(where: isHidden)
        if isPlain { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where isHidden(scalar): out += "\\u{\(String(scalar.value, radix: 16))}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// Control characters of both kinds, line separators, and the marks that turn the direction of writing.
    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0x2028...0x202E).contains(scalar.value)
            || (0x2066...0x2069).contains(scalar.value)
    }

    /// Calls `body` with each character and whether it belongs to a control sequence, until it returns false.
    private static func scan(_ text: String, _ body: (Character, Bool) -> Bool) {
        var inside = false
        for character in text {
            if character == "\u{1B}" { inside = true }
            let isControl = inside
            if inside, character.isLetter { inside = false }
            if !body(character, isControl) { return }
        }
    }

    /// East Asian wide characters and pictures take two columns.
    private static func columns(_ character: Character) -> Int {
        guard let value = character.unicodeScalars.first?.value, value >= 0x1100 else { return 1 }
        let isWide =
            value <= 0x115F || (0x2E80...0xA4CF).contains(value) || (0xAC00...0xD7A3).contains(value) || (0xF900...0xFAFF).contains(value)
            || (0xFE30...0xFE6F).contains(value) || (0xFF00...0xFF60).contains(value) || (0x1F300...0x1FAFF).contains(value)
        return isWide ? 2 : 1
    }
}
