public import SluiceCore

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

    private let channel: BoundedChannel<Arrival>
    private let bell: Doorbell

    init(capacity: Int, bell: Doorbell) {
        channel = BoundedChannel(capacity: capacity) { arrival in
            if case .transit(let transit) = arrival.content { return PipelineRunner.weigh(transit) }
            return 1
        }
        self.bell = bell
    }

    public func send(_ transit: Transit) async throws { try await put(.transit(transit)) }

    /// Nothing more will come. What the other streams still lack of this one will never be there.
    public func finish() async throws { try await put(.end) }

    func receiveNow() -> Arrival? { channel.receiveNow() }

    func fail(_ error: any Error) { channel.fail(error) }

    private func put(_ content: Arrival.Content) async throws {
        try await channel.send(Arrival(stamp: bell.stamp(), content: content))
        bell.ring()
    }
}
