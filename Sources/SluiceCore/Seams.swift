/// Time, injected: monotonic, so that a step of the wall clock changes nothing.
public struct TimeSource: Sendable {
    /// Nanoseconds since some fixed point; never goes back.
    public let now: @Sendable () -> MonotonicTime
    /// Suspends for a duration; throws `CancellationError` when cancelled.
    public let sleep: @Sendable (Duration) async throws -> Void

    public init(now: @escaping @Sendable () -> MonotonicTime, sleep: @escaping @Sendable (Duration) async throws -> Void) {
        self.now = now
        self.sleep = sleep
    }

    /// The machine's own clock.
    public static let live: TimeSource = {
        let start = ContinuousClock.now
        return TimeSource(
            now: { MonotonicTime(sinceStart: ContinuousClock.now - start) }, sleep: { try await Task.sleep(for: $0) })
    }()
}

/// A moment on a monotonic clock.
public struct MonotonicTime: Hashable, Comparable, Sendable {
    /// Since a fixed point of the clock that gave it.
    public let sinceStart: Duration
    public init(sinceStart: Duration) { self.sinceStart = sinceStart }
    public static let zero = MonotonicTime(sinceStart: .zero)
    public static func < (a: Self, b: Self) -> Bool { a.sinceStart < b.sinceStart }
    public static func + (a: Self, b: Duration) -> Self { Self(sinceStart: a.sinceStart + b) }
    public static func - (a: Self, b: Self) -> Duration { a.sinceStart - b.sinceStart }
}

extension Duration {
    /// As seconds.
    public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Randomness, injected: the same seed gives the same numbers (SplitMix64).
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
