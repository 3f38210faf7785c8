import SluiceCore
import SluiceFormats

// Rows for blocks that are there already.
extension ClickHouseWriter {
    /// Puts rows in the place of what is there at some places of blocks. Of each amendment, what goes and what comes are one insert into one part: a
    /// reader, and a crash, meet either all of it or nothing.
    func amend(_ amendments: [Amendment]) async throws {
        try checkUsable()
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            _ = try layout(amendment.rows)
        }
        // Blocks that wait for company go in first.
        try await commitHeld()
        for amendment in amendments { try ledger.coverage.require(amendment.block, in: place) }
        for amendment in amendments {
            guard try await holds(amendment) else { throw Coverage.differs(amendment.block, in: place) }
        }
        try await guarded {
            var version = try await raise(ledger.coverage, steps: UInt64(amendments.count))
            for amendment in amendments {
                try await replace(amendment, version: version)
                version += 2
            }
        }
    }

    /// Whether the rows that are there of a block are of that very block. One that has left no row anywhere cannot be told from another.
    private func holds(_ amendment: Amendment) async throws -> Bool {
        for layout in allLayouts {
            guard let hash = layout.schema.blockHashField else { continue }
            let found = try await connection.rows(
                "SELECT lower(hex(\(ClickHouseSQL.quoted(hash)))) FROM \(tables.name(layout.schema.name)) FINAL WHERE \(ClickHouseTables.deleted) = 0 "
                    + "AND chain_id = \(amendment.chainID) AND \(layout.block) = \(amendment.block.number) LIMIT 1",
                doing: "looking up block \(amendment.block.number)")
            if let text = found.first?.first { return "0x" + text == amendment.block.hash.description }
        }
        return true
    }

    private func replace(_ amendment: Amendment, version: UInt64) async throws {
        let layout = try layout(amendment.rows)
        let places = amendment.places.sorted().map { "\($0)" }.joined(separator: ", ")
        let condition =
            "chain_id = \(amendment.chainID) AND \(layout.block) = \(amendment.block.number) "
            + "AND \(ClickHouseSQL.quoted(amendment.column)) IN (\(places))"
        let gone = tables.tombstones(layout.schema, version: version, where: condition)
        // The server's own bytes, as they come; what comes in their place has the greater version.
        let names =
            "\(tables.columns(layout.schema)), new_version AS \(ClickHouseTables.version), new_deleted AS \(ClickHouseTables.deleted)"
        var body = try await connection.bytes(
            "SELECT \(names) FROM (\(gone))", format: "Native", doing: "reading what is to be amended of \(layout.schema.name)")
        body += NativeBlock.encode(
            [amendment.rows], as: layout.targets, constants: Self.constants(version: version + 1, isDeleted: false))
        guard !body.isEmpty else { return }
        try await insert(
            body, into: layout, token: "\(id)/\(layout.schema.name)/amend/\(amendment.block)/\(version)")
    }
}
