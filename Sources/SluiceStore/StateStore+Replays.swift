internal import SluiceCore

/// What comes of replays of dead letters.
extension StateStore {
    /// Notes what came of replays, all or none. What was done about a letter is done; whoever asked for it finds what came of it.
    ///
    /// A row that has failed again since the replay began, in a block that was read anew, is still missing there: its letter stays open,
    /// and nothing is noted. One that is gone meanwhile is not missed.
    public func note(_ results: [ReplayResult]) throws {
        let database = try writing()
        let stamp = now
        try database.transaction { () throws(SluiceError) in
            for result in results where try settle(result, at: stamp, in: database) { try store(result, at: stamp, in: database) }
        }
    }

    /// Does to a letter what came of its replay; returns whether it did.
    private func settle(_ result: ReplayResult, at stamp: Int64, in database: SQLiteDatabase) throws(SluiceError) -> Bool {
        let record = result.record
        if let failure = result.failure {
            let key: [SQLiteValue] = [.text(record.stream.pipeline), try Self.store(record.stream.chainID)]
            _ = try keep(failure, key: key, at: .int(stamp), in: database)
            return true
        }
        // What cannot be done stays for the operator to drop, but nobody tries again unasked.
        let words = result.outcome.isDone ? "state = 'replayed', replay_wanted = NULL" : "replay_wanted = NULL"
        var isDone = false
        try database.run(
            "UPDATE dead_letters SET \(words) WHERE id = ? AND tries = ? AND state = 'open' RETURNING 1",
            [.int(record.id), try Self.store(record.tries)]
        ) { _ throws(SluiceError) in isDone = true }
        return isDone
    }

    private func store(_ result: ReplayResult, at stamp: Int64, in database: SQLiteDatabase) throws(SluiceError) {
        func text(_ text: String?) -> SQLiteValue { text.map { .text($0) } ?? .null }
        let outcome = result.outcome
        try database.run(
            """
            INSERT INTO replays SELECT id, ?, ?, ?, ?, ? FROM dead_letters WHERE id = ? ON CONFLICT DO UPDATE \
            SET outcome = excluded.outcome, rows = excluded.rows, reason = excluded.reason, message = excluded.message, at = excluded.at
            """,
            [
                .text(outcome.name), outcome.rows.map { .int(Int64($0)) } ?? .null, text(outcome.reason), text(outcome.message),
                .int(stamp),
                .int(result.record.id),
            ])
    }

    /// What came of replays from a moment on (microseconds since 1970), by the letter's id.
    public func replayOutcomes(since: Int64) throws -> [Int64: ReplayOutcome] { try replays("at >= ?", .int(since)) }

    /// What came of the last replay of a letter; nil when there was none.
    public func replayOutcome(of id: Int64) throws -> ReplayOutcome? { try replays("id = ?", .int(id))[id] }

    private func replays(_ condition: String, _ value: SQLiteValue) throws -> [Int64: ReplayOutcome] {
        var out: [Int64: ReplayOutcome] = [:]
        let path = path
        try reading().run("SELECT id, outcome, rows, reason, message FROM replays WHERE \(condition)", [value]) { row throws(SluiceError) in
            func text(_ column: Int32) -> String? { row.isNull(column) ? nil : row.text(column) }
            guard let outcome = ReplayOutcome(name: row.text(1), rows: Int(row.int(2)), reason: text(3), message: text(4)) else {
                throw StoreError.corrupt(path, "a replay with the outcome \(row.text(1))")
            }
            out[row.int(0)] = outcome
        }
        return out
    }

    /// Letters with a replay that was asked for and not tried yet.
    public func wantedReplays() throws -> Set<Int64> {
        var out: Set<Int64> = []
        try reading().run("SELECT id FROM dead_letters WHERE replay_wanted IS NOT NULL") { row throws(SluiceError) in out.insert(row.int(0))
        }
        return out
    }
}
