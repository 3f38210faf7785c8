public import SluiceCore

/// One stream's way into an aggregator. It suspends the sender while the stream is too far ahead of the others.
public final class AggregateIngress: Egress {
    private let stream: Int
    private let inbox: AggregateInbox

    init(stream: Int, inbox: AggregateInbox) {
        self.stream = stream
        self.inbox = inbox
    }

    public func send(_ transit: Transit) async throws {
        if let arrival = try inbox.sendNow(transit, of: stream) { try await inbox.send(arrival) }
    }

    /// Nothing more will come. What the other streams still lack of this one will never be there.
    public func finish() async throws { inbox.finish(stream) }
}
