internal import SluiceCore

/// What aggregators remember of the bundles that may still be undone, those that were undone among them.
extension StateStore {
    /// Keeps records, all or none; one takes the place of what was kept of the same bundle.
    public func save(_ bundles: [StoredBundle], of pipeline: String) throws {
        let database = try writing()
        guard !bundles.isEmpty else { return }
        try database.transaction { () throws(SluiceError) in
            for bundle in bundles {
                try database.run(
                    """
                    INSERT INTO bundles VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET record = excluded.record WHERE record <> excluded.record
                    """,
                    [.text(pipeline), try Self.store(bundle.block.number), .blob(bundle.block.hash.bytes), .blob(bundle.record)])
            }
        }
    }

    /// The records of bundles behind a number (nil: all), ascending.
    public func bundles(of pipeline: String, behind finalized: UInt64? = nil) throws -> [StoredBundle] {
        let floor: SQLiteValue = if let finalized { try Self.store(finalized) } else { .int(-1) }
        var out: [StoredBundle] = []
        try reading().run(
            "SELECT number, hash, record FROM bundles WHERE pipeline = ? AND number > ? ORDER BY number, hash", [.text(pipeline), floor]
        ) { row throws(SluiceError) in
            out.append(StoredBundle(block: BlockRef(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1)), record: row.bytes(2)))
        }
        return out
    }

    /// Forgets the records of bundles up to `number`.
    public func pruneBundles(of pipeline: String, through number: UInt64) throws {
        try writing().run("DELETE FROM bundles WHERE pipeline = ? AND number <= ?", [.text(pipeline), try Self.store(number)])
    }

    /// Forgets all records of a pipeline that is gone.
    public func removeBundles(of pipeline: String) throws {
        try writing().run("DELETE FROM bundles WHERE pipeline = ?", [.text(pipeline)])
    }
}
