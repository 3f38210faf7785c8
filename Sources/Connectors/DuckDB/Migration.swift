import SluiceCore
import SluiceDuckDB

/// Brings the file's tables to the shape that a stream needs. Only adds: what is there is never changed.
struct Migration {
    let session: DuckDBSession
    let stream: StreamID
    let path: String
    let compression: DuckDBSinkOptions.Compression

    /// Runs inside a transaction.
    func run(_ tables: [Schema]) throws {
        try session.execute(
            """
            CREATE SCHEMA IF NOT EXISTS sluice;
            CREATE SCHEMA IF NOT EXISTS hex;
            CREATE TABLE IF NOT EXISTS sluice.segments (stream VARCHAR, chain_id BIGINT, first BIGINT, number BIGINT, hash BLOB);
            CREATE TABLE IF NOT EXISTS sluice.owners (table_name VARCHAR, chain_id BIGINT, stream VARCHAR);
            CREATE MACRO IF NOT EXISTS to_0x(value) AS '0x' || lower(hex(value));
            CREATE MACRO IF NOT EXISTS from_0x(digits) AS unhex(regexp_replace(digits, '^0[xX]', ''));
            """, doing: "preparing \(path)")
        try requireSameTables(tables)
        for table in tables {
            try own(table)
            try shape(table)
        }
    }

    /// Two streams that write the same rows would double them, and each would undo the other's.
    private func own(_ table: Schema) throws {
        let key = "table_name = \(DuckDBSession.literal(table.name)) AND chain_id = \(stream.chainID)"
        let owner = try session.rows("SELECT stream FROM sluice.owners WHERE \(key)").first?.first?.text
        guard let owner else {
            let values = "\(DuckDBSession.literal(table.name)), \(stream.chainID), \(DuckDBSession.literal(stream.pipeline))"
            return try session.execute("INSERT INTO sluice.owners VALUES (\(values))", doing: "claiming table \(table.name)")
        }
        guard owner == stream.pipeline else {
            throw SluiceError(
                .duckdbSQL, .pause,
                "table \(table.name) in \(path) holds chain \(stream.chainID) as pipeline \(owner) wrote it; "
                    + "\(stream.pipeline) cannot share it",
                mend: "give \(stream.pipeline) a sink with another path, or the name \(owner) back")
        }
    }

    /// A table that joins or leaves a stream later would have a hole that nothing shows: the segments speak of all tables.
    private func requireSameTables(_ tables: [Schema]) throws {
        let key = "chain_id = \(stream.chainID) AND stream = \(DuckDBSession.literal(stream.pipeline))"
        guard let first = try session.rows("SELECT min(first) FROM sluice.segments WHERE \(key)").first?.first?.uint64 else {
            // Nothing is stored yet: what was claimed before may be given up.
            return try session.execute("DELETE FROM sluice.owners WHERE \(key)")
        }
        let owned = try session.rows("SELECT table_name FROM sluice.owners WHERE \(key)").compactMap { $0.first?.text }
        let named = tables.map(\.name)
        guard let different = Set(owned).symmetricDifference(named).min() else { return }
        let news = owned.contains(different) ? "no longer asks for" : "now asks for"
        throw SluiceError(
            .duckdbSQL, .pause,
            "\(stream.pipeline) \(news) table \(different), but \(path) holds its blocks from \(first) on as they were asked for before",
            mend: "give the other registers a pipeline of their own, or write to another path")
    }

    private func shape(_ table: Schema) throws {
        let name = "main." + DuckDBSession.quoted(table.name)
        let wanted = ScanColumn.native(table)
        let rows = try session.rows(
            """
            SELECT column_name, data_type FROM duckdb_columns()
            WHERE database_name = current_database() AND schema_name = 'main' AND table_name = \(DuckDBSession.literal(table.name))
            """, doing: "reading the columns of \(table.name)")
        var found: [String: String] = [:]
        for row in rows { found[row[0].text ?? ""] = row[1].text ?? "" }
        if found.isEmpty {
            let columns = zip(wanted, table.fields).map(declared).joined(separator: ", ")
            try session.execute("CREATE TABLE \(name) (\(columns))", doing: "creating table \(table.name)")
        }
        var changed = found.isEmpty
        for (column, field) in zip(wanted, table.fields) where !found.isEmpty {
            guard let type = found[column.name] else {
                try add(column, field, to: table, name)
                changed = true
                continue
            }
            guard type == column.sqlType else {
                throw SluiceError(
                    .duckdbSQL, .pause, "\(table.name).\(column.name) in \(path) is \(type), not \(column.sqlType)",
                    mend: "rename the table away, or write to another path; the sink changes no column's type")
            }
        }
        if changed { try readable(table, name) }
    }

    /// A column as it stands in a statement that makes it. Unless the file is to be small, DuckDB need not try out its methods on bytes:
    /// what a field holds says which one pays.
    private func declared(_ column: ScanColumn, _ field: Field) -> String {
        let plain = "\(DuckDBSession.quoted(column.name)) \(column.sqlType)"
        guard compression == .fast, column.sqlType == "BLOB" || column.sqlType == "VARCHAR" else { return plain }
        let method =
            switch field.content {
            case .varied: "uncompressed"
            case .repeating: "dict_fsst"
            case .patterned: "zstd"
            }
        return plain + " USING COMPRESSION " + method
    }

    private func add(_ column: ScanColumn, _ field: Field, to table: Schema, _ name: String) throws {
        if !field.nullable {
            guard try session.rows("SELECT 1 FROM \(name) LIMIT 1").isEmpty else {
                throw SluiceError(
                    .duckdbSQL, .pause,
                    "\(table.name) in \(path) has rows but no column \(column.name), which may not be null and so cannot be added",
                    mend: "write to another path, and fill it from the start")
            }
        }
        try session.execute(
            "ALTER TABLE \(name) ADD COLUMN \(declared(column, field))",
            doing: "adding \(table.name).\(column.name)")
    }

    /// A view of the same name in which bytes are hex text, for reading with eyes.
    private func readable(_ table: Schema, _ name: String) throws {
        let columns = ScanColumn.native(table).map { column in
            let quoted = DuckDBSession.quoted(column.name)
            return column.sqlType == "BLOB" ? "'0x' || lower(hex(\(quoted))) AS \(quoted)" : quoted
        }
        try session.execute(
            "CREATE OR REPLACE VIEW hex.\(DuckDBSession.quoted(table.name)) AS SELECT \(columns.joined(separator: ", ")) FROM \(name)",
            doing: "creating view hex.\(table.name)")
    }
}
