import SluiceCore
import Synchronization

/// The edge from a graph into one sink of one branch, and what went along it.
final class GraphEdge: Sendable {
    let sink: OpenedSink
    let edge: Edge
    /// The first block that is wanted; nil: whatever comes.
    private let start: UInt64?
    /// The blocks that were handed over, without a hole.
    private let segment: Mutex<Segment?>
    /// How many batches the sink has taken; all that will ever be, when it takes no more.
    private let taken = Atomic(0)

    /// - Parameter segment: what the sink holds already of what this edge goes on with.
    init(sink: OpenedSink, start: UInt64?, segment: Segment?, edge: Edge) {
        self.sink = sink
        self.start = start
        self.segment = Mutex(segment)
        self.edge = edge
    }

    /// The last block that was handed over.
    var position: Position? { segment.withLock { $0?.last } }

    // MARK: - What the sink has taken

    /// How many batches will have been taken when all that was sent so far is.
    var sent: Int {
        let accounts = edge.accounts
        return accounts.received.batches + accounts.waiting.batches
    }

    /// Whether so many batches were taken, or no more will be.
    func hasTaken(_ count: Int) -> Bool { taken.load(ordering: .acquiring) >= count }

    /// Notes that the sink has taken something.
    func took(_ transit: Transit) {
        if case .batch = transit { taken.add(1, ordering: .releasing) }
    }

    /// Notes that the sink takes no more.
    func end() { taken.store(.max, ordering: .releasing) }

    // MARK: - Sending

    /// Sends a batch that follows what was handed over, if the edge takes it at once. Returns false when nothing was sent: then it is a
    /// matter for `send`.
    func sendNow(_ batch: Batch) -> Bool {
        let span = batch.span
        if let start, span.first < start { return false }
        return segment.withLock { segment in
            if let last = segment?.last, last.number >= span.first { return false }
            guard edge.sendNow(.batch(batch)) else { return false }
            segment = Self.segment(segment, with: span)
            return true
        }
    }

    private static func segment(_ segment: Segment?, with span: Span) -> Segment {
        let first = segment.flatMap { $0.last.number + 1 == span.first ? $0.first : nil } ?? span.first
        return Segment(first: first, last: span.last)
    }

    /// Sends what the sink does not have yet.
    ///
    /// A reader that was interrupted sends again what it had sent to some edges and not to others, and by then the chain may have
    /// changed. So the edge compares: what it has is left out, and what contradicts what it has undoes that first.
    func send(_ transit: Transit) async throws {
        switch transit {
        case .finalized: try await edge.send(transit)
        case .rollback(let position): try await rollback(to: position)
        case .batch(var batch):
            if let start, batch.span.first < start {
                // Others that share the reading began before.
                guard batch.span.last.number >= start else { return }
                batch = batch.behind(block: start - 1)
            }
            if batch.span.first == 0, let held = segment.withLock({ $0 }), held.first == 0 {
                // There is nothing before the first block of all to go back to, and it is never another one.
                guard batch.span.last.number > 0 else { return }
                batch = batch.behind(block: 0)
            }
            if let here = position, here.number >= batch.span.first {
                let end = batch.span.last
                // A reading that began lower for others: it has all of that.
                if here.number > end.number, sink.holds(end) { return }
                if here.number <= end.number, batch.span.hash(here.number) == here.hash {
                    guard here.number < end.number else { return }
                    batch = batch.behind(block: here.number)
                } else {
                    try await rollback(to: Position(number: batch.span.first &- 1, hash: batch.span.parentHash))
                }
            }
            let span = batch.span
            try await edge.send(.batch(batch))
            segment.withLock { $0 = Self.segment($0, with: span) }
        }
    }

    private func rollback(to position: Position) async throws {
        guard let here = segment.withLock({ $0 }), here.last != position, here.last.number >= position.number else { return }
        // Whoever began behind that block loses all that it got, and no more.
        let isAll = position.number < here.first
        try await edge.send(.rollback(to: isAll ? Position(number: here.first &- 1, hash: position.hash) : position))
        segment.withLock { $0 = isAll ? nil : Segment(first: here.first, last: position) }
    }
}
