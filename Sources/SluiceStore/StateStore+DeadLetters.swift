public import SluiceCore

extension SluiceError.Code {
    /// A pipeline has as many open dead letters as it may have.
    public static let deadLettersFull = Self("dead_letters_full")
    /// No dead letter has the number that was given.
    public static let deadLetterUnknown = Self("dead_letter_unknown")
}

/// Rows that could not be processed. The same row of the same block that fails again is the same letter.
extension StateStore {
    /// How many open dead letters a pipeline may have unless it is told otherwise.
    public static let deadLetterLimit = 100_000

    /// Keeps dead letters, all or none. One that is known is counted once more and takes over the newest reason, message and payload; it
    /// is open again if it was replayed, and stays dropped if it was dropped. Returns how many became open.
    /// - Throws: `dead_letters_full` (class `pause`) when the pipeline would have more than `limit` open ones; nothing is kept then,
    ///   and nothing may be dropped: the batch that they came with must wait.
    @discardableResult
    public func keep(_ letters: [DeadLetter], of stream: StreamID, limit: Int = deadLetterLimit) throws -> Int {
        let database = try writing()
        guard !letters.isEmpty else { return 0 }
        let stamp = SQLiteValue.int(now)
        let key: [SQLiteValue] = [.text(stream.pipeline), try Self.store(stream.chainID)]
        return try database.transaction { () throws(SluiceError) in
            var opened = 0
            for letter in letters where try keep(letter, key: key, at: stamp, in: database) { opened += 1 }
            // Letters that were there already are no reason to stop, even when the limit has been lowered since.
            guard opened > 0 else { return 0 }
            let open = try openDeadLetters(database, of: stream.pipeline)
            guard open <= limit else { throw Self.full(stream, letters, before: open - opened, limit: limit) }
            return opened
        }
    }

    /// Returns whether the letter became open by that.
    func keep(_ letter: DeadLetter, key: [SQLiteValue], at stamp: SQLiteValue, in database: SQLiteDatabase) throws(SluiceError)
        -> Bool
    {
        let row = key + [.text(letter.register), .blob(letter.block.hash.bytes), .text(letter.row)]
        let words: [SQLiteValue] = [.text(letter.reason), .text(letter.message), .text(letter.payload)]
        // Not by ON CONFLICT, which uses up an id each time.
        var known: (id: Int64, isReplayed: Bool)?
        try database.run(
            """
            SELECT id, state = 'replayed' FROM dead_letters \
            WHERE pipeline = ? AND chain_id = ? AND register = ? AND block_hash = ? AND row = ?
            """, row
        ) { row throws(SluiceError) in known = (row.int(0), row.int(1) != 0) }
        guard let known else {
            try database.run(
                """
                INSERT INTO dead_letters (pipeline, chain_id, register, block_hash, row, block_number, reason, message, payload, \
                first_seen, last_seen, tries, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'open')
                """, row + [try Self.store(letter.block.number)] + words + [stamp, stamp])
            return true
        }
        try database.run(
            """
            UPDATE dead_letters SET reason = ?, message = ?, payload = ?, last_seen = ?, tries = tries + 1, replay_wanted = NULL, \
            state = CASE state WHEN 'replayed' THEN 'open' ELSE state END WHERE id = ?
            """, words + [stamp, .int(known.id)])
        return known.isReplayed
    }

    /// The letter of a number; nil when there is none.
    public func deadLetter(_ id: Int64) throws -> DeadLetterRecord? {
        try deadLetterRecords("WHERE id = ?", [.int(id)]).first
    }

    /// Letters in the order in which they came, `limit` at most, that come behind the letter `id`: its number is where the next page
    /// begins, also when letters come and go meanwhile.
    public func deadLetters(_ filter: DeadLetterFilter = DeadLetterFilter(), after id: Int64 = 0, limit: Int) throws -> [DeadLetterRecord] {
        let (words, values) = Self.condition(filter, and: "id > ?", .int(id))
        return try deadLetterRecords(words + " ORDER BY id LIMIT ?", values + [.int(Int64(max(0, limit)))])
    }

    /// How many letters there are, by pipeline, reason and state, in this order.
    public func deadLetterCounts(_ filter: DeadLetterFilter = DeadLetterFilter()) throws -> [DeadLetterCount] {
        let (words, values) = Self.condition(filter)
        var out: [DeadLetterCount] = []
        let path = path
        try reading().run(
            """
            SELECT pipeline, reason, state, count(*) FROM dead_letters \(words) GROUP BY pipeline, reason, state \
            ORDER BY pipeline, reason, state
            """, values
        ) { row throws(SluiceError) in
            out.append(
                DeadLetterCount(pipeline: row.text(0), reason: row.text(1), state: try Self.state(row, 2, path), count: Int(row.int(3))))
        }
        return out
    }

