public import SluiceCore

/// Keeps away from an upstream that fails again and again: closed, open for a while, then one probe at a time.
public struct CircuitBreaker: Sendable {
    public enum State: Sendable, Hashable {
        case closed
        /// Nothing goes before this instant.
        case open(until: MonotonicTime)
        /// The time is over; `probing` tells whether the one request that finds out is under way.
        case halfOpen(probing: Bool)
    }

    public private(set) var state = State.closed
    private let threshold: Int
    private let cooldown: Duration
    private let longestCooldown: Duration
    private var failures = 0
    private var openings = 0

    /// Opens after `threshold` failures in a row, for `cooldown`, doubled each time a probe fails, up to `longestCooldown`.
    public init(threshold: Int = 5, cooldown: Duration = .seconds(2), longestCooldown: Duration = .seconds(60)) {
        self.threshold = threshold
        self.cooldown = cooldown
        self.longestCooldown = longestCooldown
    }

    /// When the next request may go: now or earlier, at an instant, or nil while the probe is under way.
    public mutating func readyAt(_ now: MonotonicTime) -> MonotonicTime? {
        if case .open(let until) = state {
            guard until <= now else { return until }
            state = .halfOpen(probing: false)
        }
        return state == .halfOpen(probing: true) ? nil : now
    }

    /// A request goes out; only after `readyAt` said that it may.
    public mutating func began() {
        if case .halfOpen = state { state = .halfOpen(probing: true) }
    }

    public mutating func succeeded() {
        // Answers to requests from before the opening prove nothing about now, but a success is a success.
        failures = 0
        openings = 0
        state = .closed
    }

    /// Returns true when this failure opened the breaker.
    @discardableResult
    public mutating func failed(now: MonotonicTime) -> Bool {
        switch state {
        case .closed:
            failures += 1
            guard failures >= threshold else { return false }
        case .open: return false
        case .halfOpen: break
        }
        let factor = Double(UInt64(1) << UInt64(min(openings, 20)))
        let wait = min(longestCooldown.seconds, cooldown.seconds * factor)
        openings += 1
        failures = 0
        state = .open(until: now + .seconds(wait))
        return true
    }

    /// The request ended without telling anything about the upstream (cancelled, refused for its rate).
    public mutating func abandoned() {
        if state == .halfOpen(probing: true) { state = .halfOpen(probing: false) }
    }
}
