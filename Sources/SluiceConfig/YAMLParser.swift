internal import CYaml

/// Reads YAML text into a tree, over libyaml's events. Refuses what a configuration has no use for: several documents,
/// tags, keys that are not text, duplicate keys, and aliases that blow up.
///
/// libyaml is driven by events and not by its document loader because events tell where an alias stands, because an
/// anchor is only known once its node is complete (so that a node cannot contain itself), and because depth and
/// expansion are then bounded while reading.
final class YAMLParser {
    /// Nodes a document may have, aliases expanded.
    static let nodeLimit = 50_000
    /// Levels of nesting.
    static let depthLimit = 32
    /// Bytes of a file.
    static let byteLimit = 4 << 20

    /// Why the text is no YAML that we take.
    struct Failure: Error {
        let mark: SourceMark
        let message: String
    }

    // The parser keeps a pointer to itself, so it must not move: it lives on the heap.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let source: SourceText
    private var anchors: [String: (node: YAMLNode, weight: Int)] = [:]
    private var nodes = 0

    /// The document in `source`; nil when it holds none (empty, or comments only).
    static func parse(_ source: SourceText) throws(Failure) -> YAMLNode? {
        var bytes = Array(source.text.utf8)
        guard bytes.count <= byteLimit else {
            throw Failure(mark: SourceMark(line: 1, column: 1), message: "the file has \(bytes.count) bytes; at most \(byteLimit) are read")
        }
        let reader = YAMLParser(source)
        let result = bytes.withUnsafeMutableBufferPointer { buffer -> Result<YAMLNode?, Failure> in
            yaml_parser_set_input_string(reader.parser, buffer.baseAddress, buffer.count)
            yaml_parser_set_encoding(reader.parser, YAML_UTF8_ENCODING)
            do throws(Failure) { return .success(try reader.document()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private init(_ source: SourceText) {
        self.source = source
        parser = .allocate(capacity: 1)
        // Fails only without memory, where nothing sensible is left to do.
        precondition(yaml_parser_initialize(parser) == 1, "out of memory")
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    private func document() throws(Failure) -> YAMLNode? {
        _ = try next()
        guard case .documentStart = try next().kind else { return nil }
        let root = try node(try next(), depth: 0)
        _ = try next()
        let after = try next()
        guard case .streamEnd = after.kind else {
            throw Failure(mark: after.mark, message: "a second document; a configuration is one document, remove the \"---\" line")
        }
        return root
    }

    private func node(_ event: Event, depth: Int) throws(Failure) -> YAMLNode {
        nodes += 1
        guard nodes <= Self.nodeLimit else {
            throw Failure(mark: event.mark, message: "more than \(Self.nodeLimit) values; aliases that contain aliases grow without bound")
        }
        guard depth < Self.depthLimit else {
            throw Failure(mark: event.mark, message: "nested more than \(Self.depthLimit) levels deep")
        }
        if let tag = event.tag, tag != "!" {
            throw Failure(mark: event.mark, message: "a tag (\(tag)); tags are not supported, write the plain value")
        }
        let built: YAMLNode
        switch event.kind {
        case .scalar(let text, let quoted):
            built = YAMLNode(.scalar(text, quoted ? .quoted : .plain), raw: text, mark: event.mark, end: event.end)
        case .sequenceStart:
            built = try sequence(event, depth: depth)
        case .mappingStart:
            built = try mapping(event, depth: depth)
        case .alias(let name):
            guard let target = anchors[name] else {
                throw Failure(mark: event.mark, message: "the alias *\(name) has no complete anchor &\(name) before it")
            }
            nodes += target.weight
            guard nodes <= Self.nodeLimit else {
                throw Failure(
                    mark: event.mark, message: "more than \(Self.nodeLimit) values; aliases that contain aliases grow without bound")
            }
            return target.node
        case .documentStart, .streamEnd, .other:
            throw Failure(mark: event.mark, message: "the document ends too early")
        }
        if let anchor = event.anchor { anchors[anchor] = (built, built.weight) }
        return built
    }

    private func sequence(_ start: Event, depth: Int) throws(Failure) -> YAMLNode {
        var items: [YAMLNode] = []
        while true {
            let event = try next()
            if case .other = event.kind { return YAMLNode(.sequence(items), mark: start.mark, end: event.end) }
            items.append(try node(event, depth: depth + 1))
        }
    }

    private func mapping(_ start: Event, depth: Int) throws(Failure) -> YAMLNode {
        var entries: [YAMLEntry] = []
        var merged: [YAMLEntry] = []
        var seen: [String: SourceMark] = [:]
        while true {
            let event = try next()
            switch event.kind {
            case .other:
                entries += merged.filter { seen[$0.key] == nil }
                return YAMLNode(.mapping(entries), mark: start.mark, end: event.end)
            case .scalar(let key, let quoted):
                let value = try node(try next(), depth: depth + 1)
                if key == "<<", !quoted {
                    merged = try merge(value, into: merged)
                    continue
                }
                if let first = seen.updateValue(event.mark, forKey: key) {
                    throw Failure(mark: event.mark, message: "the key \"\(key)\" is there twice; the first is in line \(first.line)")
                }
                entries.append(YAMLEntry(key: key, keyMark: event.mark, value: value))
            default:
                throw Failure(mark: event.mark, message: "a key must be plain text")
            }
        }
    }

    /// `<<: *base` and `<<: [*one, *two]`: keys of the base that the mapping does not set itself; earlier ones win.
    private func merge(_ value: YAMLNode, into merged: [YAMLEntry]) throws(Failure) -> [YAMLEntry] {
        let sources: [YAMLNode] = if case .sequence(let items) = value.content { items } else { [value] }
        var out = merged
        var names = Set(merged.map(\.key))
        for source in sources {
            guard let entries = source.entries else {
                throw Failure(mark: value.mark, message: "\"<<\" merges mappings, found \(source.kind)")
            }
            for entry in entries where names.insert(entry.key).inserted { out.append(entry) }
        }
        return out
    }

    // MARK: Events

    private struct Event {
        enum Kind {
            case documentStart, streamEnd
            case scalar(String, quoted: Bool)
            case sequenceStart, mappingStart
            case alias(String)
            /// Starts and ends that the caller knows from where it stands.
            case other
        }
        let kind: Kind
        let anchor: String?
        let tag: String?
        let mark: SourceMark
        let end: SourceMark
    }

    private func next() throws(Failure) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
        defer { yaml_event_delete(&event) }
        let kind: Event.Kind
        var anchor: UnsafeMutablePointer<yaml_char_t>?
        var tag: UnsafeMutablePointer<yaml_char_t>?
        switch event.type {
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_STREAM_END_EVENT, YAML_NO_EVENT: kind = .streamEnd
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            kind = .scalar(text, quoted: scalar.style != YAML_PLAIN_SCALAR_STYLE)
            (anchor, tag) = (scalar.anchor, scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            kind = .sequenceStart
            (anchor, tag) = (event.data.sequence_start.anchor, event.data.sequence_start.tag)
        case YAML_MAPPING_START_EVENT:
            kind = .mappingStart
            (anchor, tag) = (event.data.mapping_start.anchor, event.data.mapping_start.tag)
        case YAML_ALIAS_EVENT: kind = .alias(Self.text(event.data.alias.anchor) ?? "")
        default: kind = .other
        }
        return Event(
            kind: kind, anchor: Self.text(anchor), tag: Self.text(tag), mark: Self.mark(event.start_mark), end: Self.mark(event.end_mark))
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? { pointer.map { String(cString: $0) } }
    private static func mark(_ mark: yaml_mark_t) -> SourceMark { SourceMark(line: mark.line + 1, column: mark.column + 1) }

    /// libyaml's own words, with the one hint that most people need.
    private func failure() -> Failure {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "cannot be read"
        if parser.pointee.error == YAML_READER_ERROR {
            return Failure(mark: source.mark(ofByte: parser.pointee.problem_offset), message: "not valid YAML: \(problem)")
        }
        let mark = Self.mark(parser.pointee.problem_mark)
        if source.indentHasTab(line: mark.line) {
            return Failure(mark: mark, message: "not valid YAML: a tab in the indentation; indent with spaces")
        }
        let context = parser.pointee.context.map { " (" + String(cString: $0) + ")" } ?? ""
        return Failure(mark: mark, message: "not valid YAML: \(problem)\(context)")
    }
}
