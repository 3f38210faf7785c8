/// What is generated from specs: a JSON Schema for editors, a reference for readers, a sample to start from.
public enum ConfigDocs {
    // MARK: JSON Schema

    /// JSON Schema, draft 2020-12. Values other than text may also be `${...}`.
    public static func jsonSchema(_ spec: ObjectSpec, title: String) -> String {
        var members: [(String, JSONText)] = [
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")), ("title", .string(title)),
        ]
        if case .object(let own) = schema(spec, tag: nil) { members += own }
        return JSONText.object(members).render() + "\n"
    }

    private static func schema(_ spec: ObjectSpec, tag: String?, isUsual: Bool = false) -> JSONText {
        var properties: [(String, JSONText)] = []
        if let tag { properties.append(("type", .object([("const", .string(tag))]))) }
        for field in spec.fields {
            var members: [(String, JSONText)] = [("description", .string(field.doc + (field.unit.map { " In \($0)." } ?? "")))]
            if let text = field.defaultText { members.append(("default", literal(text, field.type))) }
            if field.secret { members.append(("writeOnly", .bool(true))) }
            if case .object(let own) = schema(field.type) { members += own }
            properties.append((field.name, .object(members)))
        }
        let required = (tag == nil || isUsual ? [] : ["type"]) + spec.fields.filter(\.required).map(\.name)
        return .object([
            ("description", .string(spec.doc)), ("type", .string("object")), ("properties", .object(properties)),
            ("required", .array(required.map { .string($0) })), ("additionalProperties", .bool(false)),
        ])
    }

    private static func schema(_ type: ValueType) -> JSONText {
        let outside = JSONText.object([("type", .string("string")), ("pattern", .string("\\$\\{.+\\}"))])
        func orOutside(_ members: [(String, JSONText)]) -> JSONText { .object([("anyOf", .array([.object(members), outside]))]) }
        switch type {
        case .string, .path: return .object([("type", .string("string")), ("minLength", .number("1"))])
        case .url(let schemes):
            return .object([("type", .string("string")), ("pattern", .string("^(" + schemes.joined(separator: "|") + ")://|\\$\\{.+\\}"))])
        case .duration: return .object([("type", .string("string")), ("pattern", .string("^[0-9][0-9_.]* ?(ms|s|m|h|d)$|\\$\\{.+\\}"))])
        case .bytes: return .object([("type", .string("string")), ("pattern", .string("^[0-9][0-9_]* ?([KMGT]i?)?B$|\\$\\{.+\\}"))])
        case .int(let range):
            var members: [(String, JSONText)] = [("type", .string("integer")), ("minimum", .number("\(range.lowerBound)"))]
            if range.upperBound != .max { members.append(("maximum", .number("\(range.upperBound)"))) }
            return orOutside(members)
        case .float(let range):
            return orOutside([
                ("type", .string("number")), ("minimum", .number("\(range.lowerBound)")), ("maximum", .number("\(range.upperBound)")),
            ])
        case .bool: return orOutside([("type", .string("boolean"))])
        case .choice(let words): return orOutside([("enum", .array(words.map { .string($0) }))])
        case .list(let element, let count):
            var members: [(String, JSONText)] = [
                ("type", .string("array")), ("items", schema(element)), ("minItems", .number("\(count.lowerBound)")),
            ]
            if count.upperBound != .max { members.append(("maxItems", .number("\(count.upperBound)"))) }
            return .object(members)
        case .map(let value, let keys):
            return .object([
                ("type", .string("object")), ("propertyNames", .object([("pattern", .string(keys.pattern))])),
                ("additionalProperties", schema(value)),
            ])
        case .object(let spec): return schema(spec, tag: nil)
        case .tagged(let specs, let usual):
            return .object([
                ("oneOf", .array(specs.sorted { $0.key < $1.key }.map { schema($0.value, tag: $0.key, isUsual: $0.key == usual) }))
            ])
        case .oneOf(let types): return .object([("anyOf", .array(types.map { schema($0) }))])
        }
    }

