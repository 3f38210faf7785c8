import SluiceCore

/// Remembers where an edge that drops batches began a new segment in its reader's store, so that a reorganisation finds all of them. Pure.
///
/// A sink undoes what lies behind a position in the one segment that holds it or begins right behind it: other segments were read by
/// themselves, and may be right. Here they are not: blocks behind a hole descend from blocks in the hole. A rollback into or below the
/// hole must therefore take off every segment behind it, each by its own rollback to where it begins.
struct EdgeHoles: Sendable {
    /// Whether what passes next may begin a segment: it does not follow what passed last.
    private var isOpen = false
    /// What comes before each segment behind a hole, in ascending order.
    private var starts: [Position] = []

    /// Notes that a batch was dropped.
    mutating func drop() { isOpen = true }

    /// Notes that a batch passes.
    mutating func pass(_ span: Span) {
        guard isOpen else { return }
        isOpen = false
        // Before the first block of all there is nothing to go back to.
        guard span.first > 0 else { return }
        starts.append(Position(number: span.first - 1, hash: span.parentHash))
    }

    /// The rollbacks that stand for one to `position`: first those of the segments above it, from the highest down.
    mutating func rollbacks(to position: Position) -> [Position] {
        let above = starts.filter { $0.number > position.number }
        starts.removeAll { $0.number > position.number }
        // With a segment goes what stood on its hole: the position may lie in it.
        if !above.isEmpty { isOpen = true }
        return above.sorted { $0.number > $1.number } + [position]
    }

    /// Forgets what can never be undone.
    mutating func finalize(through number: UInt64) { starts.removeAll { $0.number <= number } }
}
