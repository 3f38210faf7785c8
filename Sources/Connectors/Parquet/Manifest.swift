import SluiceCore
import SluiceDuckDB

/// What one span of blocks became. It is written last, so a span is there when its manifest is.
struct Manifest: Sendable {
    struct File: Sendable {
        let table: String
        let path: String
        let rows: Int
        let bytes: Int
    }

    let stream: StreamID
    let first: UInt64
    let last: Position
    let files: [File]
    /// Tables that the span was written for; those without a row have no file.
    let tables: [String]
    /// The UTC date of the blocks, `YYYY-MM-DD`; nil when neither the manifest nor its files tell.
    let date: String?
    /// Names of manifests that do not count any more, because this one holds their blocks.
    let replaces: [String]
    /// Whether the rows were taken off for their age.
    let isExpired: Bool

    init(
        stream: StreamID, first: UInt64, last: Position, files: [File], tables: [String], date: String?, replaces: [String] = [],
        isExpired: Bool = false
    ) {
        self.stream = stream
        self.first = first
        self.last = last
        self.files = files
        self.tables = tables
        self.date = date ?? files.lazy.compactMap { Layout.date(of: $0.path) }.first
        self.replaces = replaces
        self.isExpired = isExpired
    }

    /// The name of its file.
    var name: String { "\(Layout.padded(first))_\(Layout.padded(last.number)).json" }

    /// What is decided by.
    var entry: SpanIndex.Entry { SpanIndex.Entry(first: first, last: last.number, date: date, isExpired: isExpired) }

    /// The same with other files.
    func with(_ files: [File]) -> Manifest {
        Manifest(stream: stream, first: first, last: last, files: files, tables: tables, date: date, isExpired: isExpired)
    }

    /// The same, from which on others do not count.
    func replacing(_ others: [Manifest]) -> Manifest {
        Manifest(
            stream: stream, first: first, last: last, files: files, tables: tables, date: date, replaces: others.map(\.name),
            isExpired: isExpired)
    }

    /// The same without its rows.
    var expired: Manifest {
        Manifest(stream: stream, first: first, last: last, files: [], tables: tables, date: date, isExpired: true)
    }

    /// As JSON. `schemas` are those of the stream.
    func json(_ schemas: [Schema]) -> String {
        let files = files.map {
            "    {\"table\": \($0.table.jsonQuoted), \"path\": \($0.path.jsonQuoted), \"rows\": \($0.rows), \"bytes\": \($0.bytes)}"
        }
        let shapes = schemas.map { schema in
            let columns = ScanColumn.parquet(schema).map { "{\"name\": \($0.name.jsonQuoted), \"type\": \($0.sqlType.jsonQuoted)}" }
            return "    \(schema.name.jsonQuoted): [\(columns.joined(separator: ", "))]"
        }
        var more = date.map { "  \"date\": \($0.jsonQuoted),\n" } ?? ""
        if isExpired { more += "  \"expired\": true,\n" }
        if !replaces.isEmpty { more += "  \"replaces\": [\(replaces.map(\.jsonQuoted).joined(separator: ", "))],\n" }
        return """
            {
              "version": 1,
              "stream": \(stream.pipeline.jsonQuoted),
              "chain_id": \(stream.chainID),
              "first_block": \(first),
              "last_block": \(last.number),
              "last_hash": "\(last.hash)",
            \(more)\
              "rows": \(self.files.reduce(0) { $0 + $1.rows }),
              "bytes": \(self.files.reduce(0) { $0 + $1.bytes }),
              "files": [
            \(files.joined(separator: ",\n"))
              ],
              "schema": {
            \(shapes.joined(separator: ",\n"))
              }
            }

            """
    }

    /// Reads one manifest; DuckDB parses the JSON.
    static func read(_ path: String, _ session: DuckDBSession) throws -> Manifest {
        do {
            if let manifest = try query(Layout.pattern(path), session).first?.manifest { return manifest }
        } catch let error as SluiceError where error.code == .duckdbSQL {}
        throw damaged(path)
    }

