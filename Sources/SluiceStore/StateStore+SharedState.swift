internal import SluiceCore

/// The rows behind `StoredState`.
extension StateStore {
    private static let clockKey = "state:clock"

    /// All that is kept.
    func loadSharedState() throws(SluiceError) -> StateSets {
        let database = try reading()
        return try database.transaction("BEGIN") { () throws(SluiceError) in
            var edits: [StateSets.Edit] = []
            try database.run("SELECT pipeline, prefix, id, member FROM state_members") { row throws(SluiceError) in
                edits.append(.addMember(row.text(3), Self.stateKey(row)))
            }
            try database.run("SELECT pipeline, prefix, id, member, item FROM state_items") { row throws(SluiceError) in
                edits.append(.addItem(row.text(4), under: row.text(3), Self.stateKey(row)))
            }
            var clock: UInt64 = 0
            try database.run("SELECT value FROM meta WHERE key = ?", [.text(Self.clockKey)]) { row throws(SluiceError) in
                clock = UInt64(row.text(0)) ?? 0
            }
            var sets = StateSets(clock: clock)
            sets.commit(edits)
            return sets
        }
    }

    /// Works out the steps of a change, makes them durable in one transaction, and only then lets them be seen. Nothing comes between:
    /// all changes are made on the store's own thread.
    func apply(_ change: StateChange, to state: StoredState) throws {
        let database = try writing()
        let (edits, clock) = state.plan(change)
        guard !edits.isEmpty else { return }
        try database.transaction { () throws(SluiceError) in
            for edit in edits { try Self.write(edit, to: database) }
            try database.run(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                [.text(Self.clockKey), .text(String(clock))])
        }
        state.commit(edits)
    }

    private static func write(_ edit: StateSets.Edit, to database: SQLiteDatabase) throws(SluiceError) {
        switch edit {
        case .addMember(let member, let key):
            try database.run("INSERT INTO state_members VALUES (?, ?, ?, ?)", values(key) + [.text(member)])
        case .addItem(let item, let member, let key):
            try database.run("INSERT INTO state_items VALUES (?, ?, ?, ?, ?)", values(key) + [.text(member), .text(item)])
        case .dropMember(let member, let key):
            try database.run(
                "DELETE FROM state_members WHERE pipeline = ? AND prefix = ? AND id = ? AND member = ?", values(key) + [.text(member)])
        case .dropItem(let item, let member, let key):
            try database.run(
                "DELETE FROM state_items WHERE pipeline = ? AND prefix = ? AND id = ? AND member = ? AND item = ?",
                values(key) + [.text(member), .text(item)])
        }
    }

    private static func values(_ key: StateKey) -> [SQLiteValue] { [.text(key.pipeline), .text(key.prefix), .text(key.id)] }

    private static func stateKey(_ row: SQLiteRow) -> StateKey {
        StateKey(pipeline: row.text(0), prefix: row.text(1), id: row.text(2))
    }
}
