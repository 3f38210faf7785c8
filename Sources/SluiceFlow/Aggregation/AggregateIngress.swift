public import SluiceCore
import Synchronization

/// One stream's way into an aggregator. It suspends the sender while the stream is too far ahead of the others.
public final class AggregateIngress: Egress {
    struct Arrival: Sendable {
        enum Content: Sendable {
            case transit(Transit)
            case end
        }

        /// The order among all streams.
        let stamp: UInt64
        let content: Content
    }

    private struct Order {
        /// Of what was sent and not received yet.
        var stamps = Ring<UInt64>()
        /// Set once nothing more will be sent; nil again when that was received.
        var end: UInt64?
    }

    private let edge: Edge
    private let order = Mutex(Order())
    private let bell: Doorbell

    init(capacity: Int, bell: Doorbell) {
        edge = Edge(capacity: capacity)
        self.bell = bell
    }

    public func send(_ transit: Transit) async throws {
        order.withLock { $0.stamps.append(bell.stamp()) }
        do { try await edge.send(transit) } catch {
            // There is one sender: what was refused came last.
            order.withLock { order in if !order.stamps.isEmpty { order.stamps.removeLast() } }
            throw error
        }
        bell.ring()
    }

    /// Nothing more will come. What the other streams still lack of this one will never be there.
    public func finish() async throws {
        order.withLock { $0.end = bell.stamp() }
        bell.ring()
    }

    func receiveNow() -> Arrival? {
        if let transit = edge.receiveNow() {
            return Arrival(stamp: order.withLock { $0.stamps.isEmpty ? 0 : $0.stamps.removeFirst() }, content: .transit(transit))
        }
        return order.withLock { order in
            guard order.stamps.isEmpty, let end = order.end else { return nil }
            order.end = nil
            return Arrival(stamp: end, content: .end)
        }
    }

    func fail(_ error: any Error) { edge.fail(error) }
}
