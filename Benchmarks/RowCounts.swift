import SluiceDuckDB

/// How many rows a run left, table by table: `sluice-bench count duckdb|parquet PATH TABLE...`. A run whose rows are not all there
/// is no figure.
enum RowCounts {
    /// Prints one number a table. Throws when the store cannot be read.
    static func run(_ kind: String, path: String, tables: [String]) throws {
        let database = try DuckDBDatabase(path: kind == "duckdb" ? path : nil, readOnly: kind == "duckdb")
        let session = try database.connect()
        for table in tables {
            let source =
                kind == "duckdb"
                ? "main.\(DuckDBSession.quoted(table))" : "read_parquet(\(DuckDBSession.literal("\(path)/\(table)/**/*.parquet")))"
            let rows = try session.rows("SELECT count(*) FROM \(source)", doing: "counting the rows of \(table) in \(path)")
            Text.say("\(rows.first?.first?.uint64 ?? 0)")
        }
    }
}
