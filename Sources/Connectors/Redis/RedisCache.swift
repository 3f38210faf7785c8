public import SluiceCore
public import SluiceTelemetry
import Synchronization

/// How a cache in Redis behaves.
public struct RedisCacheOptions: Sendable, Hashable {
    /// What keys begin with.
    public var prefix: String
    /// How long the lock of a process that computes holds after its last sign of life. Then another one takes over.
    public var lockTime: Duration
    /// How long one waits for another process before it computes itself.
    public var waitLimit: Duration
    /// Larger values are not kept.
    public var maxBytes: Int
    /// How long the server is let alone after it could not be reached.
    public var pauseWhenAway: Duration
    /// See `EarlyRefresh`.
    public var eagerness: Double

    public init(
        prefix: String = "sluice:cache:", lockTime: Duration = .seconds(5), waitLimit: Duration = .seconds(30), maxBytes: Int = 1 << 20,
        pauseWhenAway: Duration = .seconds(1), eagerness: Double = 1
    ) {
        self.prefix = prefix
        self.lockTime = lockTime
        self.waitLimit = waitLimit
        self.maxBytes = maxBytes
        self.pauseWhenAway = pauseWhenAway
        self.eagerness = eagerness
    }
}

/// A cache that processes share. One of all callers of all processes computes; the others wait for what comes of it.
///
/// Who computes holds a lock that ends by itself, and renews it: when the process dies, another takes over. What a process computed whose lock
/// was lost meanwhile is not kept, so that it never takes a newer value's place. While the server cannot be reached, each process
/// computes for itself.
public final class RedisCache: ComputationCache {
    private struct State {
        var statistics = CacheStatistics()
        var random: SeededRandom
        /// Until then the server is let alone.
        var awayUntil: MonotonicTime?
        var tokens: UInt64 = 0
    }

    private let options: RedisCacheOptions
    private let link: RedisLink
    private let time: TimeSource
    private let log: Log
    private let flight = SingleFlight()
    private let state: Mutex<State>
    /// By the system's randomness: no two processes may have the same.
    private let origin = String(UInt128.random(in: 0 ... .max), radix: 36)

    /// Connects to nothing yet.
    public init(
        _ server: RedisOptions, _ options: RedisCacheOptions = RedisCacheOptions(), time: TimeSource = .live,
        random: SeededRandom = SeededRandom(seed: .random(in: 0 ... .max)), log: Log = .disabled
    ) {
        self.options = options
        self.time = time
        self.log = log
        link = RedisLink(server, log: .disabled)
        state = Mutex(State(random: random))
    }

    public var statistics: CacheStatistics { state.withLock { $0.statistics } }

    /// Lets the connection go; after that everything is computed.
    public func close() async { await link.close() }

    public func value(for key: String, ttl: Duration, compute: @Sendable () async throws -> [UInt8]) async throws -> [UInt8] {
        try await flight.run(key, waited: { count(\.waits) }) { try await shared(key, ttl, compute) }
    }

    public func remove(_ key: String) async {
        _ = await ask(RedisCommand([bytes("DEL"), valueKey(key), lockKey(key)]))
    }

    // MARK: - One call of this process

    private func shared(_ key: String, _ ttl: Duration, _ compute: @Sendable () async throws -> [UInt8]) async throws -> [UInt8] {
        let token = bytes(
            origin + "-"
                + String(
                    state.withLock { state in
                        state.tokens += 1
                        return state.tokens
                    }))
        var wait = RedisCacheWait(limit: options.waitLimit)
        var hasWaited = false
        while true {
            switch await look(key, token, "look") {
            case .hit(let found, let left):
                let cost = Duration.milliseconds(Int64(clamping: found.cost))
                let isDue = state.withLock {
                    EarlyRefresh.isDue(left: left, cost: cost, eagerness: options.eagerness, random: &$0.random)
                }
                if isDue, case .yours = await look(key, token, "early") {
                    count(\.early)
                    // What is there may still be used, should it fail.
                    do { return try await computed(key, token, ttl, compute) } catch {
                        if Task.isCancelled { throw error }
                        return found.bytes
                    }
                }
                count(\.hits)
                return found.bytes
            case .yours:
                count(\.misses)
                return try await computed(key, token, ttl, compute)
            case .wait:
                if !hasWaited { count(\.waits) }
                hasWaited = true
                guard let pause = wait.sleep() else {
                    count(\.impatient)
                    return try await alone(compute)
                }
                try await time.sleep(pause)
            case .away:
                count(\.away)
                return try await alone(compute)
            }
        }
    }

