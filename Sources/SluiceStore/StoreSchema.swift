internal import SluiceCore

/// The schema of the state file, as a list of migrations: `user_version` says how many of them a file has seen.
enum StoreSchema {
    /// "SLUI": what tells our files from other SQLite files.
    static let applicationID: Int64 = 0x534C_5549

    /// The version this program writes.
    static var version: Int { migrations.count }

    private struct TableShape {
        let name: String
        let columns: [String]
    }

    /// The tables that digests watch; columns in the order of the digest.
    private static let tables = [
        TableShape(name: "meta", columns: ["key", "value"]),
        TableShape(name: "segments", columns: ["pipeline", "chain_id", "sink", "first", "number", "hash", "updated"]),
        TableShape(name: "recent_blocks", columns: ["pipeline", "chain_id", "number", "hash", "parent_hash"]),
        TableShape(
            name: "run_status",
            columns: [
                "pipeline", "chain_id", "state", "message", "head", "finalized", "position", "reorgs", "deepest_reorg", "started",
                "updated",
            ]),
        TableShape(name: "run_rows", columns: ["pipeline", "table_name", "rows"]),
    ]

    private static let migrations: [[String]] = [
        [
            "CREATE TABLE digests (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID",
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
            """
            CREATE TABLE segments (pipeline TEXT NOT NULL, chain_id INTEGER NOT NULL, sink TEXT NOT NULL, first INTEGER NOT NULL, \
            number INTEGER NOT NULL, hash BLOB NOT NULL, updated INTEGER NOT NULL, \
            PRIMARY KEY (pipeline, chain_id, sink, first)) STRICT, WITHOUT ROWID
            """,
            """
            CREATE TABLE recent_blocks (pipeline TEXT NOT NULL, chain_id INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, \
            parent_hash BLOB NOT NULL, PRIMARY KEY (pipeline, chain_id, hash)) STRICT, WITHOUT ROWID
            """,
            "CREATE INDEX recent_blocks_number ON recent_blocks (pipeline, chain_id, number)",
            """
            CREATE TABLE run_status (pipeline TEXT PRIMARY KEY, chain_id INTEGER NOT NULL, state TEXT NOT NULL, message TEXT, \
            head INTEGER, finalized INTEGER, position INTEGER, reorgs INTEGER NOT NULL, deepest_reorg INTEGER NOT NULL, \
            started INTEGER NOT NULL, updated INTEGER NOT NULL) STRICT, WITHOUT ROWID
            """,
            """
            CREATE TABLE run_rows (pipeline TEXT NOT NULL, table_name TEXT NOT NULL, rows INTEGER NOT NULL, \
            PRIMARY KEY (pipeline, table_name)) STRICT, WITHOUT ROWID
            """,
        ] + tables.flatMap(triggers)
    ]

    /// Keeps count and exclusive-or of a table's rows. SQLite has no exclusive-or: a ^ b is (a | b) - (a & b).
    private static func triggers(_ table: TableShape) -> [String] {
        func digest(_ row: String) -> String { "row_digest(" + table.columns.map { "\(row).\($0)" }.joined(separator: ", ") + ")" }
        func fold(_ row: String, _ rows: String) -> String {
            "UPDATE digests SET rows = rows \(rows), sum = (sum | \(digest(row))) - (sum & \(digest(row))) WHERE name = '\(table.name)';"
        }
        return [
            "INSERT INTO digests VALUES ('\(table.name)', 0, 0)",
            "CREATE TRIGGER \(table.name)_insert AFTER INSERT ON \(table.name) BEGIN \(fold("new", "+ 1")) END",
            "CREATE TRIGGER \(table.name)_delete AFTER DELETE ON \(table.name) BEGIN \(fold("old", "- 1")) END",
            "CREATE TRIGGER \(table.name)_update AFTER UPDATE ON \(table.name) BEGIN \(fold("old", "- 1")) \(fold("new", "+ 1")) END",
        ]
    }

    /// Brings a file to this program's version in one transaction. Refuses files of others and files from the future.
    static func migrate(_ database: SQLiteDatabase, fresh: Bool) throws(SluiceError) {
        let found = try version(of: database, fresh: fresh)
        guard found < version else { return }
        try database.transaction { () throws(SluiceError) in
            for migration in migrations[found...] {
                for statement in migration { try database.run(statement) }
            }
            try database.run("PRAGMA application_id = \(applicationID)")
            try database.run("PRAGMA user_version = \(version)")
        }
    }

    /// The version of a file; throws when it is none of ours or too new.
    static func version(of database: SQLiteDatabase, fresh: Bool = false) throws(SluiceError) -> Int {
        let application = try database.number("PRAGMA application_id")
        let found = try database.number("PRAGMA user_version")
        if fresh { return 0 }
        guard application == applicationID else {
            throw StoreError.foreign(database.path, "an SQLite database, but not a state file of Sluice")
        }
        guard found <= version else { throw StoreError.tooNew(database.path, Int(found), known: version) }
        guard found > 0 else { throw StoreError.corrupt(database.path, "version \(found)") }
        return Int(found)
    }

    /// Compares structure, schema and content with what they should be. Reads the whole file, which is small.
    static func verify(_ database: SQLiteDatabase) throws(SluiceError) {
        let check = try database.text("PRAGMA integrity_check(1)")
        guard check == "ok" else { throw StoreError.corrupt(database.path, check) }
        let reference = try SQLiteDatabase(":memory:", readOnly: false, create: true)
        try migrate(reference, fresh: true)
        guard try shape(database) == shape(reference) else {
            throw StoreError.corrupt(database.path, "its tables are not as Sluice made them")
        }
        for table in tables {
            var rows: Int64 = 0
            var sum: Int64 = 0
            try database.run("SELECT row_digest(\(table.columns.joined(separator: ", "))) FROM \(table.name)") { row throws(SluiceError) in
                rows += 1
                sum ^= row.int(0)
            }
            var matches = false
            try database.run("SELECT rows, sum FROM digests WHERE name = ?", [.text(table.name)]) { row throws(SluiceError) in
                matches = row.int(0) == rows && row.int(1) == sum
            }
            guard matches else { throw StoreError.corrupt(database.path, "the rows of \(table.name) do not match their checksum") }
        }
    }

    private static func shape(_ database: SQLiteDatabase) throws(SluiceError) -> [String] {
        var out: [String] = []
        try database.run("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name") { row throws(SluiceError) in
            out.append((0..<4).map { row.text($0) }.joined(separator: "\u{1}"))
        }
        return out
    }
}
