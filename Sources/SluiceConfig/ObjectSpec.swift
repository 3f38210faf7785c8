/// The shape of one configuration object. A connector declares one; decoder, schema, reference and sample come from it.
public struct ObjectSpec: Sendable {
    /// One or two sentences on what the object is.
    public let doc: String
    public let fields: [FieldSpec]

    public init(_ doc: String, _ fields: [FieldSpec]) {
        precondition(Set(fields.map(\.name)).count == fields.count, "two fields of one name")
        self.doc = doc
        self.fields = fields
    }

    /// The field of a name; nil when there is none.
    public func field(_ name: String) -> FieldSpec? { fields.first { $0.name == name } }

    /// Defaults that their own type refuses, by path. For the test that every connector runs; empty when all is well.
    public func faults() -> [String] {
        fields.flatMap { field -> [String] in
            var out: [String] = []
            if let text = field.defaultText, SpecDecoder.defaultValue(text, of: field) == nil {
                out.append("\(field.name): the default \"\(text)\" is not \(field.type.expectation)")
            }
            return out + Self.nested(field.type).flatMap { spec in spec.faults().map { "\(field.name).\($0)" } }
        }
    }

    private static func nested(_ type: ValueType) -> [ObjectSpec] {
        switch type {
        case .object(let spec): [spec]
        case .tagged(let specs, _): specs.keys.sorted().compactMap { specs[$0] }
        case .list(let element, _): nested(element)
        case .map(let value, _): nested(value)
        case .oneOf(let types): types.flatMap(nested)
        default: []
        }
    }
}
