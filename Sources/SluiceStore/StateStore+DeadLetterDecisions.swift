internal import SluiceCore

/// What an operator, or a replay, decides about dead letters.
extension StateStore {
    /// Notes that letters are to be replayed. Only open ones are; returns which of them those were.
    /// - Throws: `dead_letter_unknown` when there is no letter of a number; nothing is changed then.
    @discardableResult
    public func wantReplay(of ids: [Int64]) throws -> [Int64] {
        try decide(ids, "SET replay_wanted = ? WHERE id = ? AND state = 'open'", .int(now))
    }

    /// The same for all open ones that a filter means.
    @discardableResult
    public func wantReplay(matching filter: DeadLetterFilter) throws -> [Int64] {
        try decide(filter, "SET replay_wanted = ?", .int(now))
    }

    /// Drops letters: they stay, but nobody is bothered with them any more. Only open ones are dropped; returns how many there were.
    /// - Throws: `dead_letter_unknown` when there is no letter of a number; nothing is changed then.
    @discardableResult
    public func dropDeadLetters(_ ids: [Int64]) throws -> Int {
        try decide(ids, "SET state = ?, replay_wanted = NULL WHERE id = ? AND state = 'open'", .text("dropped")).count
    }

    /// The same for all open ones that a filter means.
    @discardableResult
    public func dropDeadLetters(matching filter: DeadLetterFilter) throws -> Int {
        try decide(filter, "SET state = ?, replay_wanted = NULL", .text("dropped")).count
    }

    private func decide(_ ids: [Int64], _ words: String, _ value: SQLiteValue) throws -> [Int64] {
        let database = try writing()
        return try database.transaction { () throws(SluiceError) in
            var decided: [Int64] = []
            for id in ids {
                var isKnown = false
                try database.run("SELECT 1 FROM dead_letters WHERE id = ?", [.int(id)]) { _ throws(SluiceError) in isKnown = true }
                guard isKnown else {
                    throw SluiceError(
                        .deadLetterUnknown, .config, "there is no dead letter \(id)",
                        mend: "sluice dlq list shows those that are open; those of orphaned blocks go with them")
                }
                try database.run("UPDATE dead_letters \(words) RETURNING id", [value, .int(id)]) { row throws(SluiceError) in
                    decided.append(row.int(0))
                }
            }
            return decided
        }
    }

    private func decide(_ filter: DeadLetterFilter, _ words: String, _ value: SQLiteValue) throws -> [Int64] {
        let database = try writing()
        var filter = filter
        filter.state = .open
        // What comes in meanwhile was not meant.
        let last = try database.number("SELECT max(id) FROM dead_letters")
        var reached: Int64 = 0
        var decided: [Int64] = []
        // In parts, so that a process that runs pipelines on the same file never waits for long.
        while reached < last {
            let (condition, values) = Self.condition(filter, and: "id > ? AND id <= ?", .int(reached), .int(last))
            var part: [Int64] = []
            try database.run(
                """
                UPDATE dead_letters \(words) WHERE id IN (SELECT id FROM dead_letters \(condition) ORDER BY id LIMIT 1000) RETURNING id
                """, [value] + values
            ) { row throws(SluiceError) in part.append(row.int(0)) }
            guard let highest = part.max() else { break }
            reached = highest
            decided += part
        }
        return decided
    }
}
