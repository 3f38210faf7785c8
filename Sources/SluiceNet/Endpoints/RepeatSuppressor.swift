import SluiceCore

/// Lets each reason through once in a while, and counts what it held back.
struct RepeatSuppressor: Sendable {
    private let interval: Duration
    private var last: [String: (at: MonotonicTime, held: Int)] = [:]

    init(interval: Duration = .seconds(10)) { self.interval = interval }

    /// How many were held back since the last one, or nil when this one is to be held back too.
    mutating func admit(_ reason: String, now: MonotonicTime) -> Int? {
        if let seen = last[reason], now - seen.at < interval {
            last[reason] = (seen.at, seen.held + 1)
            return nil
        }
        let held = last[reason]?.held ?? 0
        // Reasons are few by design; should they not be, forgetting them is better than growing.
        if last.count >= 256 { last.removeAll(keepingCapacity: true) }
        last[reason] = (now, 0)
        return held
    }
}
