internal import SluiceCore

/// What the sinks of a pipeline hold, told now and then by the process that runs it: for whoever may not ask the sinks themselves,
/// because that process has them open. The sinks' own segments are what counts when a run begins.
extension StateStore {
    /// Replaces what is known of all sinks of a pipeline, in one step; a sink that is not mentioned is forgotten. Runs that begin where one
    /// began before keep the time since when that is known. Meant for every few seconds.
    /// - Throws: `segments_invalid` when runs of a sink share a block.
    public func setCoverage(_ held: [String: [ClosedRange<UInt64>]], of pipeline: String) throws {
        let database = try writing()
        for (sink, ranges) in held { try Self.check(ranges, sink: sink, of: pipeline) }
        let stamp = now
        let kept = held.mapValues { Set($0.map(\.lowerBound)) }
        try database.transaction { () throws(SluiceError) in
            for old in try coverageRecords(database, "WHERE pipeline = ?", [.text(pipeline)])
            where kept[old.sink]?.contains(old.first) != true {
                try database.run(
                    "DELETE FROM coverage WHERE pipeline = ? AND sink = ? AND first = ?",
                    [.text(pipeline), .text(old.sink), try Self.store(old.first)])
            }
            for (sink, ranges) in held {
                for range in ranges {
                    try database.run(
                        """
                        INSERT INTO coverage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE \
                        SET last = excluded.last, updated_at = excluded.updated_at
                        """,
                        [
                            .text(pipeline), .text(sink), try Self.store(range.lowerBound), try Self.store(range.upperBound), .int(stamp),
                            .int(stamp),
                        ])
                }
            }
        }
    }

    /// What is known of all pipelines, by pipeline, sink and first block.
    public func coverage() throws -> [CoverageRecord] { try coverageRecords(reading(), "", []) }

    /// Forgets what is known of a pipeline that is no longer configured.
    public func removeCoverage(of pipeline: String) throws {
        try writing().run("DELETE FROM coverage WHERE pipeline = ?", [.text(pipeline)])
    }

    private func coverageRecords(_ database: SQLiteDatabase, _ words: String, _ values: [SQLiteValue]) throws(SluiceError)
        -> [CoverageRecord]
    {
        var out: [CoverageRecord] = []
        try database.run(
            "SELECT pipeline, sink, first, last, since, updated_at FROM coverage \(words) ORDER BY pipeline, sink, first", values
        ) { row throws(SluiceError) in
            out.append(
                CoverageRecord(
                    pipeline: row.text(0), sink: row.text(1), first: UInt64(bitPattern: row.int(2)), last: UInt64(bitPattern: row.int(3)),
                    since: row.int(4), updated: row.int(5)))
        }
        return out
    }

    private static func check(_ ranges: [ClosedRange<UInt64>], sink: String, of pipeline: String) throws(SluiceError) {
        let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
        for (range, next) in zip(sorted, sorted.dropFirst()) where next.lowerBound <= range.upperBound {
            throw SluiceError(
                .segmentsInvalid, .fatal,
                "storing what sink \(sink) holds for \(pipeline): one run ends at block \(range.upperBound), the next begins at \(next.lowerBound)",
                mend: "this is an error in Sluice: report it with this message; the state file was not changed")
        }
    }
}
