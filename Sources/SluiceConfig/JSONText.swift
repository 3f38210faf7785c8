import SluiceCore

/// A JSON value to be written; for the schema only, so it keeps the order of keys and is indented.
enum JSONText {
    case string(String)
    case number(String)
    case bool(Bool)
    case array([JSONText])
    case object([(String, JSONText)])

    func render(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .string(let text): return text.jsonQuoted
        case .number(let text): return text
        case .bool(let value): return value ? "true" : "false"
        case .array(let items):
            if items.isEmpty { return "[]" }
            return "[\n" + items.map { inner + $0.render(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            return "{\n" + members.map { "\(inner)\($0.0.jsonQuoted): \($0.1.render(indent: inner))" }.joined(separator: ",\n")
                + "\n\(indent)}"
        }
    }
}