    /// Removes the letters of blocks that were orphaned: those behind `position`, and those of its height on another branch. With
    /// `last`, only up to there: what a sink holds further on is not touched by the rollback of a run of blocks below.
    public func removeDeadLetters(of stream: StreamID, behind position: Position, through last: UInt64? = nil) throws {
        let number = try Self.store(position.number)
        let end: SQLiteValue = if let last { try Self.store(last) } else { .int(.max) }
        try writing().run(
            """
            DELETE FROM dead_letters WHERE pipeline = ?1 AND chain_id = ?2 AND block_number >= ?3 AND block_number <= ?4 \
            AND (block_number > ?3 OR block_hash <> ?5)
            """,
            [
                .text(stream.pipeline), try Self.store(stream.chainID), number, end, .blob(position.hash.bytes),
            ])
    }

    /// Removes all letters of a pipeline that is gone.
    public func removeDeadLetters(ofPipeline pipeline: String) throws {
        try writing().run("DELETE FROM dead_letters WHERE pipeline = ?", [.text(pipeline)])
    }

    private func openDeadLetters(_ database: SQLiteDatabase, of pipeline: String) throws(SluiceError) -> Int {
        var count = 0
        try database.run("SELECT count(*) FROM dead_letters WHERE pipeline = ? AND state = 'open'", [.text(pipeline)]) {
            row throws(SluiceError) in count = Int(row.int(0))
        }
        return count
    }

    private func deadLetterRecords(_ words: String, _ values: [SQLiteValue]) throws(SluiceError) -> [DeadLetterRecord] {
        var out: [DeadLetterRecord] = []
        let path = path
        try reading().run(
            """
            SELECT id, pipeline, chain_id, register, block_number, block_hash, row, reason, message, payload, first_seen, last_seen, \
            tries, state, replay_wanted FROM dead_letters \(words)
            """, values
        ) { row throws(SluiceError) in
            let block = BlockRef(number: UInt64(bitPattern: row.int(4)), hash: try row.hash(5))
            out.append(
                DeadLetterRecord(
                    id: row.int(0), stream: StreamID(pipeline: row.text(1), chainID: UInt64(bitPattern: row.int(2))),
                    letter: DeadLetter(
                        register: row.text(3), row: row.text(6), block: block, reason: row.text(7), message: row.text(8),
                        payload: row.text(9)),
                    firstSeen: row.int(10), lastSeen: row.int(11), tries: UInt64(bitPattern: row.int(12)),
                    state: try Self.state(row, 13, path), replayWanted: row.isNull(14) ? nil : row.int(14)))
        }
        return out
    }

    /// A filter as SQL: the words are ours, what was given comes as values.
    static func condition(_ filter: DeadLetterFilter, and more: String? = nil, _ moreValues: SQLiteValue...) -> (String, [SQLiteValue]) {
        var words: [String] = []
        var values: [SQLiteValue] = []
        let texts = [
            ("pipeline", filter.pipeline), ("register", filter.register), ("reason", filter.reason), ("state", filter.state?.rawValue),
        ]
        for case (let column, let text?) in texts {
            words.append("\(column) = ?")
            values.append(.text(text))
        }
        if filter.isReplayWanted { words.append("replay_wanted IS NOT NULL") }
        if let more { words.append(more) }
        return (words.isEmpty ? "" : "WHERE " + words.joined(separator: " AND "), values + moreValues)
    }

    private static func state(_ row: SQLiteRow, _ column: Int32, _ path: String) throws(SluiceError) -> DeadLetterRecord.State {
        let text = row.text(column)
        guard let state = DeadLetterRecord.State(rawValue: text) else {
            throw StoreError.corrupt(path, "a dead letter in the state \(text)")
        }
        return state
    }

    private static func full(_ stream: StreamID, _ letters: [DeadLetter], before: Int, limit: Int) -> SluiceError {
        let blocks = letters.map(\.block.number)
        return SluiceError(
            .deadLettersFull, .pause,
            "\(stream) has \(before) open dead letters of at most \(limit), and blocks \(blocks.min() ?? 0)...\(blocks.max() ?? 0) bring more",
            mend: "see what is wrong with sluice dlq list --pipeline \(stream.pipeline), mend that, then replay or drop them")
    }
}
