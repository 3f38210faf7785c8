import SluiceCore

/// Says when a reader that found nothing does well to look again a moment later instead of being woken by the next sender: to wake a
/// task costs more than to pass on a small batch. Where batches come quickly some gather in that moment, and cost one waking together;
/// where they come slowly, as from most networks, the reader suspends at once.
struct Gathering {
    /// How long that moment is.
    static let pause = Duration.microseconds(50)
    /// Batches come quickly when there is less time than this from one to the next, on average.
    private static let quick = Duration.microseconds(20)

    private var taken = 0
    private var since: MonotonicTime?

    /// Notes that something was taken.
    mutating func took() { taken += 1 }

    /// Nothing is there: whether to pause, and look again. Never twice in a row for nothing.
    mutating func pauses(now: MonotonicTime) -> Bool {
        defer {
            taken = 0
            since = now
        }
        guard let since, taken > 0 else { return false }
        return now - since < Self.quick * taken
    }
}
