public import SluiceCore

/// How many requests may be under way at once: doubles each round of successes until the first sign of congestion, then
/// grows by one a round and shrinks by a factor.
public struct AdaptiveLimit: Sendable {
    public let minimum: Int
    public let maximum: Int
    private var window: Double
    private var slowStart = true
    private var shrunkAt = -Double.infinity
    private var latency: Double?
    private var floor = Double.infinity
    private var nextFloor = Double.infinity
    private var floorSince = -Double.infinity

    public init(initial: Int = 64, minimum: Int = 1, maximum: Int) {
        let maximum = max(1, maximum)
        self.minimum = max(1, min(minimum, maximum))
        self.maximum = maximum
        window = Double(min(maximum, max(self.minimum, initial)))
    }

    /// Requests that may be under way.
    public var current: Int { Int(window) }
    /// True until the first sign of congestion.
    public var isInSlowStart: Bool { slowStart }
    /// Moving average of the latencies, in seconds; nil before the first.
    public var averageLatency: Double? { latency }

    /// A request succeeded. `inFlight`: how many were under way with it; a window that is not used does not grow.
    public mutating func succeeded(latency sample: Duration, inFlight: Int, sentAt: MonotonicTime, now: MonotonicTime) {
        let seconds = sample.seconds
        let average = latency.map { $0 * 0.9 + seconds * 0.1 } ?? seconds
        latency = average
        track(floor: seconds, at: now.sinceStart.seconds)
        if average > floor * 6 + 0.2 {
            // Far above the floor: what is sent more now only waits longer.
            congested(sentAt: sentAt, now: now)
            return
        }
        // In slow start the window may have doubled since the request was sent.
        guard Double(inFlight) >= window * (slowStart ? 0.5 : 0.75) - 1 else { return }
        // One more for each success doubles the window in a round of successes.
        window = min(Double(maximum), window + (slowStart ? 1 : 1 / window))
    }

    /// A 429, a timeout, or latency far above the floor, for a request sent at `sentAt`. Requests sent before the last cut
    /// say nothing new.
    public mutating func congested(sentAt: MonotonicTime, now: MonotonicTime) {
        guard sentAt.sinceStart.seconds > shrunkAt else { return }
        slowStart = false
        shrunkAt = now.sinceStart.seconds
        window = max(Double(minimum), window * 0.7)
    }

    /// The floor is the least latency of the last 10 to 20 seconds: an upstream that became slower for good is no congestion.
    private mutating func track(floor seconds: Double, at: Double) {
        if at - floorSince > 10 {
            floor = min(nextFloor, seconds)
            nextFloor = .infinity
            floorSince = at
        }
        nextFloor = min(nextFloor, seconds)
        floor = min(floor, seconds)
    }
}
