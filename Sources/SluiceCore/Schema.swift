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
    /// One object that all tables of a shape share: a table is copied at every step of its way.
    private final class Shape: Sendable {
        let name: String
        let fields: [Field]
        let key: [String]
        let doc: String

        init(name: String, fields: [Field], key: [String], doc: String) {
            self.name = name
            self.fields = fields
            self.key = key
            self.doc = doc
        }
    }

    private let shape: Shape

    public init(name: String, key: [String], doc: String, fields: [Field]) {
        shape = Shape(name: name, fields: fields, key: key, doc: doc)
    }

    public var name: String { shape.name }
    public var fields: [Field] { shape.fields }
    /// Names of the fields that identify a row: chain, block hash and place, so that forks never collide.
    public var key: [String] { shape.key }
    /// One line for the generated reference.
    public var doc: String { shape.doc }

    public func isNamed(_ name: String) -> Bool { shape.name == name }
    public func isNamed(as other: Schema) -> Bool { shape === other.shape || shape.name == other.shape.name }

    public static func == (a: Schema, b: Schema) -> Bool {
        a.shape === b.shape || a.name == b.name && a.fields == b.fields && a.key == b.key && a.doc == b.doc
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(fields)
        hasher.combine(key)
        hasher.combine(doc)
    }

    /// The index of a field; nil when there is none of that name.
    public func index(of field: String) -> Int? { fields.firstIndex { $0.name == field } }
}
