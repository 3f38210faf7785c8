public import SluiceCore

/// The blocks of a stream that may still be orphaned, with their parents. Branches that were orphaned stay until they are
/// forgotten: a sink's position may be on one of them when the process died amid a reorganisation.
extension StateStore {
    /// Keeps blocks with their parents; one step, all or nothing. A block that is known (by its hash) is replaced.
    public func remember(_ links: [BlockLink], of stream: StreamID) throws {
        let database = try writing()
        guard !links.isEmpty else { return }
        let key: [SQLiteValue] = [.text(stream.pipeline), try Self.store(stream.chainID)]
        try database.transaction { () throws(SluiceError) in
            for link in links {
                // After a restart the same blocks come again: an unchanged row costs no write.
                try database.run(
                    """
                    INSERT INTO recent_blocks VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE \
                    SET number = excluded.number, parent_hash = excluded.parent_hash \
                    WHERE number <> excluded.number OR parent_hash <> excluded.parent_hash
                    """,
                    key + [try Self.store(link.ref.number), .blob(link.ref.hash.bytes), .blob(link.parentHash.bytes)])
            }
        }
    }

    /// The known ancestors of a block, ascending and without a hole, the block itself last; empty when the block is unknown.
    public func ancestors(of position: Position, stream: StreamID) throws -> [BlockRef] {
        var out: [BlockRef] = []
        // Each step goes down by exactly one number, so that no content, however wrong, makes this endless.
        try reading().run(
            """
            WITH RECURSIVE chain (number, hash, parent_hash) AS (\
            SELECT number, hash, parent_hash FROM recent_blocks \
            WHERE pipeline = ?1 AND chain_id = ?2 AND hash = ?3 AND number = ?4 \
            UNION ALL \
            SELECT b.number, b.hash, b.parent_hash FROM chain JOIN recent_blocks AS b \
            ON b.pipeline = ?1 AND b.chain_id = ?2 AND b.hash = chain.parent_hash AND b.number = chain.number - 1) \
            SELECT number, hash FROM chain ORDER BY number
            """,
            [.text(stream.pipeline), try Self.store(stream.chainID), .blob(position.hash.bytes), try Self.store(position.number)]
        ) { row throws(SluiceError) in out.append(BlockRef(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1))) }
        return out
    }

    /// Forgets the blocks of a stream below `number`, on every branch: they are final or lost for good.
    public func forgetBlocks(of stream: StreamID, below number: UInt64) throws {
        try writing().run(
            "DELETE FROM recent_blocks WHERE pipeline = ? AND chain_id = ? AND number < ?",
            [.text(stream.pipeline), try Self.store(stream.chainID), try Self.store(number)])
    }
}
