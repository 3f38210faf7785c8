import SluiceCore
import SluiceFormats
import SluiceNet

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
        do { try await commitHeld() } catch let refusal as RowsRefused {
            // Those are not of the amendments: they are said when they are asked for.
            unsaid = refusal.rows
            throw SluiceError(
                .clickhouseRow, .retry, "rows of \(id) that wait are refused: they must be dealt with before others are amended")
        }
        for amendment in amendments { try ledger.coverage.require(amendment.block, in: place) }
        for amendment in amendments {
            guard try await holds(amendment) else { throw Coverage.differs(amendment.block, in: place) }
        }
        var refused: [RefusedRow] = []
        try await guarded {
            var version = try await raise(ledger.coverage, steps: UInt64(amendments.count))
            for amendment in amendments {
                refused += try await replace(amendment, version: version)
                version += 2
            }
        }
        if !refused.isEmpty { throw RowsRefused(refused) }
    }

    /// Whether the rows that are there of a block are of that very block. One that has left no row anywhere cannot be told from another.
    private func holds(_ amendment: Amendment) async throws -> Bool {
        for layout in layouts {
            guard let hash = layout.schema.blockHashField else { continue }
            let found = try await connection.rows(
                "SELECT lower(hex(\(ClickHouseSQL.quoted(hash)))) FROM \(tables.name(layout.schema.name)) FINAL WHERE \(ClickHouseTables.deleted) = 0 "
                    + "AND chain_id = \(amendment.chainID) AND \(layout.block) = \(amendment.block.number) LIMIT 1",
                doing: "looking up block \(amendment.block.number)")
            if let text = found.first?.first { return "0x" + text == amendment.block.hash.description }
        }
        return true
    }

    /// Returns the rows that the server refuses; then nothing was changed.
    private func replace(_ amendment: Amendment, version: UInt64) async throws -> [RefusedRow] {
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
        let insert = insert(
            into: layout, token: "\(id)/\(layout.schema.name)/amend/\(amendment.block)/\(version)",
            Self.constants(version: version + 1, isDeleted: false))
        let rows = insert.encode([amendment.rows])
        withExtendedLifetime(rows) { body += rows.bytes }
        guard !body.isEmpty else { return [] }
        do {
            try await insert.load(Buffer(copying: body))
            return []
        } catch let refusal as ClickHouseRefusal {
            guard refusal.isOfRows else { throw refusal.error }
            return try await refused(amendment, layout, refusal)
        }
    }

    /// The rows of an amendment that the server does not take. To find them, they are inserted as rows that are gone, and older than any: nothing that
    /// a reader sees changes by that.
    private func refused(_ amendment: Amendment, _ layout: ClickHouseLayout, _ refusal: ClickHouseRefusal) async throws -> [RefusedRow] {
        let probe = insert(into: layout, token: "", Self.constants(version: 0, isDeleted: true))
        let found = try await probe.search(amendment.rows, refusal)
        guard !found.isEmpty else { throw refusal.error }
        return found.map {
            RefusedRow(amendment.rows, $0.row, block: amendment.block, reason: .clickhouseRow, message: $0.reason)
        }
    }
}