    /// Reads all manifests, in order of their blocks, by one query: there may be tens of thousands.
    static func all(in layout: Layout, _ session: DuckDBSession) throws -> [Manifest] {
        let spans = layout.manifestSpans()
        if spans.isEmpty { return [] }
        let found: [(path: String, manifest: Manifest?)]
        do {
            found = try query(Layout.pattern(layout.manifests, "/*.json"), session)
        } catch let error as SluiceError where error.code == .duckdbSQL {
            // One of them is no JSON: whoever reads them one by one comes across it.
            for span in spans { _ = try read(layout.manifest(span.lowerBound, span.upperBound), session) }
            throw error
        }
        let manifests = try found.compactMap { path, manifest -> Manifest? in
            guard let span = Layout.span(of: path, suffix: ".json") else { return nil }
            guard let manifest, manifest.first...max(manifest.first, manifest.last.number) == span else { throw damaged(path) }
            return manifest
        }.sorted { $0.first < $1.first }
        guard manifests.count == spans.count else {
            throw SluiceError(
                .parquetFolder, .pause, "\(layout.manifests) has \(spans.count) manifests, but \(manifests.count) were read",
                mend: "see that nothing else writes to the folder, and start again")
        }
        return manifests
    }

    private static func damaged(_ path: String) -> SluiceError {
        SluiceError(.parquetFolder, .pause, "manifest \(path) cannot be read", mend: "restore the file, or write to another folder")
    }

    /// What some files say; nil for one that lacks something.
    private static func query(_ source: String, _ session: DuckDBSession) throws -> [(path: String, manifest: Manifest?)] {
        let shape = """
            {"stream": "VARCHAR", "chain_id": "UBIGINT", "first_block": "UBIGINT", "last_block": "UBIGINT", "last_hash": "VARCHAR",
             "date": "VARCHAR", "expired": "BOOLEAN", "replaces": ["VARCHAR"], "files": [{"table": "VARCHAR", "path": "VARCHAR", "rows": "UBIGINT", "bytes": "UBIGINT"}], "schema": "JSON"}
            """
        // Names of tables and files hold no line breaks: lists travel as lines, and cost one value each.
        let rows = try session.rows(
            """
            SELECT filename, m.stream, m.chain_id, m.first_block, m.last_block, m.last_hash,
                array_to_string(json_keys(m.schema), chr(10)),
                array_to_string(list_transform(m.files, lambda f: concat_ws(chr(9), f.table, f.rows, f.bytes, f.path)), chr(10)),
                m.date, coalesce(m.expired, false), coalesce(array_to_string(m.replaces, chr(10)), '')
            FROM (SELECT filename, from_json(content, \(DuckDBSession.literal(shape))) AS m FROM read_text(\(source)))
            """)
        return rows.map { row in (row[0].text ?? "", Manifest(row)) }
    }

    private init?(_ row: [DuckDBValue]) {
        guard let pipeline = row[1].text, let chain = row[2].uint64, let first = row[3].uint64, let last = row[4].uint64,
            let hash = row[5].text.flatMap({ Hash32(hex: $0) }), let tables = row[6].text, let lines = row[7].text
        else { return nil }
        var files: [File] = []
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4, let rows = Int(parts[1]), let bytes = Int(parts[2]) else { return nil }
            files.append(File(table: String(parts[0]), path: String(parts[3]), rows: rows, bytes: bytes))
        }
        self.init(
            stream: StreamID(pipeline: pipeline, chainID: chain), first: first, last: Position(number: last, hash: hash), files: files,
            tables: tables.split(separator: "\n").map(String.init), date: row[8].text,
            replaces: (row[10].text ?? "").split(separator: "\n").map(String.init), isExpired: row[9] == .bool(true))
    }
}
