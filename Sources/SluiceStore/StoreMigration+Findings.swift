extension StoreMigration {
    /// Version 4: what components learnt from blocks and must know again.
    static let findings = StoreMigration(
        [StoreTable("findings", "pipeline", "chain_id", "register", "number", "text", "hash")],
        [
            // The key's columns come first: SQLite's own check of a table without row ids reads the others from the wrong place else.
            """
            CREATE TABLE findings (pipeline TEXT NOT NULL, chain_id INTEGER NOT NULL, register TEXT NOT NULL, number INTEGER NOT NULL, \
            text TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (pipeline, chain_id, register, number, text)) STRICT, WITHOUT ROWID
            """
        ])
}
