/// What a field takes. Scalars are text until a type says otherwise: `no` stays a string where a string is wanted.
public indirect enum ValueType: Sendable {
    /// Text of at least one character.
    case string
    /// A whole number in decimal digits; `_` may group them.
    case int(ClosedRange<Int>)
    /// A finite number.
    case float(ClosedRange<Double>)
    /// `true` or `false`, nothing else.
    case bool
    /// A number and its unit: `500ms`, `12s`, `2m`, `1.5h`, `7d`.
    case duration(ClosedRange<Duration>)
    /// A whole number and its unit: `512KiB`, `64MiB`, `1GB`.
    case bytes(ClosedRange<Int>)
    /// A URL of one of the schemes. Never shown whole.
    case url([String])
    /// A file or folder, relative to the working directory.
    case path
    /// One of some words.
    case choice([String])
    /// Several of one type, with how many there may be.
    case list(ValueType, count: ClosedRange<Int>)
    /// Values under keys of the user's choice.
    case map(ValueType, keys: KeyRule)
    case object(ObjectSpec)
    /// One of several objects, chosen by the key `type`; without that key it is the usual one, where there is one.
    case tagged([String: ObjectSpec], usual: String? = nil)
    /// The first of several types that fits.
    case oneOf([ValueType])

    public static let anyInt = ValueType.int(0...Int.max)

    /// Short, for messages and the reference: "a whole number from 1 to 8".
    var expectation: String {
        switch self {
        case .string: "text"
        case .int(let range): "a whole number" + Self.bounds(range.lowerBound, range.upperBound, top: Int.max)
        case .float(let range): "a number" + Self.bounds(range.lowerBound, range.upperBound, top: Double.greatestFiniteMagnitude)
        case .bool: "true or false"
        case .duration(let range): "a duration from \(Scalars.text(range.lowerBound)) to \(Scalars.text(range.upperBound))"
        case .bytes(let range): "a size from \(Scalars.text(bytes: range.lowerBound)) to \(Scalars.text(bytes: range.upperBound))"
        case .url(let schemes): "a URL (" + schemes.map { $0 + "://" }.joined(separator: ", ") + ")"
        case .path: "a path"
        case .choice(let words): (words.count == 1 ? "" : "one of ") + words.joined(separator: ", ")
        case .list(let element, _): "a list of \(element.noun)"
        case .map(let value, _): "a mapping of names to \(value.noun)"
        case .object: "a mapping"
        case .tagged(let specs, _): "a mapping with type: " + specs.keys.sorted().joined(separator: " | ")
        case .oneOf(let types): types.map(\.expectation).joined(separator: ", or ")
        }
    }

    /// One word, for the reference table.
    var noun: String {
        switch self {
        case .string: "text"
        case .int: "int"
        case .float: "number"
        case .bool: "bool"
        case .duration: "duration"
        case .bytes: "bytes"
        case .url: "url"
        case .path: "path"
        case .choice(let words): words.joined(separator: " or ")
        case .list(let element, _): "list of \(element.noun)"
        case .map(let value, _): "map of \(value.noun)"
        case .object: "object"
        case .tagged: "object by type"
        case .oneOf(let types): types.map(\.noun).joined(separator: " or ")
        }
    }

    /// Whether the value is a single scalar.
    var isScalar: Bool {
        switch self {
        case .list, .map, .object, .tagged: false
        case .oneOf(let types): types.allSatisfy(\.isScalar)
        default: true
        }
    }

    private static func bounds<T: Comparable>(_ low: T, _ high: T, top: T) -> String {
        high >= top ? " of at least \(low)" : " from \(low) to \(high)"
    }
}

/// What a key of the user's choice may look like.
public enum KeyRule: Sendable {
    /// `[a-z][a-z0-9_]*`
    case identifier
    /// `[a-z][a-z0-9_-]*`
    case dashed
    /// A name of an HTTP header.
    case header

    var pattern: String {
        switch self {
        case .identifier: "^[a-z][a-z0-9_]*$"
        case .dashed: "^[a-z][a-z0-9_-]*$"
        case .header: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
        }
    }

    var words: String {
        switch self {
        case .identifier: "lower-case letters, digits and _, with a letter first"
        case .dashed: "lower-case letters, digits, _ and -, with a letter first"
        case .header: "a header name"
        }
    }

    func accepts(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        guard let first = bytes.first, bytes.count <= 64 else { return false }
        switch self {
        case .header: return bytes.allSatisfy { Self.alphanumeric($0) || (65...90).contains($0) || "!#$%&'*+.^_`|~-".utf8.contains($0) }
        case .identifier, .dashed:
            guard (97...122).contains(first) else { return false }
            return bytes.allSatisfy { Self.alphanumeric($0) || $0 == 95 || (self == .dashed && $0 == 45) }
        }
    }

    private static func alphanumeric(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
}
