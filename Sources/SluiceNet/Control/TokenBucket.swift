public import SluiceCore

/// A limit of so many units a second. It fills smoothly, holds a short burst so that late timers lose nothing, and may go
/// into debt: a cost larger than the burst is let through when the bucket is full and paid off afterwards.
public struct TokenBucket: Sendable {
    /// Units a second; nil: no limit.
    public private(set) var rate: Double?
    /// Seconds' worth of units that can be saved up.
    private let burstSeconds: Double
    private let leastBurst: Double
    private var tokens: Double
    private var filledAt: Double
    private var pausedUntil = -Double.infinity

    /// A full bucket. `burst` is how much time's worth it holds, but never less than `leastBurst` units.
    public init(rate: Double?, burst: Duration = .milliseconds(50), leastBurst: Double = 1, now: MonotonicTime) {
        self.rate = rate
        burstSeconds = burst.seconds
        self.leastBurst = leastBurst
        filledAt = now.sinceStart.seconds
        tokens = max(leastBurst, (rate ?? 0) * burstSeconds)
    }

    private var capacity: Double { max(leastBurst, (rate ?? 0) * burstSeconds) }

    /// How long until `cost` may go; zero when it may go now. Takes nothing.
    public mutating func delay(for cost: Double, now: MonotonicTime) -> Duration {
        let at = now.sinceStart.seconds
        fill(at)
        let pause = max(0, pausedUntil - at)
        guard let rate, rate > 0 else { return .seconds(pause) }
        // A hair of tolerance: a wait that was computed must not end one rounding too early and be waited for again.
        let missing = min(cost, capacity) - tokens - 1e-6
        guard missing > 0 else { return .seconds(pause) }
        // The bucket does not fill during a pause.
        return .seconds(pause + missing / rate)
    }

    /// Takes `cost`, into debt if need be: also for what turns out to have cost more than was said.
    public mutating func take(_ cost: Double, now: MonotonicTime) {
        fill(now.sinceStart.seconds)
        if rate != nil { tokens -= cost }
    }

    /// Takes `cost` and returns how long its sender must wait: callers are let through in the order they ask.
    public mutating func reserve(_ cost: Double, now: MonotonicTime) -> Duration {
        let wait = delay(for: cost, now: now)
        take(cost, now: now)
        return wait
    }

    /// Lets nothing through until `instant`; what was saved up is lost, so that no burst follows.
    public mutating func pause(until instant: MonotonicTime, now: MonotonicTime) {
        fill(now.sinceStart.seconds)
        pausedUntil = max(pausedUntil, instant.sinceStart.seconds)
        tokens = min(tokens, 0)
    }

    /// Changes the rate from now on.
    public mutating func setRate(_ rate: Double?, now: MonotonicTime) {
        fill(now.sinceStart.seconds)
        self.rate = rate
        tokens = rate == nil ? capacity : min(tokens, capacity)
    }

    private mutating func fill(_ at: Double) {
        let from = max(filledAt, min(pausedUntil, at))
        if at > from, let rate { tokens = min(capacity, tokens + (at - from) * rate) }
        filledAt = max(filledAt, at)
    }
}
