/// The text of a configuration file with its name, cut into lines the way libyaml counts them.
struct SourceText: Sendable {
    let file: String
    let text: String
    private let lines: [[Unicode.Scalar]]

    init(file: String, text: String) {
        self.file = file
        self.text = text
        var lines: [[Unicode.Scalar]] = []
        var line: [Unicode.Scalar] = []
        var afterReturn = false
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n" where afterReturn: afterReturn = false
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
                lines.append(line)
                line = []
                afterReturn = scalar == "\r"
            default:
                line.append(scalar)
                afterReturn = false
            }
        }
        lines.append(line)
        self.lines = lines
    }

    /// Line and column of a byte offset. For errors that come before libyaml counts lines.
    func mark(ofByte offset: Int) -> SourceMark {
        var line = 1
        var column = 1
        for byte in text.utf8.prefix(offset) {
            if byte == 10 {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return SourceMark(line: line, column: column)
    }

    /// Whether white space in front of the first character of a line holds a tab.
    func indentHasTab(line: Int) -> Bool {
        guard lines.indices.contains(line - 1) else { return false }
        return lines[line - 1].prefix { $0 == " " || $0 == "\t" }.contains("\t")
    }

    /// The line of a problem and a caret under its column. Only what lies in `shown` is printed as it is; other words become
    /// `***`, because a value that nothing is known about may be a secret. Nil when the line is empty or does not exist.
    func excerpt(at mark: SourceMark, shown: [SourceSpan]) -> String? {
        guard lines.indices.contains(mark.line - 1) else { return nil }
        let line = lines[mark.line - 1]
        guard line.contains(where: { $0 != " " && $0 != "\t" }) else { return nil }
        let open = shown.filter { $0.start.line <= mark.line && mark.line <= $0.end.line }
        var out = ""
        var caret: Int?
        var width = 0
        var masking = false
        for (index, scalar) in line.enumerated() {
            if index == mark.column - 1 { caret = width }
            let here = SourceMark(line: mark.line, column: index + 1)
            let safe = Self.structural(scalar) || open.contains { $0.start <= here && here < $0.end }
            if safe {
                // A tab or a control character would put the caret elsewhere (or worse, on a terminal).
                out.unicodeScalars.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
                width += 1
            } else if !masking {
                out += "***"
                width += 3
            }
            masking = !safe
        }
        if width > 160 { return nil }
        return "    \(out)\n    \(String(repeating: " ", count: caret ?? width))^"
    }

    /// The key in front of the first colon of a line: what may be shown of a line that could not be parsed.
    func leadingKey(line: Int) -> SourceSpan? {
        guard lines.indices.contains(line - 1) else { return nil }
        let scalars = lines[line - 1]
        guard let start = scalars.firstIndex(where: { $0 != " " && $0 != "\t" && $0 != "-" }) else { return nil }
        guard
            let end = scalars[start...].firstIndex(where: {
                !($0 == "_" || $0 == "-" || $0.properties.isAlphabetic || ("0"..."9").contains($0))
            }),
            scalars[end] == ":", end + 1 == scalars.count || scalars[end + 1] == " "
        else { return nil }
        return SourceSpan(start: SourceMark(line: line, column: start + 1), end: SourceMark(line: line, column: end + 1))
    }

    private static func structural(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case " ", "\t", ":", ",", "{", "}", "[", "]", "-", "#", "\"", "'", "|", ">", "?": true
        default: false
        }
    }
}

/// From a place to the one behind the last character.
struct SourceSpan: Hashable, Sendable {
    let start: SourceMark
    let end: SourceMark
}
