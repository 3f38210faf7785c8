import SluiceCore

/// What the positions topic holds of one stream: its segments, and from where on its topics hold the rows of recent blocks. Pure.
struct PositionRecord: Hashable {
    /// Rows of `block` and of those behind it stand nowhere before these offsets: by topic, one a partition; from the beginning where there is none.
    struct Mark: Hashable {
        let block: UInt64
        let offsets: [String: [Int64]]
    }

    /// Blocks between two marks, at least.
    static let spacing: UInt64 = 16
    static let mostMarks = 8

    var chainID: UInt64
    var coverage = Coverage()
    var tables: [String] = []
    var topics: [String] = []
    /// In the order of blocks.
    var marks: [Mark] = []

    /// Notes where the rows of blocks from `block` on will begin. Does nothing when there are later blocks already: their rows stand before.
    mutating func mark(_ block: UInt64, offsets: [String: [Int64]]) {
        guard coverage.segments.last.map({ $0.last.number < block }) ?? true, marks.last.map({ $0.block + Self.spacing <= block }) ?? true
        else { return }
        marks.append(Mark(block: block, offsets: offsets))
        if marks.count > Self.mostMarks {
            // Old ones grow sparse: each says less precisely what the one before it says.
            marks = marks.indices.filter { $0 % 2 == 0 }.map { marks[$0] }
        }
    }

    /// From where on rows of a block and of those behind it stand.
    func offsets(from block: UInt64) -> [String: [Int64]] { marks.last { $0.block <= block }?.offsets ?? [:] }

    // MARK: - Text

    var text: String {
        let segments = coverage.segments.map { "{\"first\":\($0.first),\"last\":\($0.last.number),\"hash\":\"\($0.last.hash)\"}" }
        let marks = marks.map { mark in
            let offsets = mark.offsets.sorted { $0.key < $1.key }.map {
                "\($0.key.jsonQuoted):[\($0.value.map(String.init).joined(separator: ","))]"
            }
            return "{\"block\":\(mark.block),\"offsets\":{\(offsets.joined(separator: ","))}}"
        }
        return "{\"version\":1,\"chain_id\":\(chainID),\"segments\":[\(segments.joined(separator: ","))],"
            + "\"tables\":[\(tables.map(\.jsonQuoted).joined(separator: ","))],\"topics\":[\(topics.map(\.jsonQuoted).joined(separator: ","))],"
            + "\"marks\":[\(marks.joined(separator: ","))]}"
    }

    init(chainID: UInt64) { self.chainID = chainID }

    /// - Parameter place: where it was read, for messages.
    /// - Throws: `kafka_position` (class `pause`) when it is not what this version writes.
    init(_ text: String, at place: String) throws(SluiceError) {
        let damaged = SluiceError(
            .kafkaPosition, .pause, "what \(place) says of a stream cannot be understood",
            mend: "use the version of Sluice that wrote it, or another positions_topic and topics")
        var reader = JSONTreeReader(text, reading: place, code: .kafkaPosition, remedy: "")
        let node: JSONNode
        do { node = try reader.document() } catch { throw damaged }
        guard node["version"]?.whole == 1, let chainID = node["chain_id"]?.whole, let tables = node["tables"]?.items,
            let topics = node["topics"]?.items, let segments = node["segments"]?.items, let marks = node["marks"]?.items
        else { throw damaged }
        self.chainID = chainID
        self.tables = tables.compactMap(\.text)
        self.topics = topics.compactMap(\.text)
        var read: [Segment] = []
        for segment in segments {
            guard let first = segment["first"]?.whole, let last = segment["last"]?.whole,
                let hash = segment["hash"]?.text.flatMap({ Hash32(hex: $0) }), first <= last,
                read.last.map({ $0.last.number < first }) ?? true
            else { throw damaged }
            read.append(Segment(first: first, last: Position(number: last, hash: hash)))
        }
        coverage = Coverage(read)
        for mark in marks {
            guard let block = mark["block"]?.whole, let offsets = mark["offsets"]?.members else { throw damaged }
            var all: [String: [Int64]] = [:]
            for (topic, list) in offsets {
                guard let items = list.items else { throw damaged }
                all[topic] = items.map { $0.whole.map { Int64(clamping: $0) } ?? 0 }
            }
            self.marks.append(Mark(block: block, offsets: all))
        }
    }
}
