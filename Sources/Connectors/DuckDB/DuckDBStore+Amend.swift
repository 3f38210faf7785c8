import SluiceCore
import SluiceDuckDB

// Rows that are added to blocks which are there already.
extension DuckDBStore {
    /// One transaction: what was taken before, then the rows that go, then those that come. All of it is committed when this returns.
    func amend(_ amendments: [Amendment], of id: StreamID) throws {
        let stream = try ready(id)
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            try amendment.rows.requireFit(id, stream.schemas)
            try stream.taken.require(amendment.block, in: options.path)
        }
        var different: BlockRef?
        try guarded { session in
            // Blocks that wait for company are in the tables with that.
            try stage(id, session)
            different = try amendments.first { try !holds($0.block, stream.schemas, id, session) }?.block
        }
        if let different { throw Coverage.differs(different, in: options.path) }
        try guarded { session in
            try begin(session)
            for amendment in amendments { try replace(amendment, id, session) }
        }
        // The segments look the same before and after, so that they do not tell whether a commit that failed has happened.
        try commit(isTold: false)
    }

    /// Whether no row of that number is of another block.
    private func holds(_ block: BlockRef, _ schemas: [Schema], _ id: StreamID, _ session: DuckDBSession) throws -> Bool {
        for schema in schemas {
            guard let hash = schema.blockHashField else { continue }
            let others = try session.rows(
                """
                SELECT 1 FROM main.\(DuckDBSession.quoted(schema.name)) WHERE \(try place(of: block.number, schema, id))
                AND \(DuckDBSession.quoted(hash)) <> unhex('\(block.hash.description.dropFirst(2))') LIMIT 1
                """, doing: "looking at block \(block.number) in \(schema.name)")
            if !others.isEmpty { return false }
        }
        return true
    }

    private func replace(_ amendment: Amendment, _ id: StreamID, _ session: DuckDBSession) throws {
        let (rows, places) = (amendment.rows, amendment.places.sorted().map(String.init).joined(separator: ", "))
        let name = "main." + DuckDBSession.quoted(rows.schema.name)
        try session.execute(
            """
            DELETE FROM \(name) WHERE \(try place(of: amendment.block.number, rows.schema, id))
            AND \(DuckDBSession.quoted(amendment.column)) IN (\(places))
            """, doing: "replacing rows of \(rows.schema.name) in \(options.path)")
        if rows.rowCount > 0 { try session.insert([TableSlice(rows)], into: name) }
    }

    private func place(of number: UInt64, _ schema: Schema, _ id: StreamID) throws -> String {
        "chain_id = \(id.chainID) AND \(DuckDBSession.quoted(try schema.requiredBlockNumberField())) = \(number)"
    }
}
