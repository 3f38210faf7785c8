import Glibc

/// Remembers what is expensive to compute, for as long as the caller says, and lets many who ask for the same wait for one computation.
public protocol ComputationCache: Sendable {
    /// The value of a key that was computed less than `ttl` ago, or else what `compute` returns now.
    ///
    /// Whoever asks while it is being computed gets what comes of that, its error too. Errors are not kept.
    /// - Throws: what `compute` throws. A cache that cannot be reached is no error: then it is computed.
    func value(for key: String, ttl: Duration, compute: @Sendable () async throws -> [UInt8]) async throws -> [UInt8]
    /// Forgets a key: what is being computed meanwhile is not kept either.
    func remove(_ key: String) async
    /// What happened so far.
    var statistics: CacheStatistics { get }
}

/// What happened in a cache. Counts since it was made.
public struct CacheStatistics: Sendable, Hashable {
    /// Calls that found a value.
    public var hits = 0
    /// Calls that found none, and computed.
    public var misses = 0
    /// Calls that waited for somebody else's computation, in this process or another.
    public var waits = 0
    /// Computations that were begun before their value was out of date, so that nobody has to wait for it.
    public var early = 0
    /// Computations that threw.
    public var errors = 0
    /// Calls that computed because the cache could not be reached.
    public var away = 0
    /// Calls that waited for as long as they may and then computed themselves.
    public var impatient = 0
    /// Values that came too late: another was there, or somebody else computes it by now.
    public var late = 0
    /// Values that were too large to be kept, or had to go for others.
    public var dropped = 0

    public init() {}
}

/// When a value is computed anew before it is out of date: the nearer its end and the more it costs, the likelier. So it is mostly one
/// that asks who computes, long before all of them would.
public enum EarlyRefresh {
    /// - Parameters:
    ///   - left: how long the value may still be used.
    ///   - cost: how long its computation took.
    ///   - eagerness: 0 never; 1 so that about one caller computes in time where calls come often.
    public static func isDue(left: Duration, cost: Duration, eagerness: Double, random: inout SeededRandom) -> Bool {
        guard eagerness > 0, cost > .zero else { return false }
        // In (0, 1]: an exponential distribution of mean 1.
        let chance = Double((random.next() >> 11) + 1) / Double(1 << 53 as UInt64)
        return left.seconds <= cost.seconds * eagerness * -log(chance)
    }
}
