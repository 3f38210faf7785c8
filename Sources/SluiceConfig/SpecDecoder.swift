/// Gives a parsed tree its meaning by specs, and collects every problem on the way instead of stopping at the first.
struct SpecDecoder {
    private let source: SourceText
    private var found: [(mark: SourceMark, path: String, message: String, suggestion: String?)] = []
    /// What may be printed of the source: keys, and scalars that a spec says are not secret.
    private var shown: Set<SourceSpan> = []

    init(_ source: SourceText) { self.source = source }

    /// All problems so far. Excerpts are cut only here, when it is known what may be shown.
    var problems: [ConfigProblem] {
        found.map {
            ConfigProblem(
                file: source.file, mark: $0.mark, path: $0.path, message: $0.message, suggestion: $0.suggestion,
                excerpt: source.excerpt(at: $0.mark, shown: Array(shown)))
        }
    }

    mutating func report(_ mark: SourceMark, _ path: String, _ message: String, _ suggestion: String? = nil) {
        found.append((mark, path, message, suggestion))
    }

    // MARK: Objects

    /// The object with what was right in it. `tagged` skips the key `type`.
    mutating func object(_ node: YAMLNode, _ spec: ObjectSpec, path: String, tag: String? = nil) -> ConfigObject? {
        guard let entries = node.entries else {
            refuse(node, path, "expected a mapping, found \(node.kind)")
            return nil
        }
        var values: [String: ConfigValue] = [:]
        for entry in entries where !(tag != nil && entry.key == "type") {
            show(key: entry)
            let below = join(path, entry.key)
            guard let field = spec.field(entry.key) else {
                unknown(entry, below, spec, taken: Set(entries.map(\.key)), tagged: tag != nil)
                continue
            }
            values[field.name] = value(entry.value, field.type, path: below, secret: field.secret)
        }
        let written = Set(entries.map(\.key))
        for field in spec.fields where !written.contains(field.name) {
            if field.required {
                report(
                    node.mark, path, "missing \"\(field.name)\", which is required",
                    field.example.map { "for example \(field.name): \($0)" })
            } else if let text = field.defaultText, let content = Self.defaultValue(text, of: field) {
                values[field.name] = ConfigValue(content: content, mark: node.mark)
            }
        }
        return ConfigObject(tag: tag, mark: node.mark, values: values)
    }

    private mutating func unknown(_ entry: YAMLEntry, _ path: String, _ spec: ObjectSpec, taken: Set<String>, tagged: Bool) {
        let names = (tagged ? ["type"] : []) + spec.fields.map(\.name)
        let free = names.filter { !taken.contains($0) }
        let hint =
            Spelling.nearest(to: entry.key, in: free).map { "did you mean \"\($0)\"?" } ?? "known keys: " + names.joined(separator: ", ")
        report(entry.keyMark, path, "unknown key", hint)
    }

    /// The value of a default; nil when its own type refuses it.
    static func defaultValue(_ text: String, of field: FieldSpec) -> ConfigValue.Content? {
        let nowhere = SourceMark(line: 0, column: 0)
        let node: YAMLNode
        switch text {
        case "[]": node = YAMLNode(.sequence([]), mark: nowhere, end: nowhere)
        case "{}": node = YAMLNode(.mapping([]), mark: nowhere, end: nowhere)
        case _ where text.hasPrefix("[") && text.hasSuffix("]"):
            // A list of plain words, as in a flow sequence of YAML.
            let words = text.dropFirst().dropLast().split(separator: ",").map { $0.drop { $0 == " " } }
            let parts = words.map { YAMLNode(.scalar(String($0), .quoted), raw: String($0), mark: nowhere, end: nowhere) }
            node = YAMLNode(.sequence(parts), mark: nowhere, end: nowhere)
        default: node = YAMLNode(.scalar(text, .quoted), raw: text, mark: nowhere, end: nowhere)
        }
        var decoder = SpecDecoder(SourceText(file: "", text: ""))
        let value = decoder.value(node, field.type, path: field.name, secret: field.secret)
        return decoder.found.isEmpty ? value?.content : nil
    }

