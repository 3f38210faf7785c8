import Synchronization

/// A cache of this process alone, of bounded size: what was not used for longest goes first.
public final class MemoryCache: ComputationCache {
    private struct Entry {
        let bytes: [UInt8]
        let expiry: MonotonicTime
        let cost: Duration
        /// When it was used last, in uses of the cache.
        var used: UInt64
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var bytes = 0
        var uses: UInt64 = 0
        /// How often keys were forgotten: what was computed meanwhile is not kept.
        var removals: UInt64 = 0
        var statistics = CacheStatistics()
        var random: SeededRandom
    }

    private let capacity: Int
    private let eagerness: Double
    private let time: TimeSource
    private let flight = SingleFlight()
    private let state: Mutex<State>

    /// - Parameters:
    ///   - capacity: bytes of all values and keys.
    ///   - eagerness: see `EarlyRefresh`.
    public init(capacity: Int = 16 << 20, eagerness: Double = 1, time: TimeSource = .live, random: SeededRandom = SeededRandom(seed: 0)) {
        self.capacity = capacity
        self.eagerness = eagerness
        self.time = time
        state = Mutex(State(random: random))
    }

    public var statistics: CacheStatistics { state.withLock { $0.statistics } }

    public func value(for key: String, ttl: Duration, compute: @Sendable () async throws -> [UInt8]) async throws -> [UInt8] {
        let now = time.now()
        let found = state.withLock { state -> (bytes: [UInt8], isDue: Bool)? in
            guard let entry = state.entries[key], now < entry.expiry else { return nil }
            state.uses += 1
            state.entries[key]?.used = state.uses
            return (
                entry.bytes, EarlyRefresh.isDue(left: entry.expiry - now, cost: entry.cost, eagerness: eagerness, random: &state.random)
            )
        }
        guard let found, !found.isDue else {
            do {
                return try await flight.run(key, waited: { state.withLock { $0.statistics.waits += 1 } }) {
                    try await computed(key, ttl, isEarly: found != nil, compute)
                }
            } catch  where found != nil && !(error is CancellationError) {
                // It may still be used.
                return found?.bytes ?? []
            }
        }
        state.withLock { $0.statistics.hits += 1 }
        return found.bytes
    }

    public func remove(_ key: String) async {
        state.withLock { state in
            state.removals += 1
            if let entry = state.entries.removeValue(forKey: key) { state.bytes -= entry.bytes.count + key.utf8.count }
        }
    }

    private func computed(
        _ key: String, _ ttl: Duration, isEarly: Bool, _ compute: @Sendable () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        let start = time.now()
        let removals = state.withLock { state in
            if isEarly { state.statistics.early += 1 } else { state.statistics.misses += 1 }
            return state.removals
        }
        do {
            let bytes = try await compute()
            let now = time.now()
            state.withLock { state in
                guard state.removals == removals else { return state.statistics.late += 1 }
                keep(key, bytes, until: now + ttl, cost: now - start, &state)
            }
            return bytes
        } catch {
            state.withLock { $0.statistics.errors += 1 }
            throw error
        }
    }

    private func keep(_ key: String, _ bytes: [UInt8], until expiry: MonotonicTime, cost: Duration, _ state: inout State) {
        let size = bytes.count + key.utf8.count
        if let old = state.entries.removeValue(forKey: key) { state.bytes -= old.bytes.count + key.utf8.count }
        guard size <= capacity else { return state.statistics.dropped += 1 }
        while state.bytes + size > capacity, let oldest = state.entries.min(by: { $0.value.used < $1.value.used }) {
            state.entries[oldest.key] = nil
            state.bytes -= oldest.value.bytes.count + oldest.key.utf8.count
            state.statistics.dropped += 1
        }
        state.uses += 1
        state.entries[key] = Entry(bytes: bytes, expiry: expiry, cost: cost, used: state.uses)
        state.bytes += size
    }
}
