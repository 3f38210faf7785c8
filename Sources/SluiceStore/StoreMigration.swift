/// One step from a version of the state file to the next.
struct StoreMigration: Sendable {
    /// The tables that it makes.
    let tables: [StoreTable]
    /// What makes them, and what keeps their digests.
    let statements: [String]

    init(_ tables: [StoreTable], _ statements: [String]) {
        self.tables = tables
        self.statements = statements + tables.flatMap(\.triggers)
    }
}

/// A table whose content is watched by a digest.
struct StoreTable: Sendable {
    let name: String
    /// In the order of the digest.
    let columns: [String]

    init(_ name: String, _ columns: String...) {
        self.name = name
        self.columns = columns
    }

    /// Keeps count and exclusive-or of the table's rows. SQLite has no exclusive-or: a ^ b is (a | b) - (a & b).
    var triggers: [String] {
        func digest(_ row: String) -> String { "row_digest(" + columns.map { "\(row).\($0)" }.joined(separator: ", ") + ")" }
        func fold(_ row: String, _ rows: String) -> String {
            "UPDATE digests SET rows = rows \(rows), sum = (sum | \(digest(row))) - (sum & \(digest(row))) WHERE name = '\(name)';"
        }
        return [
            "INSERT INTO digests VALUES ('\(name)', 0, 0)",
            "CREATE TRIGGER \(name)_insert AFTER INSERT ON \(name) BEGIN \(fold("new", "+ 1")) END",
            "CREATE TRIGGER \(name)_delete AFTER DELETE ON \(name) BEGIN \(fold("old", "- 1")) END",
            "CREATE TRIGGER \(name)_update AFTER UPDATE ON \(name) BEGIN \(fold("old", "- 1")) \(fold("new", "+ 1")) END",
        ]
    }
}

extension StoreMigration {
    /// Version 1: what a run needs to go on after a stop, and what it says of itself.
    static let first = StoreMigration(
        [
            StoreTable("meta", "key", "value"),
            StoreTable("segments", "pipeline", "chain_id", "sink", "first", "number", "hash", "updated"),
            StoreTable("recent_blocks", "pipeline", "chain_id", "number", "hash", "parent_hash"),
            StoreTable(
                "run_status", "pipeline", "chain_id", "state", "message", "head", "finalized", "position", "reorgs", "deepest_reorg",
                "started", "updated"),
            StoreTable("run_rows", "pipeline", "table_name", "rows"),
        ],
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
        ])

    /// Version 2: dead letters, what sinks hold as the run tells it, pipelines and what aggregators remember.
    static let records = StoreMigration(
        [
            StoreTable(
                "dead_letters", "id", "pipeline", "chain_id", "register", "block_number", "block_hash", "row", "reason", "message",
                "payload", "first_seen", "last_seen", "tries", "state", "replay_wanted"),
            StoreTable("coverage", "pipeline", "sink", "first", "last", "since", "updated_at"),
            StoreTable(
                "pipelines", "puuid", "pid", "name", "definition", "state", "error", "fingerprint", "created_at", "updated_at"),
            StoreTable("bundles", "pipeline", "number", "hash", "record"),
        ],
        [
            // AUTOINCREMENT: the id of a letter that is gone must never name another one in an operator's command.
            """
            CREATE TABLE dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline TEXT NOT NULL, chain_id INTEGER NOT NULL, \
            register TEXT NOT NULL, block_number INTEGER NOT NULL, block_hash BLOB NOT NULL, row TEXT NOT NULL, reason TEXT NOT NULL, \
            message TEXT NOT NULL, payload TEXT NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, \
            tries INTEGER NOT NULL, state TEXT NOT NULL, replay_wanted INTEGER, \
            UNIQUE (pipeline, chain_id, register, block_hash, row)) STRICT
            """,
            "CREATE INDEX dead_letters_state ON dead_letters (pipeline, state, reason)",
            "CREATE INDEX dead_letters_block ON dead_letters (pipeline, chain_id, block_number)",
            """
            CREATE TABLE coverage (pipeline TEXT NOT NULL, sink TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, \
            since INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (pipeline, sink, first)) STRICT, WITHOUT ROWID
            """,
            """
            CREATE TABLE pipelines (puuid TEXT PRIMARY KEY, pid BLOB NOT NULL, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, \
            state TEXT NOT NULL, error TEXT, fingerprint TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) \
            STRICT, WITHOUT ROWID
            """,
            // Records may be large: rows of a table without row ids would be carried along in every inner page.
            """
            CREATE TABLE bundles (pipeline TEXT NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, record BLOB NOT NULL, \
            PRIMARY KEY (pipeline, number)) STRICT
            """,
        ])
}
