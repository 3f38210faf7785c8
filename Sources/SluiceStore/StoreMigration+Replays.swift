extension StoreMigration {
    /// Version 6: what came of the last replay of each dead letter, and those that are to be replayed without a look at all others.
    static let replays = StoreMigration(
        [StoreTable("replays", "id", "outcome", "rows", "reason", "message", "at")],
        [
            """
            CREATE TABLE replays (id INTEGER PRIMARY KEY, outcome TEXT NOT NULL, rows INTEGER, reason TEXT, message TEXT, \
            at INTEGER NOT NULL) STRICT
            """,
            "CREATE TRIGGER dead_letters_gone AFTER DELETE ON dead_letters BEGIN DELETE FROM replays WHERE id = old.id; END",
            "CREATE INDEX dead_letters_wanted ON dead_letters (pipeline, id) WHERE replay_wanted IS NOT NULL",
        ])
}
