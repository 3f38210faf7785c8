internal import SluiceCore

/// What aggregators remember of the blocks that may still be undone: one record a pipeline and height.
extension StateStore {
    /// Keeps records, all or none; a block takes the place of what was kept of its height.
    public func save(_ bundles: [StoredBundle], of pipeline: String) throws {
        let database = try writing()
        guard !bundles.isEmpty else { return }
        try database.transaction { () throws(SluiceError) in
            for bundle in bundles {
                try database.run(
                    """
                    INSERT INTO bundles VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET hash = excluded.hash, record = excluded.record \
                    WHERE hash <> excluded.hash OR record <> excluded.record
                    """,
                    [.text(pipeline), try Self.store(bundle.block.number), .blob(bundle.block.hash.bytes), .blob(bundle.record)])
            }
        }
    }

    /// The records of blocks behind the last final one (nil: all), ascending.
    public func bundles(of pipeline: String, behind finalized: UInt64? = nil) throws -> [StoredBundle] {
        let floor: SQLiteValue = if let finalized { try Self.store(finalized) } else { .int(-1) }
        var out: [StoredBundle] = []
        try reading().run(
            "SELECT number, hash, record FROM bundles WHERE pipeline = ? AND number > ? ORDER BY number", [.text(pipeline), floor]
        ) { row throws(SluiceError) in
            out.append(StoredBundle(block: BlockRef(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1)), record: row.bytes(2)))
        }
        return out
    }

    /// Forgets the records of blocks up to `number`, which are final.
    public func pruneBundles(of pipeline: String, through number: UInt64) throws {
        try writing().run("DELETE FROM bundles WHERE pipeline = ? AND number <= ?", [.text(pipeline), try Self.store(number)])
    }

    /// Forgets the records of blocks behind `number`, which were orphaned.
    public func removeBundles(of pipeline: String, behind number: UInt64) throws {
        try writing().run("DELETE FROM bundles WHERE pipeline = ? AND number > ?", [.text(pipeline), try Self.store(number)])
    }

    /// Forgets all records of a pipeline that is gone.
    public func removeBundles(of pipeline: String) throws {
        try writing().run("DELETE FROM bundles WHERE pipeline = ?", [.text(pipeline)])
    }
}
