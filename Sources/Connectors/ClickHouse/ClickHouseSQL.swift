/// Names and texts in statements. Pure.
enum ClickHouseSQL {
    /// A name, whatever it holds.
    static func quoted(_ name: String) -> String { "`" + escaped(name, "`") + "`" }

    /// A text, whatever it holds.
    static func literal(_ text: String) -> String { "'" + escaped(text, "'") + "'" }

    /// The columns of a sort key, as a server shows it; nil when it has more in it than columns.
    static func columns(ofKey key: String) -> [String]? {
        var names: [String] = []
        var name = String.UnicodeScalarView()
        var isQuoted = false
        var scalars = key.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            switch scalar {
            case "`": isQuoted.toggle()
            case "\\" where isQuoted: name.append(scalars.next() ?? "\\")
            case "," where !isQuoted:
                names.append(String(name))
                name = .init()
            case " " where !isQuoted: break
            case "(" where !isQuoted: return nil
            default: name.append(scalar)
            }
        }
        return isQuoted ? nil : names + [String(name)]
    }

    private static func escaped(_ text: String, _ quote: Unicode.Scalar) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\":
                out.append("\\")
                out.append(scalar)
            case "\0": out.append(contentsOf: "\\0".unicodeScalars)
            case "\n": out.append(contentsOf: "\\n".unicodeScalars)
            case "\t": out.append(contentsOf: "\\t".unicodeScalars)
            default: out.append(scalar)
            }
        }
        return String(out)
    }

    /// A value of the format `TabSeparated`.
    static func unescaped(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        var out = String.UnicodeScalarView()
        var scalars = field.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "\\", let next = scalars.next() else {
                out.append(scalar)
                continue
            }
            switch next {
            case "n": out.append("\n")
            case "t": out.append("\t")
            case "r": out.append("\r")
            case "0": out.append("\0")
            case "b": out.append("\u{8}")
            case "f": out.append("\u{C}")
            default: out.append(next)
            }
        }
        return String(out)
    }

    /// Blocks of a chain in some ranges, as a condition.
    static func among(_ ranges: [ClosedRange<UInt64>], _ column: String) -> String {
        "("
            + ranges.map {
                $0.upperBound == .max ? "\(column) >= \($0.lowerBound)" : "\(column) BETWEEN \($0.lowerBound) AND \($0.upperBound)"
            }
            .joined(separator: " OR ") + ")"
    }
}
