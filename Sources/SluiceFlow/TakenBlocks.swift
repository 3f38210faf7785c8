import SluiceCore

/// The blocks that went into a sink, as its stream told of them: what is durable there, and what waits for that. Pure.
struct TakenBlocks: Sendable {
    private(set) var durable: Coverage
    /// Taken since, in order.
    private var waiting: [Span] = []
    /// Which blocks those are that may still be orphaned, by number.
    private var recent: [UInt64: Hash32] = [:]
    private var finalized: UInt64 = 0

    /// - Parameters:
    ///   - segments: what the sink holds to begin with.
    ///   - recent: those blocks of it that may still be orphaned.
    init(_ segments: [Segment] = [], recent: [BlockRef] = []) {
        durable = Coverage(segments)
        self.recent = Dictionary(recent.map { ($0.number, $0.hash) }, uniquingKeysWith: { first, _ in first })
    }

    /// Notes a batch that the sink took.
    mutating func take(_ span: Span) {
        waiting.append(span)
        guard span.last.number > finalized else { return }
        for number in max(span.first, finalized + 1)...span.last.number { recent[number] = span.hash(number) }
    }

    /// Notes that nothing up to a block will ever be undone: one of that number is that block.
    mutating func finalize(through number: UInt64) {
        guard number > finalized else { return }
        finalized = number
        recent = recent.filter { $0.key > number }
    }

    /// Notes that what was taken up to a block is durable.
    mutating func settle(_ position: Position, of stream: StreamID) throws {
        // A position that nothing waits for is of what was durable before.
        guard let end = waiting.firstIndex(where: { $0.holds(position) }) else { return }
        for span in waiting[..<end] { try durable.append(span, stream: stream) }
        let last = waiting[end]
        try durable.append(last.through(position.number), stream: stream)
        waiting.replaceSubrange(...end, with: position == last.last ? [] : [last.behind(position.number)])
    }

    /// Notes that the sink undid what lies behind a block, in the run of blocks that holds it.
    mutating func rollback(to position: Position) {
        // The run is the one that the sink would find, among all that it has taken.
        var all = durable
        for span in waiting { try? all.append(span, stream: StreamID(pipeline: "", chainID: 0)) }
        guard let removed = all.rollback(to: position) else { return }
        waiting = waiting.compactMap { span in
            if removed.contains(span.first) { return nil }
            return removed.contains(span.last.number) ? span.through(position.number) : span
        }
        for number in recent.keys where removed.contains(number) { recent[number] = nil }
        durable = Coverage(
            durable.segments.compactMap { segment in
                if removed.contains(segment.first) { return nil }
                return removed.contains(segment.last.number) ? Segment(first: segment.first, last: position) : segment
            })
    }

    /// The highest block that it has.
    var highest: Position? { ([durable.segments.last?.last] + waiting.map(\.last)).compactMap { $0 }.max { $0.number < $1.number } }

    /// Whether the sink has that very block.
    func contains(_ block: BlockRef) -> Bool {
        if let hash = recent[block.number], hash != block.hash { return false }
        return waiting.contains { $0.holds(block) } || (try? durable.require(block, in: "")) != nil
    }
}

extension Span {
    fileprivate func holds(_ block: BlockRef) -> Bool {
        first <= block.number && block.number <= last.number && hash(block.number) == block.hash
    }
}
