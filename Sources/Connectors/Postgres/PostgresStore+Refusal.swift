import SluiceCore
import SluiceFormats

// Which rows of a step it is that the server does not take.
extension PostgresStore {
    /// How many refused rows are looked for at a time: the others are found in the next try.
    private static let most = 1000

    /// Loads rows of some batches. Rows that the server refuses for what they hold are searched for, by halves; then all of that is to be
    /// rolled back.
    /// - Throws: `HeldRefusal`; what the server fails with otherwise.
    func load(_ batches: [Batch], _ schema: Schema, _ connection: PostgresConnection) throws {
        let tables = batches.compactMap { batch in batch.table(schema.name).map { (batch.span, $0) } }.filter { $0.1.rowCount > 0 }
        do { try load(tables.map(\.1), schema, connection) } catch let error as SluiceError where error.class == .data {
            var refusal = HeldRefusal()
            try undoLoad(connection)
            for (span, table) in tables where refusal.rows.count < Self.most {
                try search(table, 0..<table.rowCount, connection) { row, error in
                    refusal.add(row, of: table, in: span, reason: error)
                }
            }
            // All of them together are refused, and each by itself is not: nothing can be left out.
            throw refusal.rows.isEmpty ? error : refusal
        }
    }

    /// The same of an amendment.
    func load(_ amendment: Amendment, _ connection: PostgresConnection) throws {
        let rows = amendment.rows
        guard rows.rowCount > 0 else { return }
        do { try load([rows], rows.schema, connection) } catch let error as SluiceError where error.class == .data {
            var refused: [RefusedRow] = []
            try undoLoad(connection)
            try search(rows, 0..<rows.rowCount, connection) { row, error in
                refused.append(RefusedRow(rows, row, block: amendment.block, reason: error.code, message: error.message))
            }
            throw refused.isEmpty ? error : RowsRefused(refused)
        }
    }

    private func undoLoad(_ connection: PostgresConnection) throws {
        try connection.execute("ROLLBACK TO load", doing: "looking for rows that are refused")
        // Those that were made since are gone.
        partitions = [:]
    }

    /// Loads some rows, and reports those that are refused. What is taken stays, so that a row that does not go with one before it is found, too.
    private func search(
        _ table: Table, _ rows: Range<Int>, _ connection: PostgresConnection, _ refused: (Int, SluiceError) -> Void
    ) throws {
        let doing = "looking for rows that are refused"
        try connection.execute("SAVEPOINT search", doing: doing)
        do {
            try load([table.slice(rows)], table.schema, connection)
            try connection.execute("RELEASE search", doing: doing)
            return
        } catch let error as SluiceError where error.class == .data {
            try connection.execute("ROLLBACK TO search; RELEASE search", doing: doing)
            partitions = [:]
            guard rows.count > 1 else { return refused(rows.lowerBound, error) }
        }
        let middle = rows.lowerBound + rows.count / 2
        try search(table, rows.lowerBound..<middle, connection, refused)
        try search(table, middle..<rows.upperBound, connection, refused)
    }
}
