/// What came of streams that are not let in, each stream in its order.
struct HeldArrivals: Sendable {
    /// What must be known of one that is first in its stream: asked for often, and copied for nothing.
    struct Mark {
        /// The order among all streams.
        let stamp: UInt64
        let isBatch: Bool
    }

    private var marks: [RingQueue<Mark>]
    private var arrivals: [RingQueue<AggregateInbox.Arrival>]
    private var stamps: UInt64 = 0
    /// How many of all streams.
    private(set) var count = 0

    init(streams: Int) {
        marks = (0..<streams).map { _ in RingQueue() }
        arrivals = (0..<streams).map { _ in RingQueue() }
    }

    /// Whether nothing of a stream is held.
    func isEmpty(_ stream: Int) -> Bool { marks[stream].isEmpty }

    func first(_ stream: Int) -> Mark? { marks[stream].first }

    /// Holds what came behind all that is held.
    mutating func hold(_ arrival: AggregateInbox.Arrival) {
        stamps += 1
        marks[arrival.stream].append(Mark(stamp: stamps, isBatch: arrival.isBatch))
        arrivals[arrival.stream].append(arrival)
        count += 1
    }

    /// Lets go of the first of a stream.
    mutating func popFirst(_ stream: Int) -> AggregateInbox.Arrival? {
        guard marks[stream].popFirst() != nil else { return nil }
        count -= 1
        return arrivals[stream].popFirst()
    }
}
