/// One field of a configuration object: everything that the decoder, the JSON Schema, the reference and the sample need.
public struct FieldSpec: Sendable {
    /// snake_case.
    public let name: String
    public let type: ValueType
    /// One sentence.
    public let doc: String
    /// The value when the field is left out, written as in YAML. For lists, maps and objects only `[]` and `{}`.
    public let defaultText: String?
    /// A value for the sample; the default serves when there is none.
    public let example: String?
    public let required: Bool
    /// The values are kept in `Secret` and never shown. For text, and for lists and maps of text.
    public let secret: Bool
    /// The unit of a bare number ("requests/s"); durations and sizes carry theirs.
    public let unit: String?
    /// Whether the sample sets the field although it is not required.
    public let sampled: Bool

    public init(
        _ name: String, _ type: ValueType, _ doc: String, default defaultText: String? = nil, example: String? = nil,
        required: Bool = false, secret: Bool = false, unit: String? = nil, sampled: Bool = false
    ) {
        precondition(!(required && defaultText != nil), "\(name): a required field has no default")
        self.name = name
        self.type = type
        self.doc = doc
        self.defaultText = defaultText
        self.example = example
        self.required = required
        self.secret = secret
        self.unit = unit
        self.sampled = sampled || required
    }
}
