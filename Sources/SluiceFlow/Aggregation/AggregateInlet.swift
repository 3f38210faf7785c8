import SluiceCore
import Synchronization

/// An aggregator's stream, as the graph of its network sees it: one more sink.
struct AggregateInlet: Sink {
    let ingress: AggregateIngress
    /// What need not be read any more when the run begins.
    let held: Segment?

    /// What it takes is durable in what is made of it, not here.
    var delivery: Delivery { .atLeastOnce }
    var holdsBackToFinality: Bool { false }

    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream { Way(ingress, stream, held) }
    func close() async {}

    private final class Way: SinkStream {
        private let ingress: AggregateIngress
        private let id: StreamID
        private let taken: Mutex<Coverage>

        init(_ ingress: AggregateIngress, _ id: StreamID, _ held: Segment?) {
            self.ingress = ingress
            self.id = id
            taken = Mutex(Coverage(held.map { [$0] } ?? []))
        }

        func coverage() async throws -> [Segment] { taken.withLock { $0.segments } }

        func write(_ batch: Batch) async throws -> Position? {
            try taken.withLock { try $0.append(batch.span, stream: id) }
            try await ingress.send(.batch(batch))
            return nil
        }

        func rollback(to position: Position) async throws {
            _ = taken.withLock { $0.rollback(to: position) }
            try await ingress.send(.rollback(to: position))
        }

        func finalized(_ number: UInt64) async throws { try await ingress.send(.finalized(number)) }
        func flush() async throws -> Position? { nil }
        func finish() async throws -> Position? { nil }
    }
}
