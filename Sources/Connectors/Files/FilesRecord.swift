import SluiceCore
import SluiceFormats

/// What the files of one chain hold: the one truth. It takes the place of its forerunner in one step; bytes behind what it tells do not count.
struct FilesRecord: Sendable, Hashable {
    struct Shape: Sendable, Hashable {
        let name: String
        /// Name and type of each column.
        var columns: [String]
    }

    /// Blocks that follow each other, in one file a table.
    struct Part: Sendable, Hashable {
        let first: UInt64
        /// Nil: it is about to begin, or to go; files of it may be there or not, and go at the next start.
        var last: Position?
        /// Nothing more is added to it.
        var isSealed = false
        /// Of each table.
        var bytes: [Int]
    }

    /// How long the files of a part were at a block's end.
    struct Mark: Sendable, Hashable {
        let number: UInt64
        var bytes: [Int]
    }

    /// A file that takes the place of a part's. The record tells of it as it is to be; until it has its place it lies beside it.
    struct Exchange: Sendable, Hashable {
        let first: UInt64
        let table: String
    }

    let stream: StreamID
    let format: TextRows.Format
    var tables: [Shape]
    /// In order of their blocks.
    var parts: [Part] = []
    /// Of recent blocks, in order.
    var marks: [Mark] = []
    /// What is to be done before the files are as is told here.
    var exchanges: [Exchange] = []

    var coverage: Coverage { Coverage(parts.compactMap { part in part.last.map { Segment(first: part.first, last: $0) } }) }

    init(stream: StreamID, format: TextRows.Format, tables: [Shape]) {
        (self.stream, self.format, self.tables) = (stream, format, tables)
    }

    static func shape(_ schema: Schema) -> Shape {
        Shape(name: schema.name, columns: schema.fields.map { "\($0.name) \($0.type.name)" })
    }

    /// The part that holds a block.
    func part(of number: UInt64) -> Int? {
        parts.firstIndex { $0.first <= number && $0.last.map { number <= $0.number } ?? false }
    }

    /// The highest mark of a part up to a block.
    func mark(upTo number: UInt64, in part: Part) -> Mark? { marks.last { $0.number <= number && $0.number >= part.first } }

    // MARK: - JSON

    /// Numbers of parts and marks stand as lists: there may be many.
    var json: String {
        let shapes = tables.map { "    \($0.name.jsonQuoted): [\($0.columns.map(\.jsonQuoted).joined(separator: ", "))]" }
        let parts = parts.map { part in
            let last = part.last.map { "\"last_block\": \($0.number), \"last_hash\": \"\($0.hash)\", " } ?? ""
            let sealed = part.isSealed ? "\"sealed\": true, " : ""
            return
                "    {\"first_block\": \(part.first), \(last)\(sealed)\"bytes\": [\(part.bytes.map(String.init).joined(separator: ", "))]}"
        }
        let marks = marks.map { "    [\(([String($0.number)] + $0.bytes.map(String.init)).joined(separator: ", "))]" }
        let exchanges = exchanges.map { "{\"first_block\": \($0.first), \"table\": \($0.table.jsonQuoted)}" }
        return """
            {
              "version": 1,
              "stream": \(stream.pipeline.jsonQuoted),
              "chain_id": \(stream.chainID),
              "format": "\(format.rawValue)",
              "tables": {
            \(shapes.joined(separator: ",\n"))
              },
              "order": [\(tables.map(\.name.jsonQuoted).joined(separator: ", "))],
              "parts": [
            \(parts.joined(separator: ",\n"))
              ],
              "ends_of_recent_blocks": [
            \(marks.joined(separator: ",\n"))
              ]\(exchanges.isEmpty ? "" : ",\n  \"exchanges\": [\(exchanges.joined(separator: ", "))]")
            }

            """
    }

    /// Reads what `json` wrote; nil for anything else.
    init?(json text: String) {
        var reader = JSONTreeReader(text, reading: "a record", code: .filesFolder, remedy: "restore it")
        guard let root = try? reader.document(), root["version"]?.whole == 1, let pipeline = root["stream"]?.text,
            let chain = root["chain_id"]?.whole, let format = root["format"]?.text.flatMap(TextRows.Format.init),
            let order = root["order"]?.items, let parts = root["parts"]?.items, let marks = root["ends_of_recent_blocks"]?.items
        else { return nil }
        self.init(stream: StreamID(pipeline: pipeline, chainID: chain), format: format, tables: [])
        for name in order.map(\.text) {
            guard let name, let columns = root["tables"]?[name]?.items?.compactMap(\.text) else { return nil }
            tables.append(Shape(name: name, columns: columns))
        }
        func counts(_ items: [JSONNode]?) -> [Int]? {
            let found = items?.compactMap { $0.whole.flatMap { Int(exactly: $0) } }
            return found?.count == tables.count ? found : nil
        }
        for node in parts {
            guard let first = node["first_block"]?.whole, let bytes = counts(node["bytes"]?.items) else { return nil }
            var part = Part(first: first, isSealed: node["sealed"]?.flag ?? false, bytes: bytes)
            if let number = node["last_block"]?.whole {
                guard let hash = node["last_hash"]?.text.flatMap(Hash32.init(hex:)), number >= first else { return nil }
                part.last = Position(number: number, hash: hash)
            }
            // A part that is not there yet, or no more, ends nowhere.
            guard self.parts.last.map({ ($0.last?.number ?? $0.first) < first || $0.last == nil }) ?? true else { return nil }
            self.parts.append(part)
        }
        for node in marks {
            guard let items = node.items, let number = items.first?.whole, let bytes = counts(Array(items.dropFirst())) else { return nil }
            self.marks.append(Mark(number: number, bytes: bytes))
        }
        for node in root["exchanges"]?.items ?? [] {
            guard let first = node["first_block"]?.whole, let table = node["table"]?.text, tables.contains(where: { $0.name == table })
            else { return nil }
            exchanges.append(Exchange(first: first, table: table))
        }
    }
}
