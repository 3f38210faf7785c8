extension StoreMigration {
    /// Version 5: records of bundles by number and hash. That of a bundle that was undone stays beside the one that takes its place, because
    /// a store may hold either when the process ends. Nothing had written into the table before.
    static let bundlesByHash = StoreMigration(
        [StoreTable("bundles", "pipeline", "number", "hash", "record")],
        [
            "DELETE FROM digests WHERE name = 'bundles'",
            "DROP TABLE bundles",
            """
            CREATE TABLE bundles (pipeline TEXT NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, record BLOB NOT NULL, \
            PRIMARY KEY (pipeline, number, hash)) STRICT
            """,
        ])
}
