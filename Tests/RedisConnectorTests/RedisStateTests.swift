import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import RedisConnector

/// Collects lines and members from wherever they come.
private final class Collected: Sendable {
    private let all = Mutex<[String]>([])
    var texts: [String] { all.withLock { $0 } }
    func add(_ text: String) { all.withLock { $0.append(text) } }
}

/// The shared state against a real server.
@Suite(
    .enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisStateTests {
    private let addresses = StateKey(pipeline: "p0", prefix: "account_balance", id: "address")

    private func withServer(_ settings: [String] = [], _ body: (RedisServer) async throws -> Void) async throws {
        try await withFolder { folder in
            let server = try RedisServer(folder: folder, settings: settings)
            try await server.start()
            defer { server.crash() }
            try await body(server)
        }
    }

    /// Quick to give up, and to try again.
    private func options(_ url: String, budget: Duration = .seconds(20), reply: Duration = .seconds(5)) throws -> RedisOptions {
        var options = try RedisOptions(url: url)
        options.replyTimeout = reply
        options.retry = RetryPolicy(base: .milliseconds(5), cap: .milliseconds(50), attempts: .max, budget: budget)
        return options
    }

    private func open(_ server: RedisServer, budget: Duration = .seconds(20), reply: Duration = .seconds(5)) async throws -> RedisState {
        try await RedisState.open(options(server.url, budget: budget, reply: reply))
    }

    @Test("shared state in Redis, by two connections, with crashes of the server", arguments: SharedStateConformance.cases)
    func conforms(_ item: SharedStateConformance.Case) async throws {
        try await withServer { server in
            let subject = SharedStateConformance.Subject(state: try await open(server), other: try await open(server)) {
                server.crash()
                try await server.start()
                return try await open(server)
            }
            #expect(try await item.run(subject) == [])
        }
    }

    @Test("while the server goes away and comes back, calls wait, and nothing that was acknowledged is lost", arguments: [true, false])
    func outage(crashes: Bool) async throws {
        try await withServer { server in
            let acknowledged = Collected()
            let (first, second) = (try await open(server), try await open(server))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (name, state) in [("a", first), ("b", second)] {
                    group.addTask {
                        for number in 0..<120 {
                            try await state.insert(["\(name)\(number)"], into: addresses)
                            acknowledged.add("\(name)\(number)")
                            if number % 10 == 0 { #expect(try await state.snapshot(of: addresses).contains("\(name)\(number)")) }
                        }
                    }
                }
                group.addTask {
                    for _ in 0..<3 {
                        try await Task.sleep(for: .milliseconds(40))
                        if crashes { server.crash() } else { server.stop() }
                        try await Task.sleep(for: .milliseconds(40))
                        try await server.start()
                    }
                }
                try await group.waitForAll()
            }
            let members = Set(try await second.members(of: addresses))
            #expect(acknowledged.texts.count == 240 && members == Set(acknowledged.texts))
            // Each of them counted once, however often it was sent.
            #expect(try await first.version(of: addresses) == 240)
        }
    }

    @Test("a connection that timed out is never used again, and what was sent twice counts once")
    func timeout() async throws {
        try await withServer { server in
            let state = try await open(server, reply: .milliseconds(150))
            try await state.set(["a"], of: addresses)
            server.freeze()
            async let inserted: Void = state.insert(["b"], into: addresses)
            // Long enough for several tries, which the server finds all at once when it goes on.
            try await Task.sleep(for: .milliseconds(700))
            server.thaw()
            try await inserted
            // An answer that came too late would now be taken for that to another question.
            for _ in 0..<5 {
                #expect(try await state.members(of: addresses) == ["a", "b"])
                #expect(try await state.keys(of: "p0") == [addresses])
                #expect(try await state.version(of: addresses) == 2)
            }
        }
    }

    @Test("a server that stays away is an error that says where it should be, and no password")
    func unreachable() async throws {
        try await withServer { server in
            server.stop()
            let url = "redis://me:hush@127.0.0.1:\(server.port)"
            let error = await #expect(throws: SluiceError.self) {
                try await RedisState.open(options(url, budget: .milliseconds(100)))
            }
            #expect(error?.code == .redisUnavailable && error?.class == .retry)
            #expect(error?.message.contains("127.0.0.1:\(server.port)") == true)
            #expect(error.map { "\($0)\($0.debugDescription)".contains("hush") } == false)
        }
    }

    @Test("who goes on without it does not wait for a server that is away, and reads what others wrote when it is back")
    func impatient() async throws {
        try await withServer { server in
            let waits = Collected()
            let time = TimeSource(now: TimeSource.live.now) { duration in
                waits.add("\(duration)")
                try await TimeSource.live.sleep(duration)
            }
            let state = try await RedisState.open(options(server.url), time: time)
            let reader = state.impatient
            try await state.insert(["a"], into: addresses)
            #expect(try await reader.members(of: addresses) == ["a"])
            server.crash()
            for _ in 0..<5 {
                let error = await #expect(throws: SluiceError.self) { try await reader.version(of: addresses) }
                #expect(error?.code == .redisUnavailable && error?.class == .retry)
            }
            // Once more, at once; the patient one would wait and try again for seconds.
            #expect(waits.texts == Array(repeating: "\(Duration.zero)", count: 5))
            try await server.start()
            try await state.insert(["b"], into: addresses)
            #expect(try await reader.members(of: addresses) == ["a", "b"])
            await state.close()
        }
    }

    @Test("waiting for a server ends when the task is cancelled")
    func cancelled() async throws {
        try await withServer { server in
            let state = try await open(server)
            server.stop()
            let task = Task { try await state.insert(["a"], into: addresses) }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("user, password and database are used; wrong ones are the operator's business")
    func credentials() async throws {
        let settings = ["--requirepass", "p:w@1", "--user", "sluice", "on", ">s3/cret", "~sluice:*", "+@all"]
        try await withServer(settings) { server in
            let place = "127.0.0.1:\(server.port)"
            for url in ["redis://:p%3Aw%401@\(place)", "redis://default:p%3Aw%401@\(place)/0", "redis://sluice:s3%2Fcret@\(place)/3"] {
                let state = try await RedisState.open(options(url))
                try await state.insert([url], into: addresses)
            }
            // Databases are worlds of their own.
            #expect(try await RedisState.open(options("redis://sluice:s3%2Fcret@\(place)/3")).members(of: addresses).count == 1)
            #expect(try await RedisState.open(options("redis://sluice:s3%2Fcret@\(place)")).members(of: addresses).count == 2)
            for url in ["redis://\(place)", "redis://:wrong@\(place)", "redis://nobody:wrong@\(place)", "redis://:p%3Aw%401@\(place)/99"] {
                let error = await #expect(throws: SluiceError.self) { _ = try await RedisState.open(options(url)) }
                #expect(
                    error?.code == .redisRefused && error?.class == .config && error?.mend != nil, "\(url): \(String(describing: error))")
                #expect(error.map { "\($0)".contains("wrong") } == false)
            }
        }
    }

    @Test("a server that is full says so, and keeps what it has")
    func full() async throws {
        try await withServer(["--maxmemory", "100kb", "--maxmemory-policy", "noeviction"]) { server in
            let state = try await open(server)
            let error = await #expect(throws: SluiceError.self) { try await state.insert(["a"], into: addresses) }
            #expect(error?.code == .redisStuck && error?.class == .pause && error?.mend?.contains("maxmemory") == true)
            #expect(try await state.members(of: addresses) == [])
        }
    }

    @Test("what stands under our keys and is not ours is refused")
    func foreign() async throws {
        try await withServer { server in
            let raw = try RedisConnection(options(server.url))
            _ = try raw.run(RedisCommand("SET", "sluice:state:members:p0:account_balance:address", "x"))
            let state = try await open(server)
            for body in [{ try await state.insert(["a"], into: addresses) }, { _ = try await state.members(of: addresses) }] {
                let error = await #expect(throws: SluiceError.self) { try await body() }
                #expect(error?.class == .pause, "\(String(describing: error))")
            }
            _ = try raw.run(RedisCommand([Array("SADD".utf8), Array("sluice:state:members:p0:q:r".utf8), [0xFF, 0xFE]]))
            let other = StateKey(pipeline: "p0", prefix: "q", id: "r")
            let error = await #expect(throws: SluiceError.self) { _ = try await state.members(of: other) }
            #expect(error?.code == .redisStuck)
        }
    }

    @Test("all keys have the namespace, and nothing but tokens is left when all is deleted")
    func layout() async throws {
        try await withServer { server in
            let state = try await open(server)
            try await state.insert(["s"], into: addresses, under: "a:b")
            let raw = try RedisConnection(options(server.url))
            func keys() throws -> [String] {
                guard case .array(let names) = try raw.run(RedisCommand("KEYS", "*")) else { return [] }
                return names.compactMap { if case .bytes(let name) = $0 { String(decoding: name, as: UTF8.self) } else { nil } }
                    .filter { !$0.hasPrefix("sluice:state:done:") }.sorted()
            }
            #expect(
                try keys() == [
                    "sluice:state:clock", "sluice:state:items:p0:account_balance:address:a:b", "sluice:state:keys:p0",
                    "sluice:state:members:p0:account_balance:address", "sluice:state:versions",
                ])
            try await state.delete(pipeline: "p0")
            #expect(try keys() == ["sluice:state:clock", "sluice:state:removed"])
        }
    }

    @Test("a server that may lose what it acknowledged is warned of, once")
    func settings() async throws {
        try await withServer(["--appendonly", "no"]) { server in
            let lines = Collected()
            let log = Log(level: .info, clock: { 0 }, sink: { lines.add($0) })
            let state = try await RedisState.open(options(server.url), log: log)
            server.stop()
            try await server.start()
            try await state.insert(["a"], into: addresses)
            #expect(lines.texts.filter { $0.contains("append-only") }.count == 1)
            #expect(lines.texts.contains { $0.contains("trying again") })
        }
        try await withServer { server in
            let lines = Collected()
            let log = Log(level: .info, clock: { 0 }, sink: { lines.add($0) })
            _ = try await RedisState.open(options(server.url), log: log)
            #expect(lines.texts == [])
        }
    }

    @Test("after closing nothing is done any more")
    func closed() async throws {
        try await withServer { server in
            let state = try await open(server)
            await state.close()
            await state.close()
            await #expect(throws: SluiceError.self) { try await state.insert(["a"], into: addresses) }
            #expect(try await open(server).members(of: addresses) == [])
        }
    }
}
