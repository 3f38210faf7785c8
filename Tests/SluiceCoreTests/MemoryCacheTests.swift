import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

/// A cache of one process: by a clock of the test's own.
@Suite(.timeLimit(.minutes(1)))
struct MemoryCacheTests {
    private struct Failed: Error {}

    private final class Counter: Sendable {
        private let number = Atomic(0)
        var count: Int { number.load(ordering: .relaxed) }
        func add() { number.add(1, ordering: .relaxed) }
    }

    /// A clock that the test sets.
    private final class Hand: Sendable {
        private let moment = Mutex(MonotonicTime.zero)
        var time: TimeSource { TimeSource(now: { self.moment.withLock { $0 } }, sleep: { _ in await Task.yield() }) }
        func pass(_ duration: Duration) { moment.withLock { $0 = $0 + duration } }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("a value counts for as long as was said, to the moment, and is computed anew then")
    func timeToLive() async throws {
        let hand = Hand()
        let cache = MemoryCache(eagerness: 0, time: hand.time)
        #expect(text(try await cache.value(for: "k", ttl: .seconds(10)) { Array("a".utf8) }) == "a")
        hand.pass(.seconds(10) - .nanoseconds(1))
        #expect(text(try await cache.value(for: "k", ttl: .seconds(10)) { Array("b".utf8) }) == "a")
        hand.pass(.nanoseconds(1))
        #expect(text(try await cache.value(for: "k", ttl: .seconds(10)) { Array("c".utf8) }) == "c")
        await cache.remove("k")
        #expect(text(try await cache.value(for: "k", ttl: .seconds(10)) { Array("d".utf8) }) == "d")
        #expect(cache.statistics.hits == 1 && cache.statistics.misses == 3)
    }

    private static func ask(_ cache: MemoryCache, _ computations: Counter, fails: Bool) async -> String {
        do {
            let value = try await cache.value(for: "k", ttl: .seconds(60)) {
                computations.add()
                // Until all are there.
                while cache.statistics.waits < (fails ? 999 : 1_998) { try await Task.sleep(for: .milliseconds(1)) }
                if fails { throw Failed() }
                return Array("v".utf8)
            }
            return String(decoding: value, as: UTF8.self)
        } catch { return error is Failed ? "failed" : "\(error)" }
    }

    @Test("many callers at once cost one computation, and its error is that of all; it is not kept")
    func oneComputation() async throws {
        let cache = MemoryCache(eagerness: 0)
        let computations = Counter()
        for fails in [true, false] {
            let results = await withTaskGroup(of: String.self) { group in
                for _ in 0..<1_000 { group.addTask { await Self.ask(cache, computations, fails: fails) } }
                return await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(results == [fails ? "failed" : "v"])
        }
        #expect(computations.count == 2)
        #expect(cache.statistics.errors == 1 && cache.statistics.misses == 2)
    }

    @Test("when the one who computes is cancelled, one of those who wait takes over; who waits can be cancelled, too")
    func cancelled() async throws {
        let cache = MemoryCache(eagerness: 0)
        let begun = Counter()
        let first = Task {
            try await cache.value(for: "k", ttl: .seconds(60)) {
                begun.add()
                try await Task.sleep(for: .seconds(600))
                return []
            }
        }
        while begun.count == 0 { await Task.yield() }
        let second = Task { try await cache.value(for: "k", ttl: .seconds(60)) { Array("second".utf8) } }
        let third = Task { try await cache.value(for: "k", ttl: .seconds(60)) { Array("third".utf8) } }
        while cache.statistics.waits < 2 { await Task.yield() }
        third.cancel()
        await #expect(throws: CancellationError.self) { try await third.value }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        #expect(text(try await second.value) == "second")
    }

    /// Whether it had to be computed.
    private func put(_ key: String, _ count: Int, _ cache: MemoryCache) async throws -> Bool {
        let before = cache.statistics.misses
        _ = try await cache.value(for: key, ttl: .seconds(60)) { [UInt8](repeating: 0, count: count) }
        return cache.statistics.misses > before
    }

    @Test("it holds no more bytes than it may: what was not used for longest goes, and what is larger than all is not kept")
    func bounded() async throws {
        let cache = MemoryCache(capacity: 100, eagerness: 0)
        #expect(try await put("a", 49, cache))
        #expect(try await put("b", 49, cache))
        #expect(try await !put("a", 49, cache))
        #expect(try await put("c", 49, cache))
        #expect(try await !put("a", 49, cache))
        #expect(try await put("b", 49, cache))
        #expect(try await put("d", 200, cache))
        #expect(try await put("d", 200, cache))
        #expect(cache.statistics.dropped >= 4)
    }

    @Test("near its end a value is computed early by some; when that fails the old one is still good")
    func early() async throws {
        let hand = Hand()
        let cache = MemoryCache(eagerness: 1_000_000, time: hand.time)
        _ = try await cache.value(for: "k", ttl: .seconds(60)) {
            hand.pass(.seconds(2))
            return [1]
        }
        hand.pass(.seconds(59))
        #expect(try await cache.value(for: "k", ttl: .seconds(60)) { throw Failed() } == [1])
        #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [2] } == [2])
        #expect(cache.statistics.early == 2 && cache.statistics.errors == 1)
        // The share of callers that compute early is that of the formula: e to the power of minus the rest over the cost.
        var random = SeededRandom(seed: 7)
        let count = (0..<20_000).count { _ in
            EarlyRefresh.isDue(left: .seconds(2), cost: .seconds(1), eagerness: 1, random: &random)
        }
        #expect((2_500...2_920).contains(count), "\(count)")
        #expect((0..<1_000).allSatisfy { _ in !EarlyRefresh.isDue(left: .zero, cost: .seconds(1), eagerness: 0, random: &random) })
    }
}
