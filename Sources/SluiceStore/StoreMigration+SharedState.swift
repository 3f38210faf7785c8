extension StoreMigration {
    /// Version 3: what pipelines and the risk engine share. A member is there by its own row, its items by theirs.
    static let sharedState = StoreMigration(
        [
            StoreTable("state_members", "pipeline", "prefix", "id", "member"),
            StoreTable("state_items", "pipeline", "prefix", "id", "member", "item"),
        ],
        [
            """
            CREATE TABLE state_members (pipeline TEXT NOT NULL, prefix TEXT NOT NULL, id TEXT NOT NULL, member TEXT NOT NULL, \
            PRIMARY KEY (pipeline, prefix, id, member)) STRICT, WITHOUT ROWID
            """,
            """
            CREATE TABLE state_items (pipeline TEXT NOT NULL, prefix TEXT NOT NULL, id TEXT NOT NULL, member TEXT NOT NULL, \
            item TEXT NOT NULL, PRIMARY KEY (pipeline, prefix, id, member, item)) STRICT, WITHOUT ROWID
            """,
        ])
}
