import SluiceCore

/// What the server says of one stream: which blocks are there, and by which version rows are written. One row of `sluice_streams`.
struct ClickHouseLedger: Sendable, Hashable {
    let stream: StreamID
    /// Counts the steps; of two rows the one with the greater counts.
    var saved: UInt64 = 0
    /// The version of new rows. Always even; the odd number above is for rows that say that others are gone.
    var generation: UInt64 = 2
    /// The process that wrote it last.
    var writer: UInt64 = 0
    var tables: [String] = []
    var coverage = Coverage()

    static func text(_ coverage: Coverage) -> String {
        coverage.segments.map { "\($0.first)-\($0.last.number):\($0.last.hash)" }.joined(separator: ",")
    }

    /// Nil when it is not what `text` wrote.
    static func coverage(_ text: String) -> Coverage? {
        var segments: [Segment] = []
        for part in text.split(separator: ",") {
            let pieces = part.split(whereSeparator: { $0 == "-" || $0 == ":" })
            guard pieces.count == 3, let first = UInt64(pieces[0]), let number = UInt64(pieces[1]),
                let hash = Hash32(hex: String(pieces[2])),
                first <= number, segments.last.map({ $0.last.number < first }) ?? true
            else { return nil }
            segments.append(Segment(first: first, last: Position(number: number, hash: hash)))
        }
        return Coverage(segments)
    }

    /// The row, as it is inserted.
    func insertion(into table: String) -> String {
        let names = tables.map(ClickHouseSQL.literal).joined(separator: ", ")
        return "INSERT INTO \(table) (stream, chain_id, saved, generation, writer, tables, segments) VALUES ("
            + "\(ClickHouseSQL.literal(stream.pipeline)), \(stream.chainID), \(saved), \(generation), \(writer), [\(names)], '\(Self.text(coverage))')"
    }

    /// All streams of a chain.
    static func query(_ table: String, chainID: UInt64) -> String {
        "SELECT stream, saved, generation, writer, arrayStringConcat(arrayMap(x -> hex(x), tables), ','), segments FROM \(table) FINAL "
            + "WHERE chain_id = \(chainID) ORDER BY stream"
    }

    /// A row of `query`; nil when it is damaged.
    init?(_ row: [String], chainID: UInt64) {
        guard row.count == 6, let saved = UInt64(row[1]), let generation = UInt64(row[2]), let writer = UInt64(row[3]),
            let coverage = Self.coverage(row[5])
        else {
            return nil
        }
        stream = StreamID(pipeline: row[0], chainID: chainID)
        self.saved = saved
        self.generation = generation
        self.writer = writer
        self.coverage = coverage
        tables = row[4].split(separator: ",").map { hex in
            let digits = Array(hex.utf8)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    init(stream: StreamID) { self.stream = stream }

    /// Ranges of blocks that the stream does not hold.
    static func outside(_ coverage: Coverage) -> [ClosedRange<UInt64>] {
        var ranges: [ClosedRange<UInt64>] = []
        var next: UInt64 = 0
        for segment in coverage.segments {
            if segment.first > next { ranges.append(next...(segment.first - 1)) }
            guard segment.last.number < .max else { return ranges }
            next = segment.last.number + 1
        }
        ranges.append(next...UInt64.max)
        return ranges
    }
}
