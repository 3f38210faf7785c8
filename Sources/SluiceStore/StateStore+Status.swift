internal import SluiceCore

extension StateStore {
    /// Replaces the status of a pipeline; stamps it with the time. Meant for about once a second.
    public func setStatus(_ status: RunStatus) throws {
        let database = try writing()
        let stamp = now
        func optional(_ number: UInt64?) throws(SluiceError) -> SQLiteValue { if let number { try Self.store(number) } else { .null } }
        try database.transaction { () throws(SluiceError) in
            try database.run(
                """
                INSERT INTO run_status VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET chain_id = excluded.chain_id, \
                state = excluded.state, message = excluded.message, head = excluded.head, finalized = excluded.finalized, \
                position = excluded.position, reorgs = excluded.reorgs, deepest_reorg = excluded.deepest_reorg, \
                started = excluded.started, updated = excluded.updated
                """,
                [
                    .text(status.pipeline), try Self.store(status.chainID), .text(status.state), status.message.map { .text($0) } ?? .null,
                    try optional(status.head), try optional(status.finalized), try optional(status.position), try Self.store(status.reorgs),
                    try Self.store(status.deepestReorg), .int(status.started), .int(stamp),
                ])
            for (table, rows) in status.rows {
                try database.run(
                    "INSERT INTO run_rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = excluded.rows",
                    [.text(status.pipeline), .text(table), try Self.store(rows)])
            }
            // Tables that the pipeline does not write any more.
            var gone: [String] = []
            try database.run("SELECT table_name FROM run_rows WHERE pipeline = ?", [.text(status.pipeline)]) { row throws(SluiceError) in
                if status.rows[row.text(0)] == nil { gone.append(row.text(0)) }
            }
            for table in gone {
                try database.run("DELETE FROM run_rows WHERE pipeline = ? AND table_name = ?", [.text(status.pipeline), .text(table)])
            }
        }
    }

    /// The status of every pipeline, by name; one snapshot.
    public func statuses() throws -> [RunStatus] {
        let database = try reading()
        return try database.transaction("BEGIN") { () throws(SluiceError) in
            var rows: [String: [String: UInt64]] = [:]
            try database.run("SELECT pipeline, table_name, rows FROM run_rows") { row throws(SluiceError) in
                rows[row.text(0), default: [:]][row.text(1)] = UInt64(bitPattern: row.int(2))
            }
            var out: [RunStatus] = []
            try database.run("SELECT * FROM run_status ORDER BY pipeline") { row throws(SluiceError) in
                func optional(_ column: Int32) -> UInt64? { row.isNull(column) ? nil : UInt64(bitPattern: row.int(column)) }
                out.append(
                    RunStatus(
                        pipeline: row.text(0), chainID: UInt64(bitPattern: row.int(1)), state: row.text(2),
                        message: row.isNull(3) ? nil : row.text(3),
                        head: optional(4), finalized: optional(5), position: optional(6), reorgs: UInt64(bitPattern: row.int(7)),
                        deepestReorg: UInt64(bitPattern: row.int(8)), rows: rows[row.text(0)] ?? [:], started: row.int(9),
                        updated: row.int(10)))
            }
            return out
        }
    }

    /// Forgets the status of a pipeline that is no longer configured.
    public func removeStatus(of pipeline: String) throws {
        let database = try writing()
        try database.transaction { () throws(SluiceError) in
            try database.run("DELETE FROM run_status WHERE pipeline = ?", [.text(pipeline)])
            try database.run("DELETE FROM run_rows WHERE pipeline = ?", [.text(pipeline)])
        }
    }
}
