public import SluiceCore

extension SluiceError.Code {
    /// Segments to be stored share a block, or one ends before it begins.
    public static let segmentsInvalid = Self("segments_invalid")
}

extension StateStore {
    /// The runs of blocks that `sink` has durably for a stream, ascending; empty when it has none. Throws `store_closed` or what
    /// the file's state demands.
    public func segments(of stream: StreamID, sink: String) throws -> [Segment] {
        try storedSegments(reading(), of: stream, sink: sink)
    }

    /// Replaces the runs of blocks that `sink` has for a stream, in one step; none: it starts anew. Runs may touch but not
    /// overlap (`segments_invalid`), in any order. Runs that stay as they are keep the time of their last change.
    public func setSegments(_ segments: [Segment], of stream: StreamID, sink: String) throws {
        let database = try writing()
        try Self.check(segments, of: stream, sink: sink)
        let key: [SQLiteValue] = [.text(stream.pipeline), try Self.store(stream.chainID), .text(sink)]
        let stamp = SQLiteValue.int(now)
        try database.transaction { () throws(SluiceError) in
            let kept = Set(segments.map(\.first))
            for old in try storedSegments(database, of: stream, sink: sink) where !kept.contains(old.first) {
                try database.run(
                    "DELETE FROM segments WHERE pipeline = ? AND chain_id = ? AND sink = ? AND first = ?",
                    key + [try Self.store(old.first)])
            }
            for segment in segments {
                let last = segment.last
                try database.run(
                    """
                    INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE \
                    SET number = excluded.number, hash = excluded.hash, updated = excluded.updated \
                    WHERE number <> excluded.number OR hash <> excluded.hash
                    """,
                    key + [try Self.store(segment.first), try Self.store(last.number), .blob(last.hash.bytes), stamp])
            }
        }
    }

    /// The segments of all sinks, by pipeline, chain, sink and first block.
    public func allSegments() throws -> [SegmentRecord] {
        var out: [SegmentRecord] = []
        try reading().run(
            """
            SELECT pipeline, chain_id, sink, updated, first, number, hash FROM segments \
            ORDER BY pipeline, chain_id, sink, first
            """
        ) { row throws(SluiceError) in
            out.append(
                SegmentRecord(
                    pipeline: row.text(0), chainID: UInt64(bitPattern: row.int(1)), sink: row.text(2),
                    segment: try Self.segment(row, at: 4), updated: row.int(3)))
        }
        return out
    }

    private func storedSegments(_ database: SQLiteDatabase, of stream: StreamID, sink: String) throws(SluiceError) -> [Segment] {
        var out: [Segment] = []
        try database.run(
            "SELECT first, number, hash FROM segments WHERE pipeline = ? AND chain_id = ? AND sink = ? ORDER BY first",
            [.text(stream.pipeline), try Self.store(stream.chainID), .text(sink)]
        ) { row throws(SluiceError) in out.append(try Self.segment(row, at: 0)) }
        return out
    }

    /// Reads the columns `first`, `number` and `hash`, from `column` on.
    private static func segment(_ row: SQLiteRow, at column: Int32) throws(SluiceError) -> Segment {
        Segment(
            first: UInt64(bitPattern: row.int(column)),
            last: Position(number: UInt64(bitPattern: row.int(column + 1)), hash: try row.hash(column + 2)))
    }

    /// Two segments with a block in common would make the runtime believe in rows that are there twice or not at all.
    private static func check(_ segments: [Segment], of stream: StreamID, sink: String) throws(SluiceError) {
        let mend = "this is an error in Sluice: report it with this message; the state file was not changed"
        var before: Segment?
        for segment in segments.sorted(by: { $0.first < $1.first }) {
            let place = "storing the segments of sink \(sink) for \(stream)"
            guard segment.first <= segment.last.number else {
                throw SluiceError(
                    .segmentsInvalid, .fatal,
                    "\(place): one begins at block \(segment.first) and ends at \(segment.last.number)", mend: mend)
            }
            if let before, before.last.number >= segment.first {
                throw SluiceError(
                    .segmentsInvalid, .fatal,
                    "\(place): one ends at block \(before.last.number), the next begins at \(segment.first)", mend: mend)
            }
            before = segment
        }
    }
}
