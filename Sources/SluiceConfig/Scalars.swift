/// Reads single values from text, and writes durations and sizes the way they are read.
enum Scalars {
    /// What keeps a text from being of a type, in words that complete "...; ".
    struct Fault: Error {
        let message: String
        let suggestion: String?
        init(_ message: String, _ suggestion: String? = nil) {
            self.message = message
            self.suggestion = suggestion
        }
    }

    /// A value of a scalar type. `shown` is how the text may appear in a message.
    static func parse(_ text: String, as type: ValueType, shown: String) throws(Fault) -> ConfigValue.Content {
        let wanted = "expected \(type.expectation), found \(shown)"
        switch type {
        case .string:
            guard !text.isEmpty else { throw Fault("must not be empty") }
            return .string(text)
        case .path:
            guard !text.isEmpty, !text.utf8.contains(0) else { throw Fault("expected a path, found nothing") }
            guard text != "~", !text.hasPrefix("~/") else { throw Fault("\"~\" is not expanded", "write ${HOME}") }
            return .string(text)
        case .int(let range):
            guard let value = try int(text, wanted) else { throw Fault(wanted) }
            guard range.contains(value) else { throw Fault("out of range: \(wanted)") }
            return .int(value)
        case .float(let range):
            guard let value = float(text) else { throw Fault(wanted) }
            guard range.contains(value) else { throw Fault("out of range: \(wanted)") }
            return .float(value)
        case .bool:
            guard text == "true" || text == "false" else {
                let hint: String? =
                    switch text.lowercased() {
                    case "yes", "on", "y", "1", "true": "write true"
                    case "no", "off", "n", "0", "false": "write false"
                    default: nil
                    }
                throw Fault(wanted, hint)
            }
            return .bool(text == "true")
        case .duration(let range):
            let value = try duration(text, wanted)
            guard range.contains(value) else { throw Fault("out of range: \(wanted)") }
            return .duration(value)
        case .bytes(let range):
            let value = try bytes(text, wanted)
            guard range.contains(value) else { throw Fault("out of range: \(wanted)") }
            return .int(value)
        case .url(let schemes):
            return .url(try url(text, schemes))
        case .choice(let words):
            guard words.contains(text) else {
                throw Fault(wanted, Spelling.nearest(to: text, in: words).map { "did you mean \"\($0)\"?" })
            }
            return .string(text)
        case .list, .map, .object, .tagged, .oneOf:
            throw Fault(wanted)
        }
    }

    // MARK: Numbers

    private static func int(_ text: String, _ wanted: String) throws(Fault) -> Int? {
        let negative = text.hasPrefix("-")
        let digits = text.utf8.dropFirst(negative ? 1 : 0)
        guard let first = digits.first, let last = digits.last, first != 95, last != 95,
            digits.allSatisfy({ (48...57).contains($0) || $0 == 95 })
        else { return nil }
        guard first != 48 || digits.count == 1 else { throw Fault(wanted, "remove the leading zero") }
        guard let value = Int(text.filter { $0 != "_" }) else { throw Fault("out of range: \(wanted)") }
        return value
    }

    private static func float(_ text: String) -> Double? {
        guard let first = text.utf8.first, (48...57).contains(first) || first == 45,
            text.utf8.allSatisfy({ (43...57).contains($0) && $0 != 44 && $0 != 47 || $0 | 0x20 == 101 })
        else { return nil }
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// Digits with at most one point, split from the letters behind them.
    private static func measure(_ text: String) -> (number: Substring, unit: Substring)? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "_") }
        guard number.first?.isNumber == true, number.last?.isNumber == true, number.count(where: { $0 == "." }) <= 1 else { return nil }
        return (number, text[number.endIndex...].drop { $0 == " " })
    }

    private static let durationUnits: [(name: String, milliseconds: Int)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    static func duration(_ text: String, _ wanted: String) throws(Fault) -> Duration {
        guard let (number, unit) = measure(text) else { throw Fault(wanted) }
        guard !unit.isEmpty else { throw Fault("\(wanted): the unit is missing", "write \(number)s or \(number)ms") }
        guard let scale = durationUnits.first(where: { $0.name == unit })?.milliseconds, let value = Double(number.filter { $0 != "_" })
        else {
            throw Fault("\(wanted): unknown unit", "units are ms, s, m, h, d")
        }
        let milliseconds = (value * Double(scale)).rounded()
        guard milliseconds < 1e15 else { throw Fault("out of range: \(wanted)") }
        return .milliseconds(Int(milliseconds))
    }

    private static let byteUnits: [(name: String, count: Int)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
    ]

    static func bytes(_ text: String, _ wanted: String) throws(Fault) -> Int {
        guard let (number, unit) = measure(text), !number.contains(".") else {
            throw Fault(wanted, "write a whole number, for example 64MiB")
        }
        guard !unit.isEmpty else { throw Fault("\(wanted): the unit is missing", "write \(number)B, \(number)KiB or \(number)MiB") }
        guard let scale = byteUnits.first(where: { $0.name == unit })?.count else {
            let right = byteUnits.first { $0.name.lowercased() == unit.lowercased() }?.name
            throw Fault(
                "\(wanted): unknown unit", right.map { "did you mean \(number)\($0)?" } ?? "units are B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
            )
        }
        guard let value = Int(number.filter { $0 != "_" }) else { throw Fault("out of range: \(wanted)") }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        guard !overflow else { throw Fault("out of range: \(wanted)") }
        return product
    }

    private static func url(_ text: String, _ schemes: [String]) throws(Fault) -> ConfigURL {
        let list = schemes.map { $0 + "://" }.joined(separator: ", ")
        // The text itself is never quoted: a key may sit anywhere in it.
        do throws(ConfigURL.Fault) {
            return try ConfigURL(text, schemes: schemes)
        } catch {
            switch error {
            case .shape: throw Fault("not a URL", "a URL starts with \(list) and has no blanks")
            case .scheme: throw Fault("a URL of another scheme", "use \(list)")
            case .host: throw Fault("a URL without a valid host name")
            case .port: throw Fault("a URL with a port that is not from 1 to 65535")
            }
        }
    }

    // MARK: Writing

    /// `12s`, `500ms`: the largest unit that leaves a whole number.
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int((duration.components.seconds * 1000) + duration.components.attoseconds / 1_000_000_000_000_000)
        let unit = durationUnits.last { milliseconds % $0.milliseconds == 0 && milliseconds != 0 } ?? durationUnits[1]
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }

    /// `64MiB`: the largest unit that leaves a whole number.
    static func text(bytes: Int) -> String {
        let unit = byteUnits[..<5].last { bytes % $0.count == 0 && bytes != 0 } ?? byteUnits[0]
        return "\(bytes / unit.count)\(unit.name)"
    }
}