    // MARK: Values

    private mutating func value(_ node: YAMLNode, _ type: ValueType, path: String, secret: Bool) -> ConfigValue? {
        if case .scalar(_, .unresolved) = node.content { return nil }
        switch type {
        case .list(let element, let count): return list(node, element, count, path: path, secret: secret)
        case .map(let value, let keys): return map(node, value, keys, path: path, secret: secret)
        case .object(let spec): return object(node, spec, path: path).map { ConfigValue(content: .object($0), mark: node.mark) }
        case .tagged(let specs, let usual): return tagged(node, specs, usual: usual, path: path)
        case .oneOf(let types): return oneOf(node, types, whole: type, path: path, secret: secret)
        default: return scalar(node, type, path: path, secret: secret)
        }
    }

    private mutating func scalar(_ node: YAMLNode, _ type: ValueType, path: String, secret: Bool) -> ConfigValue? {
        guard case .scalar(let text, let origin) = node.content, !node.isNothing else {
            refuse(node, path, "expected \(type.expectation), found \(node.kind)")
            return nil
        }
        let hidden = secret || type.isURL
        if !hidden { shown.insert(SourceSpan(start: node.mark, end: node.end)) }
        do throws(Scalars.Fault) {
            let content = try Scalars.parse(text, as: type, shown: Self.quote(node, text, origin, hidden))
            if secret, case .string(let text) = content { return ConfigValue(content: .secret(Secret(text)), mark: node.mark) }
            return ConfigValue(content: content, mark: node.mark)
        } catch {
            // A suggestion may repeat part of the value; what came from the environment is not repeated.
            report(node.mark, path, error.message, origin == .interpolated && !hidden ? nil : error.suggestion)
            return nil
        }
    }

    private mutating func list(_ node: YAMLNode, _ element: ValueType, _ count: ClosedRange<Int>, path: String, secret: Bool)
        -> ConfigValue?
    {
        guard case .sequence(let items) = node.content else {
            let hint = node.isNothing || node.entries != nil || !element.hasScalar ? nil : "write a list: [...]"
            refuse(node, path, "expected a list, found \(node.kind)", hint)
            return nil
        }
        if !count.contains(items.count) {
            report(
                node.mark, path,
                items.isEmpty
                    ? "the list must not be empty" : "expected \(count.lowerBound) to \(count.upperBound) values, found \(items.count)")
        }
        var values: [ConfigValue] = []
        for (index, item) in items.enumerated() {
            if let value = value(item, element, path: "\(path)[\(index)]", secret: secret) { values.append(value) }
        }
        return ConfigValue(content: .list(values), mark: node.mark)
    }

    private mutating func map(_ node: YAMLNode, _ type: ValueType, _ keys: KeyRule, path: String, secret: Bool) -> ConfigValue? {
        guard let entries = node.entries else {
            refuse(node, path, "expected a mapping, found \(node.kind)")
            return nil
        }
        var out: [ConfigEntry] = []
        for entry in entries {
            show(key: entry)
            let below = join(path, entry.key)
            if !keys.accepts(entry.key) { report(entry.keyMark, below, "not a name that can be used here", "use \(keys.words)") }
            if let value = value(entry.value, type, path: below, secret: secret) {
                out.append(ConfigEntry(key: entry.key, keyMark: entry.keyMark, value: value))
            }
        }
        return ConfigValue(content: .map(out), mark: node.mark)
    }

