public import SluiceCore

extension StateStore {
    /// The last block that `sink` has durably for a stream; nil when it has none.
    public func position(of stream: StreamID, sink: String) throws -> Position? {
        var found: Position?
        try reading().run(
            "SELECT number, hash FROM positions WHERE pipeline = ? AND chain_id = ? AND sink = ?",
            [.text(stream.pipeline), try Self.store(stream.chainID), .text(sink)]
        ) { row throws(SluiceError) in found = Position(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1)) }
        return found
    }

    /// Sets how far `sink` is. Goes forward and back (after a reorganisation).
    public func setPosition(_ position: Position, of stream: StreamID, sink: String) throws {
        try writing().run(
            """
            INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?) \
            ON CONFLICT DO UPDATE SET number = excluded.number, hash = excluded.hash, updated = excluded.updated
            """,
            [
                .text(stream.pipeline), try Self.store(stream.chainID), .text(sink), try Self.store(position.number),
                .blob(position.hash.bytes),
                .int(now),
            ])
    }

    /// Forgets how far `sink` is: it starts anew.
    public func removePosition(of stream: StreamID, sink: String) throws {
        try writing().run(
            "DELETE FROM positions WHERE pipeline = ? AND chain_id = ? AND sink = ?",
            [.text(stream.pipeline), try Self.store(stream.chainID), .text(sink)])
    }

    /// All positions, by pipeline, chain and sink.
    public func positions() throws -> [PositionRecord] {
        var out: [PositionRecord] = []
        try reading().run("SELECT pipeline, chain_id, sink, number, updated FROM positions ORDER BY pipeline, chain_id, sink") {
            row throws(SluiceError) in
            out.append(
                PositionRecord(
                    pipeline: row.text(0), chainID: UInt64(bitPattern: row.int(1)), sink: row.text(2),
                    number: UInt64(bitPattern: row.int(3)),
                    updated: row.int(4)))
        }
        return out
    }

    // MARK: Recent blocks

    /// The blocks of a stream that may still be undone, and the last final one, in order.
    public func recentBlocks(of stream: StreamID) throws -> [BlockRef] {
        var out: [BlockRef] = []
        try reading().run(
            "SELECT number, hash FROM recent_blocks WHERE pipeline = ? AND chain_id = ? ORDER BY number",
            [.text(stream.pipeline), try Self.store(stream.chainID)]
        ) { row throws(SluiceError) in out.append(BlockRef(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1))) }
        return out
    }

    /// Adds blocks to the tail of a stream (a block of the same number is replaced) and forgets those before `finalized`; one
    /// step, all or nothing.
    public func appendRecentBlocks(_ blocks: [BlockRef], of stream: StreamID, finalized: UInt64? = nil) throws {
        let database = try writing()
        let key: [SQLiteValue] = [.text(stream.pipeline), try Self.store(stream.chainID)]
        try database.transaction { () throws(SluiceError) in
            for block in blocks {
                try database.run(
                    "INSERT INTO recent_blocks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET hash = excluded.hash",
                    key + [try Self.store(block.number), .blob(block.hash.bytes)])
            }
            if let finalized {
                try database.run(
                    "DELETE FROM recent_blocks WHERE pipeline = ? AND chain_id = ? AND number < ?", key + [try Self.store(finalized)])
            }
        }
    }

    /// Forgets the blocks of a stream behind `number`: they were undone.
    public func removeRecentBlocks(of stream: StreamID, after number: UInt64) throws {
        try writing().run(
            "DELETE FROM recent_blocks WHERE pipeline = ? AND chain_id = ? AND number > ?",
            [.text(stream.pipeline), try Self.store(stream.chainID), try Self.store(number)])
    }

    // MARK: Meta

    /// A value kept under a key; nil when there is none.
    public func meta(_ key: String) throws -> String? {
        var found: String?
        try reading().run("SELECT value FROM meta WHERE key = ?", [.text(key)]) { row throws(SluiceError) in found = row.text(0) }
        return found
    }

    /// Keeps a value under a key; nil removes it.
    public func setMeta(_ key: String, _ value: String?) throws {
        guard let value else { return try writing().run("DELETE FROM meta WHERE key = ?", [.text(key)]) }
        try writing().run("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", [.text(key), .text(value)])
    }

    /// SQLite's integers are signed; block numbers and chain ids beyond that are no real ones.
    static func store(_ number: UInt64) throws(SluiceError) -> SQLiteValue {
        guard let value = Int64(exactly: number) else {
            throw SluiceError(
                SluiceError.Code("number_too_large"), .data, "the number \(number) is too large for a block or a chain",
                mend: "check what the endpoint answers")
        }
        return .int(value)
    }
}
