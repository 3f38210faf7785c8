import Foundation
import Glibc
import RedisConnector
import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

@testable import RedisConnector

/// The cache against a real server.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisCacheTests {
    private struct Failed: Error {}

    private final class Counter: Sendable {
        private let number = Atomic(0)
        var count: Int { number.load(ordering: .relaxed) }
        func add() { number.add(1, ordering: .relaxed) }
    }

    private func cache(_ server: RedisServer, _ options: RedisCacheOptions = RedisCacheOptions(eagerness: 0)) throws -> RedisCache {
        var place = try RedisOptions(url: server.url)
        // A machine that is busy with other tests is no reason to do without the server.
        place.connectTimeout = .seconds(60)
        place.replyTimeout = .seconds(60)
        return RedisCache(place, options)
    }

    private static func ask(_ caches: [RedisCache], _ own: Int, _ computations: Counter) async -> [UInt8] {
        let value = try? await caches[own].value(for: "prices:{x}", ttl: .seconds(60)) {
            computations.add()
            // Until all are there: 499 wait for each of two, and one of the two waits for the other.
            while caches[0].statistics.waits + caches[1].statistics.waits < 999 { try await Task.sleep(for: .milliseconds(1)) }
            return [7]
        }
        return value ?? []
    }

    @Test("1,000 callers of two processes cost one computation")
    func oneComputation() async throws {
        try await withRedis { server, reader in
            // Two objects share nothing but the server, as two processes do.
            let caches = [try cache(server), try cache(server)]
            let computations = Counter()
            let results = await withTaskGroup(of: [UInt8].self) { group in
                for caller in 0..<1_000 { group.addTask { await Self.ask(caches, caller % 2, computations) } }
                return await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(results == [[7]])
            #expect(computations.count == 1)
            let (a, b) = (caches[0].statistics, caches[1].statistics)
            #expect(a.misses + b.misses == 1 && a.hits + b.hits == 1 && a.waits + b.waits == 999)
            #expect((50_000...60_000).contains(try reader.json("PTTL", "sluice:cache:v:prices:{x}") as? Int ?? 0))
            #expect(try reader.json("EXISTS", "sluice:cache:l:prices:{x}") as? Int == 0)
            for cache in caches { await cache.close() }
        }
    }

    @Test("errors go to all who wait, in all processes nothing is kept of them, and the next one computes")
    func errors() async throws {
        try await withRedis { server, reader in
            let (a, b) = (try cache(server), try cache(server))
            await #expect(throws: Failed.self) { try await a.value(for: "k", ttl: .seconds(60)) { throw Failed() } }
            #expect(try reader.json("KEYS", "*") as? [String] == [])
            #expect(try await b.value(for: "k", ttl: .seconds(60)) { [1, 0, 255] } == [1, 0, 255])
            #expect(try await a.value(for: "k", ttl: .seconds(60)) { throw Failed() } == [1, 0, 255])
            await a.remove("k")
            #expect(try await b.value(for: "k", ttl: .milliseconds(40)) { [2] } == [2])
            while try reader.json("EXISTS", "sluice:cache:v:k") as? Int == 1 {}
            #expect(try await b.value(for: "k", ttl: .seconds(60)) { [3] } == [3])
            #expect(a.statistics.errors == 1 && a.statistics.hits == 1 && b.statistics.misses == 3)
            await a.close()
            await b.close()
        }
    }

    @Test("a process that is killed while it computes holds others up for no longer than its lock")
    func killed() async throws {
        try await withRedis { server, reader in
            let url = server.url
            await #expect(processExitsWith: .signal(SIGKILL)) { [url = url as String] in
                let cache = RedisCache(try RedisOptions(url: url), RedisCacheOptions(lockTime: .seconds(60)))
                _ = try await cache.value(for: "k", ttl: .seconds(60)) {
                    kill(getpid(), SIGKILL)
                    return []
                }
            }
            #expect((1...60_000).contains(try reader.json("PTTL", "sluice:cache:l:k") as? Int ?? 0))
            // Not to wait for all of it.
            _ = try reader.json("PEXPIRE", "sluice:cache:l:k", "900")
            let cache = try cache(server, RedisCacheOptions(waitLimit: .seconds(50)))
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [9] } == [9])
            #expect(cache.statistics.impatient == 0 && cache.statistics.misses == 1)
            await cache.close()
        }
    }

    @Test("a lock is renewed for as long as it is computed; a value that comes too late takes no newer one's place")
    func fenced() async throws {
        try await withRedis { server, reader in
            // It sleeps for a moment only, however long it should.
            let hasty = TimeSource(now: TimeSource.live.now) { _ in try await Task.sleep(for: .milliseconds(2)) }
            let a = RedisCache(try RedisOptions(url: server.url), RedisCacheOptions(lockTime: .seconds(60)), time: hasty)
            let b = try cache(server)
            let value = try await a.value(for: "k", ttl: .seconds(60)) {
                _ = try reader.json("PEXPIRE", "sluice:cache:l:k", "20000")
                while try reader.json("PTTL", "sluice:cache:l:k") as? Int ?? 0 < 30_000 {}
                // It is taken away, and another one is quicker.
                await b.remove("k")
                #expect(try await b.value(for: "k", ttl: .seconds(60)) { [2] } == [2])
                return [1]
            }
            #expect(value == [1])
            #expect(a.statistics.late == 1)
            #expect(try await b.value(for: "k", ttl: .seconds(60)) { [3] } == [2])
            await a.close()
            await b.close()
        }
    }

    @Test("who waited for long enough computes itself")
    func impatient() async throws {
        try await withRedis { server, reader in
            _ = try reader.json("SET", "sluice:cache:l:k", "somebody")
            let cache = try cache(server, RedisCacheOptions(waitLimit: .milliseconds(60)))
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [5] } == [5])
            #expect(cache.statistics.impatient == 1 && cache.statistics.waits == 1)
            // It was not its to keep.
            #expect(try reader.json("EXISTS", "sluice:cache:v:k") as? Int == 0)
            await cache.close()
        }
    }

    @Test("a server that is away, hangs, or has something else there costs a computation, and no more; it is used again when it is back")
    func away() async throws {
        try await withRedis { server, reader in
            var place = try RedisOptions(url: server.url)
            place.replyTimeout = .milliseconds(100)
            let cache = RedisCache(place, RedisCacheOptions(pauseWhenAway: .zero, eagerness: 0))
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [1] } == [1])
            server.freeze()
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [2] } == [2])
            server.thaw()
            server.crash()
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [3] } == [3])
            await #expect(throws: Failed.self) { try await cache.value(for: "k", ttl: .seconds(60)) { throw Failed() } }
            #expect(cache.statistics.away == 3 && cache.statistics.errors == 1)
            try await server.start()
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [4] } == [1], "\(cache.statistics)")
            _ = try reader.json("DEL", "sluice:cache:v:k")
            _ = try reader.json("LPUSH", "sluice:cache:v:k", "x")
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [5] } == [5])
            _ = try reader.json("DEL", "sluice:cache:v:k")
            _ = try reader.json("SET", "sluice:cache:v:k", "not ours")
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [6] } == [6])
            #expect(cache.statistics.away == 5)
            await cache.close()
            #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [7] } == [7])
        }
    }

    @Test("a value that is too large is not kept, and holds nobody up; one that is due early is computed by one of all")
    func largeAndEarly() async throws {
        try await withRedis { server, reader in
            let small = try cache(server, RedisCacheOptions(maxBytes: 10))
            #expect(try await small.value(for: "k", ttl: .seconds(60)) { [UInt8](repeating: 1, count: 11) }.count == 11)
            #expect(try reader.json("KEYS", "*") as? [String] == [])
            #expect(small.statistics.dropped == 1)
            await small.close()
            // It took an hour, and has a minute left.
            _ = try reader.json("SET", "sluice:cache:v:k", "3600000 old", "PX", "60000")
            let eager = try cache(server, RedisCacheOptions(eagerness: 1_000))
            #expect(try await eager.value(for: "k", ttl: .seconds(60)) { throw Failed() } == Array("old".utf8))
            #expect(try await eager.value(for: "k", ttl: .seconds(60)) { Array("new".utf8) } == Array("new".utf8))
            #expect(eager.statistics.early == 2)
            // While somebody else computes it early the old one is good enough.
            _ = try reader.json("SET", "sluice:cache:v:k", "3600000 old", "PX", "60000")
            _ = try reader.json("SET", "sluice:cache:l:k", "somebody")
            #expect(try await eager.value(for: "k", ttl: .seconds(60)) { throw Failed() } == Array("old".utf8))
            await eager.close()
        }
    }

    @Test("how values are kept, and how long one waits, are as they are written")
    func pure() {
        #expect(RedisCachedValue(cost: 12, bytes: [32, 0]).text == Array("12 ".utf8) + [32, 0])
        #expect(RedisCachedValue(Array("12  x".utf8)) == RedisCachedValue(cost: 12, bytes: Array(" x".utf8)))
        for wrong in ["", "12", "x 1", "-1 x", "99999999999999999999 x"] { #expect(RedisCachedValue(Array(wrong.utf8)) == nil) }
        var wait = RedisCacheWait(limit: .milliseconds(400))
        var slept: [Duration] = []
        while let pause = wait.sleep() { slept.append(pause) }
        #expect(slept == [5, 10, 20, 40, 80, 160, 85].map { .milliseconds($0) })
    }
}