    private func alone(_ compute: @Sendable () async throws -> [UInt8]) async throws -> [UInt8] {
        do { return try await compute() } catch {
            count(\.errors)
            throw error
        }
    }

    /// Computes while the lock is renewed, and keeps what comes of it.
    private func computed(
        _ key: String, _ token: [UInt8], _ ttl: Duration, _ compute: @Sendable () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        let start = time.now()
        let lock = lockKey(key)
        do {
            let value = try await withoutActuallyEscaping(compute) { compute in
                try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
                    group.addTask { try await compute() }
                    group.addTask {
                        while true {
                            try await self.time.sleep(self.options.lockTime / 3)
                            await self.hold(lock, token, for: self.options.lockTime)
                        }
                    }
                    defer { group.cancelAll() }
                    return try await group.next() ?? nil
                }
            }
            await store(key, token, value ?? [], ttl, cost: time.now() - start)
            return value ?? []
        } catch {
            count(\.errors)
            await hold(lock, token, for: .zero)
            throw error
        }
    }

    private func store(_ key: String, _ token: [UInt8], _ value: [UInt8], _ ttl: Duration, cost: Duration) async {
        let milliseconds = Self.milliseconds(ttl)
        guard value.count <= options.maxBytes, milliseconds > 0 else {
            count(\.dropped)
            return await hold(lockKey(key), token, for: .zero)
        }
        let kept = RedisCachedValue(cost: UInt64(clamping: Self.milliseconds(cost)), bytes: value)
        let reply = await ask(
            .script(RedisCacheScripts.store, [valueKey(key), lockKey(key), token, kept.text, bytes("\(milliseconds)")]))
        if reply == .integer(0) { count(\.late) }
    }

    private func hold(_ lock: [UInt8], _ token: [UInt8], for duration: Duration) async {
        _ = await ask(.script(RedisCacheScripts.hold, [lock, token, bytes("\(Self.milliseconds(duration))")]))
    }

    // MARK: - The server

    private enum Found {
        case hit(RedisCachedValue, left: Duration)
        case yours, wait, away
    }

    private func look(_ key: String, _ token: [UInt8], _ how: String) async -> Found {
        let lockTime = bytes("\(max(1, Self.milliseconds(options.lockTime)))")
        let reply = await ask(.script(RedisCacheScripts.look, [valueKey(key), lockKey(key), token, lockTime, bytes(how)]))
        guard case .array(let parts) = reply, let first = parts.first else { return .away }
        switch first {
        case .bytes(bytes("yours")): return .yours
        case .bytes(bytes("wait")): return .wait
        default: break
        }
        guard parts.count == 3, case .bytes(let text) = parts[1], case .integer(let left) = parts[2], let value = RedisCachedValue(text)
        else { return .away }
        return .hit(value, left: .milliseconds(left))
    }

    /// Nil when the server cannot be reached, or refuses; then it is let alone for a while.
    private func ask(_ command: RedisCommand) async -> RedisReply? {
        let now = time.now()
        if state.withLock({ $0.awayUntil.map { now < $0 } ?? false }) { return nil }
        do {
            let reply = try await link.run(command)
            state.withLock { $0.awayUntil = nil }
            return reply
        } catch {
            let isNew = state.withLock { state in
                defer { state.awayUntil = time.now() + options.pauseWhenAway }
                return state.awayUntil == nil
            }
            if isNew { log.warning("the cache cannot be reached: everything is computed meanwhile", ["error": "\(error)"]) }
            return nil
        }
    }

    private func valueKey(_ key: String) -> [UInt8] { bytes(options.prefix + "v:" + key) }
    private func lockKey(_ key: String) -> [UInt8] { bytes(options.prefix + "l:" + key) }

    private func count(_ path: any WritableKeyPath<CacheStatistics, Int> & Sendable) {
        state.withLock { $0.statistics[keyPath: path] += 1 }
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, rest) = duration.components
        return seconds * 1000 + rest / 1_000_000_000_000_000
    }
}
