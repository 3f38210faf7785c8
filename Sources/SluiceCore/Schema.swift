/// One column of a table, as declared.
public struct Field: Hashable, Sendable {
    /// What the values are like. A store may choose by it how it keeps them; it changes nothing that a reader sees.
    public enum Content: Hashable, Sendable {
        /// Numbers, or bytes that are as good as random: hashes, most addresses.
        case varied
        /// The same values again and again within some thousand rows.
        case repeating
        /// Long values with patterns in them: call data, JSON.
        case patterned
    }

    public let name: String
    public let type: LogicalType
    public let nullable: Bool
    public let content: Content
    /// One line for the generated reference.
    public let doc: String

    public init(_ name: String, _ type: LogicalType, nullable: Bool = false, content: Content = .varied, _ doc: String) {
        self.name = name
        self.type = type
        self.nullable = nullable
        self.content = content
        self.doc = doc
    }
}

/// The shape of a table: its name, its fields in order, and which of them identify a row.
public struct Schema: Hashable, Sendable {
    public let name: String
    public let fields: [Field]
    /// Names of the fields that identify a row: chain, block hash and place, so that forks never collide.
    public let key: [String]
    /// One line for the generated reference.
    public let doc: String

    public init(name: String, key: [String], doc: String, fields: [Field]) {
        self.name = name
        self.fields = fields
        self.key = key
        self.doc = doc
    }

    /// The index of a field; nil when there is none of that name.
    public func index(of field: String) -> Int? { fields.firstIndex { $0.name == field } }
}
