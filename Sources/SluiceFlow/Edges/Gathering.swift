import SluiceCore

/// Says when a reader that found nothing does well to look again a moment later instead of being woken by the next sender: to wake a
/// task costs more than to pass on a small batch. Where batches come quickly some gather in that moment, and cost one waking together;
/// where they come slowly, as from most networks, the reader suspends at once.
struct Gathering {
    /// How many are to gather at most: by then a timer costs each of them little.
    private static let most = 256
    private static let longest = Duration.milliseconds(1)
    /// Batches come quickly when there is less time than this from one to the next, on average.
    private static let quick = Duration.microseconds(20)

    /// Bytes that may gather: well before the senders find no room.
    private let room: Int
    private var taken = 0
    private var weight = 0
    private var since: MonotonicTime?

    /// - Parameter capacity: bytes that may wait for the reader.
    init(capacity: Int) { room = capacity / 2 }

    /// Notes that some were taken, and their bytes.
    mutating func took(_ count: Int, weight: Int) {
        taken += count
        self.weight += weight
    }

    /// Nothing is there: how long to pause before looking again; nil to suspend. Never twice in a row for nothing.
    mutating func pause(now: MonotonicTime) -> Duration? {
        defer {
            (taken, weight) = (0, 0)
            since = now
        }
        guard let since, taken > 0 else { return nil }
        let interval = (now - since) / taken
        let share = min(Self.most, room / max(1, weight / taken))
        return interval < Self.quick && share > 1 ? min(interval * share, Self.longest) : nil
    }
}
