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

    /// As JSON. `schemas` are those of the stream.
    func json(_ schemas: [Schema]) -> String {
        let files = files.map {
            "    {\"table\": \(Self.text($0.table)), \"path\": \(Self.text($0.path)), \"rows\": \($0.rows), \"bytes\": \($0.bytes)}"
        }
        let shapes = schemas.map { schema in
            let columns = ScanColumn.parquet(schema).map { "{\"name\": \(Self.text($0.name)), \"type\": \(Self.text($0.sqlType))}" }
            return "    \(Self.text(schema.name)): [\(columns.joined(separator: ", "))]"
        }
        return """
            {
              "version": 1,
              "stream": \(Self.text(stream.pipeline)),
              "chain_id": \(stream.chainID),
              "first_block": \(first),
              "last_block": \(last.number),
              "last_hash": "\(last.hash)",
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

    /// Reads a manifest; DuckDB parses the JSON.
    static func read(_ path: String, _ session: DuckDBSession) throws -> Manifest {
        let damaged = SluiceError(
            .parquetFolder, .pause, "manifest \(path) cannot be read", mend: "restore the file, or write to another folder")
        let source = "read_text(\(DuckDBSession.literal(path)))"
        let rows: [[DuckDBValue]]
        let files: [[DuckDBValue]]
        do {
            rows = try session.rows(
                """
                SELECT json_extract_string(content, '$.stream'), json_extract_string(content, '$.chain_id')::UBIGINT,
                    json_extract_string(content, '$.first_block')::UBIGINT, json_extract_string(content, '$.last_block')::UBIGINT,
                    json_extract_string(content, '$.last_hash'), array_to_string(json_keys(content, '$.schema'), chr(10)) FROM \(source)
                """)
            files = try session.rows(
                """
                SELECT f->>'$.table', f->>'$.path', (f->>'$.rows')::BIGINT, (f->>'$.bytes')::BIGINT
                FROM (SELECT unnest(json_extract(content, '$.files[*]')) AS f FROM \(source))
                """)
        } catch let error as SluiceError where error.code == .duckdbSQL { throw damaged }
        guard let row = rows.first, let pipeline = row[0].text, let chain = row[1].uint64, let first = row[2].uint64,
            let last = row[3].uint64, let hash = row[4].text.flatMap({ Hash32(hex: $0) }), let tables = row[5].text
        else { throw damaged }
        return Manifest(
            stream: StreamID(pipeline: pipeline, chainID: chain), first: first, last: Position(number: last, hash: hash),
            files: try files.map { file in
                guard let table = file[0].text, let path = file[1].text, let rows = file[2].uint64, let bytes = file[3].uint64 else {
                    throw damaged
                }
                return File(table: table, path: path, rows: Int(rows), bytes: Int(bytes))
            }, tables: tables.split(separator: "\n").map(String.init))
    }

    private static func text(_ value: String) -> String {
        var out = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{0}"..<"\u{20}": out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