    private mutating func tagged(_ node: YAMLNode, _ specs: [String: ObjectSpec], usual: String?, path: String) -> ConfigValue? {
        guard let entries = node.entries else {
            refuse(node, path, "expected a mapping, found \(node.kind)")
            return nil
        }
        guard let entry = entries.first(where: { $0.key == "type" }) else {
            if let usual, let spec = specs[usual] {
                return object(node, spec, path: path, tag: usual).map { ConfigValue(content: .object($0), mark: node.mark) }
            }
            let near = entries.first { Spelling.nearest(to: $0.key, in: ["type"]) != nil }
            entries.forEach { show(key: $0) }
            report(
                near?.keyMark ?? node.mark, path, "missing \"type\", which is required",
                "one of " + specs.keys.sorted().joined(separator: ", "))
            return nil
        }
        show(key: entry)
        guard let tag = scalar(entry.value, .choice(specs.keys.sorted()), path: join(path, "type"), secret: false)?.string,
            let spec = specs[tag]
        else { return nil }
        return object(node, spec, path: path, tag: tag).map { ConfigValue(content: .object($0), mark: node.mark) }
    }

    /// A mapping goes to the type that takes mappings, a list likewise; of several scalar types the first that fits wins.
    private mutating func oneOf(_ node: YAMLNode, _ types: [ValueType], whole: ValueType, path: String, secret: Bool) -> ConfigValue? {
        let scalars = types.filter(\.isScalar)
        switch node.content {
        case .scalar(let text, let origin):
            guard !node.isNothing, !scalars.isEmpty else { break }
            if scalars.count == 1 { return scalar(node, scalars[0], path: path, secret: secret) }
            let hidden = secret || scalars.contains { $0.isURL }
            if !hidden { shown.insert(SourceSpan(start: node.mark, end: node.end)) }
            let quoted = Self.quote(node, text, origin, hidden)
            for type in scalars {
                if let content = try? Scalars.parse(text, as: type, shown: quoted) { return ConfigValue(content: content, mark: node.mark) }
            }
            report(node.mark, path, "expected \(whole.expectation), found \(quoted)")
            return nil
        case .mapping, .sequence:
            if let type = types.first(where: { $0.takes(node) }) { return value(node, type, path: path, secret: secret) }
        }
        refuse(node, path, "expected \(whole.expectation), found \(node.kind)")
        return nil
    }

    // MARK: Words

    private mutating func refuse(_ node: YAMLNode, _ path: String, _ message: String, _ suggestion: String? = nil) {
        if case .scalar(_, .unresolved) = node.content { return }
        report(node.mark, path, message, suggestion)
    }

    private mutating func show(key entry: YAMLEntry) {
        let width = entry.key.unicodeScalars.count
        let end = SourceMark(line: entry.keyMark.line, column: entry.keyMark.column + width + 2)
        shown.insert(SourceSpan(start: entry.keyMark, end: min(end, entry.value.mark > entry.keyMark ? entry.value.mark : end)))
    }

    /// A scalar for a message: what came from outside is named, not shown.
    private static func quote(_ node: YAMLNode, _ text: String, _ origin: YAMLNode.Origin, _ hidden: Bool) -> String {
        if hidden { return "something else" }
        if origin == .interpolated { return "the value of \"\(clip(node.raw))\"" }
        return "\"\(clip(text))\""
    }

    private static func clip(_ text: String) -> String {
        let clean = String(String.UnicodeScalarView(text.unicodeScalars.prefix(60).map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
        return text.unicodeScalars.count > 60 ? clean + "..." : clean
    }

    private func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}

extension ValueType {
    var isURL: Bool {
        switch self {
        case .url: true
        case .oneOf(let types): types.contains { $0.isURL }
        default: false
        }
    }

    /// Whether a single scalar is one of the ways to write this type.
    fileprivate var hasScalar: Bool {
        if case .oneOf(let types) = self { types.contains { $0.hasScalar } } else { isScalar }
    }

    /// Whether a mapping or a list is what this type is written as.
    fileprivate func takes(_ node: YAMLNode) -> Bool {
        switch (self, node.content) {
        case (.map, .mapping), (.object, .mapping), (.tagged, .mapping), (.list, .sequence): true
        default: false
        }
    }
}
