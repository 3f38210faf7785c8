import SluiceCore
import Synchronization

/// The edge from a graph into one sink of one branch, and what went along it.
final class GraphEdge: Sendable {
    let sink: OpenedSink
    let channel: BoundedChannel<Transit>
    /// The last block that was handed over.
    private let last: Mutex<Position?>

    init(sink: OpenedSink, last: Position?, channel: BoundedChannel<Transit>) {
        self.sink = sink
        self.channel = channel
        self.last = Mutex(last)
    }

    var position: Position? { last.withLock { $0 } }

    /// Sends what the sink does not have yet.
    ///
    /// A reader that was interrupted sends again what it had sent to some edges and not to others, and by then the chain may have
    /// changed. So the edge compares: what it has is left out, and what contradicts what it has undoes that first.
    func send(_ transit: Transit) async throws {
        switch transit {
        case .finalized: try await channel.send(transit)
        case .rollback(let position):
            guard let here = self.position, here != position, here.number >= position.number else { return }
            try await channel.send(transit)
            last.withLock { $0 = position }
        case .batch(let batch):
            if let here = self.position, here.number >= batch.span.first {
                let end = batch.span.last
                if here.number <= end.number, batch.span.hash(here.number) == here.hash {
                    guard here.number < end.number else { return }
                    let rest = batch.behind(block: here.number)
                    try await channel.send(.batch(rest))
                } else {
                    let before = Position(number: batch.span.first &- 1, hash: batch.span.parentHash)
                    try await channel.send(.rollback(to: before))
                    last.withLock { $0 = before }
                    try await channel.send(transit)
                }
            } else {
                try await channel.send(transit)
            }
            last.withLock { $0 = batch.span.last }
        }
    }
}
