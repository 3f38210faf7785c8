import SluiceCore

/// The blocks that went into a sink, as its stream told of them: what is durable there, and what waits for that. Pure.
struct TakenBlocks: Sendable {
    private(set) var durable: Coverage
    /// Taken since, in order; what follows each other is one.
    private var waiting: [Segment] = []
    /// Blocks that may still be orphaned.
    private var recent = RecentHashes()
    private var finalized: UInt64 = 0

    /// - Parameters:
    ///   - segments: what the sink holds to begin with.
    ///   - recent: those blocks of it that may still be orphaned.
    init(_ segments: [Segment] = [], recent: [BlockRef] = []) {
        durable = Coverage(segments)
        for block in recent { self.recent.append(block) }
    }

    /// Notes a batch that the sink took.
    mutating func take(_ span: Span) {
        let last = span.last
        if let end = waiting.last, end.last.number + 1 == span.first {
            waiting[waiting.count - 1] = Segment(first: end.first, last: last)
        } else {
            waiting.append(Segment(first: span.first, last: last))
        }
        if last.number > finalized { recent.append(span) }
    }

    /// Notes that nothing up to a block will ever be undone: one of that number is that block.
    mutating func finalize(through number: UInt64) {
        guard number > finalized else { return }
        finalized = number
        recent.remove(through: number)
    }

    /// Notes that what was taken up to a block is durable.
    mutating func settle(_ position: Position) {
        // A position that nothing waits for is of what was durable before.
        guard let end = waiting.firstIndex(where: { $0.first <= position.number && position.number <= $0.last.number }) else { return }
        let part = waiting[end]
        durable = Coverage(durable.segments + waiting[..<end] + [Segment(first: part.first, last: position)])
        let isWhole = part.last.number == position.number
        waiting.replaceSubrange(...end, with: isWhole ? [] : [Segment(first: position.number + 1, last: part.last)])
    }

    /// Notes that the sink undid what lies behind a block, in the run of blocks that holds it.
    mutating func rollback(to position: Position) {
        // The run is the one that the sink would find, among all that it has taken.
        var all = Coverage(durable.segments + waiting)
        guard let removed = all.rollback(to: position) else { return }
        func cut(_ segment: Segment) -> Segment? {
            if removed.contains(segment.first) { return nil }
            return removed.contains(segment.last.number) ? Segment(first: segment.first, last: position) : segment
        }
        waiting = waiting.compactMap(cut)
        durable = Coverage(durable.segments.compactMap(cut))
        recent.remove(removed)
    }

    /// The highest block that it has.
    var highest: Position? { ([durable.segments.last] + waiting).compactMap { $0?.last }.max { $0.number < $1.number } }

    /// The newest blocks that follow each other.
    var newest: Segment? { Coverage(durable.segments + waiting).segments.last }

    /// Whether the sink has that very block.
    func contains(_ block: BlockRef) -> Bool {
        // Of what is final, numbers tell enough.
        if let hash = recent.hash(block.number) { return hash == block.hash }
        return waiting.contains { $0.first <= block.number && block.number <= $0.last.number }
            || (try? durable.require(block, in: "")) != nil
    }
}
