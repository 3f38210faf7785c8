import SluiceCore

// Rows for blocks that are there already.
extension PostgresStore {
    /// Puts rows in the place of what is there at some places of blocks, all in one transaction.
    func amend(_ amendments: [Amendment], of id: StreamID) throws {
        try require(amendments, of: id)
        // Blocks that wait for company go in with what they are to have.
        try flushTaken(id)
        try writing(id, doing: "amending \(id)") { stream, connection in
            for amendment in amendments {
                guard try holds(amendment, stream, connection) else { throw Coverage.differs(amendment.block, in: place) }
            }
            for amendment in amendments { try replace(amendment, connection) }
        }
    }

    /// Whether the rows that are there of a block are of that very block. One that has left no row anywhere cannot be told from another.
    private func holds(_ amendment: Amendment, _ schemas: [Schema], _ connection: PostgresConnection) throws -> Bool {
        for schema in schemas {
            guard let hash = schema.blockHashField else { continue }
            let found = try connection.rows(
                """
                SELECT encode(\(PostgresConnection.quoted(hash)), 'hex') FROM \(name(schema))
                WHERE chain_id = $1::numeric AND \(PostgresConnection.quoted(try schema.requiredBlockNumber())) = $2::numeric LIMIT 1
                """, ["\(amendment.chainID)", "\(amendment.block.number)"], doing: "looking up block \(amendment.block.number)")
            if let text = found.rows.first?.first ?? nil { return "0x" + text == amendment.block.hash.description }
        }
        return true
    }

    private func replace(_ amendment: Amendment, _ connection: PostgresConnection) throws {
        let schema = amendment.rows.schema
        let places = amendment.places.sorted().map { "\($0)" }.joined(separator: ", ")
        try connection.rows(
            """
            DELETE FROM \(name(schema)) WHERE chain_id = $1::numeric
            AND \(PostgresConnection.quoted(try schema.requiredBlockNumber())) = $2::numeric
            AND \(PostgresConnection.quoted(amendment.column)) IN (\(places))
            """, ["\(amendment.chainID)", "\(amendment.block.number)"], doing: "amending \(schema.name)")
        try load(amendment, connection)
    }
}
