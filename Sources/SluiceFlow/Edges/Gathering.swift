import SluiceCore

/// Says when a reader that found nothing does well to look again a moment later instead of being woken by the next sender: to wake a
/// task costs more than to pass on a small batch. Where batches come quickly some gather in that moment, and cost one waking together;
/// where they come slowly, as from most networks, the reader suspends at once.
struct Gathering {
    /// How many are to gather. Enough that a timer costs each of them little, few enough that a sender rarely finds the edge full.
    private static let share = 128
    private static let longest = Duration.milliseconds(1)
    /// Batches come quickly when there is less time than this from one to the next, on average.
    private static let quick = Duration.microseconds(20)

    private var taken = 0
    private var since: MonotonicTime?

    /// Notes that some were taken.
    mutating func took(_ count: Int = 1) { taken += count }

    /// Nothing is there: how long to pause before looking again; nil to suspend. Never twice in a row for nothing.
    mutating func pause(now: MonotonicTime) -> Duration? {
        defer {
            taken = 0
            since = now
        }
        guard let since, taken > 0 else { return nil }
        let interval = (now - since) / taken
        return interval < Self.quick ? min(interval * Self.share, Self.longest) : nil
    }
}