    private static func literal(_ text: String, _ type: ValueType) -> JSONText {
        switch (text, type) {
        case ("[]", _): .array([])
        case ("{}", _): .object([])
        case (_, .int), (_, .float): .number(text.filter { $0 != "_" })
        case (_, .bool): .bool(text == "true")
        case (_, .oneOf): Int(text).map { .number("\($0)") } ?? .string(text)
        default: .string(text)
        }
    }

    // MARK: Reference

    /// Markdown: a table for each object, those inside behind those around them.
    public static func reference(_ spec: ObjectSpec, title: String) -> String {
        var out = ""
        section(spec, title: title, path: "", into: &out)
        return out
    }

    private static func section(_ spec: ObjectSpec, title: String, path: String, into out: inout String) {
        out += "## \(title)\n\n\(spec.doc)\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        for field in spec.fields {
            let fallback = field.required ? "required" : field.defaultText.map { "`\($0)`" } ?? ""
            let extra = (field.unit.map { " In \($0)." } ?? "") + (field.secret ? " Secret." : "")
            out += "| `\(field.name)` | \(cell(field.type.noun)) | \(cell(fallback)) | \(cell(field.doc + extra)) |\n"
        }
        out += "\n"
        for field in spec.fields { nested(field.type, path: path.isEmpty ? field.name : "\(path).\(field.name)", into: &out) }
    }

    private static func nested(_ type: ValueType, path: String, into out: inout String) {
        switch type {
        case .object(let spec): section(spec, title: "`\(path)`", path: path, into: &out)
        case .tagged(let specs, let usual):
            for (tag, spec) in specs.sorted(by: { $0.key < $1.key }) {
                let left = tag == usual ? " (or no type)" : ""
                section(spec, title: "`\(path)`, `type: \(tag)`\(left)", path: path, into: &out)
            }
        case .list(let element, _): nested(element, path: "\(path)[]", into: &out)
        case .map(let value, _): nested(value, path: "\(path).<name>", into: &out)
        case .oneOf(let types): for type in types { nested(type, path: path, into: &out) }
        default: break
        }
    }

    private static func cell(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }

    // MARK: Sample

    /// YAML with every key explained: what is required is filled in, the rest is commented out with its default.
    public static func sample(_ spec: ObjectSpec) -> String {
        var lines: [String] = []
        sample(spec, indent: "", tag: nil, into: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func sample(_ spec: ObjectSpec, indent: String, tag: String?, into lines: inout [String]) {
        if let tag { lines.append("\(indent)type: \(tag)") }
        for field in spec.fields {
            if indent.isEmpty, !lines.isEmpty { lines.append("") }
            lines.append("\(indent)# \(field.doc)" + (field.unit.map { " In \($0)." } ?? ""))
            switch field.type {
            case .map(.object(let inner), _) where field.required:
                lines += ["\(indent)\(field.name):", "\(indent)  \(field.example ?? "name"):"]
                sample(inner, indent: indent + "    ", tag: nil, into: &lines)
            case .map(.tagged(let specs, let usual), _) where field.required:
                lines.append("\(indent)\(field.name):")
                for (index, entry) in specs.sorted(by: { $0.key < $1.key }).enumerated() {
                    let name = index == 0 ? field.example ?? entry.key : entry.key
                    lines.append("\(indent)  \(name):")
                    sample(entry.value, indent: indent + "    ", tag: entry.key == usual ? nil : entry.key, into: &lines)
                }
            default:
                let value = field.example ?? field.defaultText ?? ""
                // Only what is needed is live: an example of an optional field must not take effect by being shown.
                lines.append("\(indent)\(field.sampled ? "" : "# ")\(field.name):" + (value.isEmpty ? "" : " \(value)"))
            }
        }
    }
}
