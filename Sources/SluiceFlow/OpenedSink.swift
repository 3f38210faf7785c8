import SluiceCore
import Synchronization

/// A sink that takes part in a run, with what it holds back.
final class OpenedSink: Sendable {
    let name: String
    let id: StreamID
    let stream: any SinkStream
    let holdsBack: Bool
    let policy: EdgePolicy
    /// Lives longer than one phase: blocks that wait for finality in one are released in the next.
    let held = Mutex(HoldBack())

    init(name: String, id: StreamID, stream: any SinkStream, holdsBack: Bool, policy: EdgePolicy) {
        self.policy = policy
        self.id = id
        self.name = name
        self.stream = stream
        self.holdsBack = holdsBack
    }

    /// The newest blocks that it was handed, stored or held back.
    func segment() async throws -> Segment? {
        let stored = try await stream.coverage().last
        guard let held = held.withLock({ $0.segments.last }) else { return stored }
        if let stored, stored.last.number + 1 == held.first { return Segment(first: stored.first, last: held.last) }
        return held
    }

    /// Undoes what lies behind a position. Returns false when what was held back was all there was to undo.
    func rollback(to position: Position) async throws -> Bool {
        if holdsBack, held.withLock({ $0.rollback(to: position) }) { return false }
        try await stream.rollback(to: position)
        return true
    }
}
