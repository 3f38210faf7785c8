/// A place in a configuration file; both count from 1, columns in Unicode scalars.
public struct SourceMark: Hashable, Sendable, Comparable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (a: Self, b: Self) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// A parsed YAML document: what was written and where, before any meaning is given to it.
struct YAMLNode: Sendable {
    /// How a scalar came to its text. Only plain ones can mean "nothing"; text from outside is never shown in messages.
    enum Origin: Hashable, Sendable {
        case plain
        case quoted
        /// Text with `${...}` put in; `YAMLNode.raw` holds what was written.
        case interpolated
        /// A `${...}` that could not be put in. The problem is reported already; nothing more is said about this value.
        case unresolved
    }

    enum Content: Sendable {
        case scalar(String, Origin)
        case sequence([YAMLNode])
        case mapping([YAMLEntry])
    }

    let content: Content
    /// The text of a scalar as written, before interpolation; empty for the others.
    let raw: String
    let mark: SourceMark
    /// The place behind the last character.
    let end: SourceMark

    init(_ content: Content, raw: String = "", mark: SourceMark, end: SourceMark) {
        self.content = content
        self.raw = raw
        self.mark = mark
        self.end = end
    }

    /// The entries, when this is a mapping.
    var entries: [YAMLEntry]? {
        if case .mapping(let entries) = content { entries } else { nil }
    }

    /// The value of a key, when this is a mapping that has it.
    subscript(_ key: String) -> YAMLNode? { entries?.first { $0.key == key }?.value }

    /// What is there, for "expected ..., found ...".
    var kind: String {
        switch content {
        case .scalar: isNothing ? "nothing" : "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Whether the value was left out: `key:` with nothing behind it, `~` or `null`.
    var isNothing: Bool {
        if case .scalar(let text, .plain) = content { text.isEmpty || text == "~" || text == "null" } else { false }
    }

    /// How many nodes copying this one would add; aliases are paid for by it.
    var weight: Int {
        switch content {
        case .scalar: 1
        case .sequence(let items): items.reduce(1) { $0 + $1.weight }
        case .mapping(let entries): entries.reduce(1) { $0 + 1 + $1.value.weight }
        }
    }
}

/// One `key: value` of a mapping.
struct YAMLEntry: Sendable {
    let key: String
    let keyMark: SourceMark
    let value: YAMLNode
}
