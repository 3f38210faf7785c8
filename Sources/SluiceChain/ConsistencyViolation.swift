/// Two parts of a block that contradict each other: evidence against the endpoint that sent them.
public struct ConsistencyViolation: Hashable, Sendable, CustomStringConvertible {
    /// The field that is wrong, or that shows it: `logs_bloom`, `gas_used`.
    public let field: String
    /// What the rest of the block says the field must be, as text.
    public let expected: String
    /// What it is.
    public let found: String
    /// Where: `block 17034870, receipt 12`.
    public let place: String

    public init(field: String, expected: String, found: String, place: String) {
        self.field = field
        self.expected = expected
        self.found = found
        self.place = place
    }

    /// One line. Long values (a bloom) are shortened around the first difference; the properties hold them whole.
    public var description: String {
        let (expected, found) = Self.excerpt(expected, found)
        return "\(place): \(field) is \(found), expected \(expected)"
    }

    /// Characters of a value that a line can bear.
    private static let most = 80

    private static func excerpt(_ a: String, _ b: String) -> (String, String) {
        guard max(a.utf8.count, b.utf8.count) > most else { return (a, b) }
        let same = zip(a, b).prefix { $0 == $1 }.count
        // A few characters before the difference, so that the reader can find the place.
        let start = max(0, same - 8)
        return (window(a, from: start), window(b, from: start))
    }

    private static func window(_ text: String, from start: Int) -> String {
        guard text.utf8.count > most else { return text }
        let from = min(start, max(0, text.count - (most - 8)))
        let shown = text.dropFirst(from).prefix(most - 8)
        return (from > 0 ? "..." : "") + shown + (from + shown.count < text.count ? "..." : "") + " (from character \(from))"
    }
}
