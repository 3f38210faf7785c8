import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import SluiceNet

@Suite(.timeLimit(.minutes(1))) struct EndpointPoolTests {
    private let clock = ManualClock()
    private let lines = Lines()

    final class Lines: Sendable {
        let all = Mutex<[String]>([])
        var log: Log { Log(level: .debug, clock: { 0 }, sink: { line in self.all.withLock { $0.append(line) } }) }
    }

    private func pool(
        _ count: Int, policy: RetryPolicy = RetryPolicy(), requireVerification: Bool = false, maxInFlight: Int = 8, rate: Double? = nil
    ) -> EndpointPool {
        let endpoints = (0..<count).map {
            EndpointConfiguration(url: "http://host\($0)/secret-key", requestsPerSecond: rate, maxInFlight: maxInFlight)
        }
        return EndpointPool(
            endpoints, policy: policy, requireVerification: requireVerification, log: lines.log, time: clock.timeSource,
            random: SeededRandom(seed: 1))
    }

    /// Runs something that sleeps on the manual clock, moving the clock whenever it does.
    private func drive<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        let clock = clock
        let driver = Task {
            while !Task.isCancelled {
                if let next = clock.nextDeadline { clock.advance(by: max(.zero, next - clock.now)) }
                await Task.yield()
            }
        }
        defer { driver.cancel() }
        return try await task.value
    }

    @Test("a failure goes to the next endpoint at once, and is logged once without the key")
    func failover() async throws {
        let pool = pool(2)
        for _ in 0..<3 {
            let used = try await pool.withEndpoint(Demand()) { lease in
                if lease.endpoint == EndpointID(0) { throw HTTPFailure(.connect, "refused") }
                return lease.endpoint
            }
            #expect(used == EndpointID(1))
        }
        #expect(clock.now == .zero)
        let logged = lines.all.withLock { $0 }
        #expect(logged.count == 1)
        #expect(logged[0].contains("endpoint=http://host0/***") && logged[0].contains("reason=connect") && !logged[0].contains("secret"))
        #expect(pool.snapshots[0].failures == ["connect": 3])
    }

    @Test("after five failures in a row an endpoint is left alone, then one probe brings it back")
    func breaker() async throws {
        let pool = pool(2)
        let asked = Mutex(0)
        @Sendable func ask(failing: Bool) async throws {
            try await pool.withEndpoint(Demand()) { lease in
                guard lease.endpoint == EndpointID(0) else { return }
                asked.withLock { $0 += 1 }
                if failing { throw HTTPStatusError(status: 502) }
            }
        }
        for _ in 0..<20 { try await ask(failing: true) }
        #expect(asked.withLock { $0 } == 5)
        #expect(pool.snapshots[0].state == "open")
        clock.advance(by: .seconds(2))
        try await ask(failing: false)
        #expect(asked.withLock { $0 } == 6)
        #expect(pool.snapshots[0].state == "verified")
    }

    @Test("when every endpoint fails the error lists each with its last failure, and no key")
    func exhausted() async throws {
        let pool = pool(2, policy: RetryPolicy(attempts: 4))
        let error = await #expect(throws: SluiceError.self) {
            try await drive {
                try await pool.withEndpoint(Demand()) { lease in throw HTTPFailure(.resolve, "no such host \(lease.endpoint)") }
            }
        }
        #expect(error?.code == .endpointsUnavailable && error?.class == .retry)
        let text = "\(error.map { "\($0)" } ?? "")"
        #expect(text.contains("http://host0/*** [verified]: resolve: no such host #0"))
        #expect(text.contains("http://host1/*** [verified]: resolve: no such host #1"))
        #expect(!text.contains("secret"))
    }

    @Test("a 429 costs no attempt: the request waits as long as it is told to, however often")
    func throttled() async throws {
        let pool = pool(1, policy: RetryPolicy(attempts: 2))
        let tries = Mutex(0)
        try await drive {
            try await pool.withEndpoint(Demand()) { _ in
                let number = tries.withLock {
                    $0 += 1; return $0
                }
                if number <= 10 { throw HTTPStatusError(status: 429, retryAfter: "3") }
            }
        }
        #expect(tries.withLock { $0 } == 11)
        #expect(clock.now.sinceStart >= .seconds(30) && clock.now.sinceStart < .seconds(40))
        #expect(pool.snapshots[0].throttled == 10)
        #expect(pool.snapshots[0].failures.isEmpty)
    }

    @Test("while one endpoint refuses for its rate another one is asked")
    func throttledElsewhere() async throws {
        let pool = pool(2)
        let used = try await pool.withEndpoint(Demand()) { lease in
            if lease.endpoint == EndpointID(0) { throw RateLimited("-32005") }
            return lease.endpoint
        }
        #expect(used == EndpointID(1))
        #expect(clock.now == .zero)
    }

    @Test("split, and what no retry mends, come back at once", arguments: [SluiceError.Class.split, .data, .config, .pause])
    func rethrown(kind: SluiceError.Class) async throws {
        let pool = pool(2)
        let tries = Mutex(0)
        let error = await #expect(throws: SluiceError.self) {
            try await pool.withEndpoint(Demand()) { _ in
                tries.withLock { $0 += 1 }
                throw SluiceError(.init("x"), kind, "no")
            }
        }
        #expect(error?.class == kind)
        #expect(tries.withLock { $0 } == 1)
    }

    @Test("a response beyond the cap is an error of class split")
    func tooLarge() async {
        let pool = pool(1)
        let error = await #expect(throws: SluiceError.self) {
            try await pool.withEndpoint(Demand()) { _ in throw HTTPFailure(.tooLarge, "too large") }
        }
        #expect(error?.class == .split)
    }

    @Test("an endpoint of the wrong chain is never asked, unless it is to be checked")
    func quarantine() async throws {
        let pool = pool(2, requireVerification: true)
        await #expect(throws: SluiceError.self) { try await pool.withEndpoint(Demand()) { $0.endpoint } }
        for id in pool.endpoints {
            let checked = try await pool.withEndpoint(Demand(only: id)) { $0.endpoint }
            #expect(checked == id)
        }
        pool.quarantine(EndpointID(0), "chain 5 instead of 1")
        pool.verified(EndpointID(1))
        for _ in 0..<20 { #expect(try await pool.withEndpoint(Demand()) { $0.endpoint } == EndpointID(1)) }
        #expect(pool.snapshots[0].state == "quarantined: chain 5 instead of 1")
        #expect(pool.snapshots[0].requests == 1)
    }

    @Test("refused credentials put an endpoint aside; when all refuse, it is the operator's turn")
    func unauthorized() async throws {
        let pool = pool(2)
        let used = try await pool.withEndpoint(Demand()) { lease in
            if lease.endpoint == EndpointID(0) { throw HTTPStatusError(status: 401) }
            return lease.endpoint
        }
        #expect(used == EndpointID(1))
        #expect(pool.snapshots[0].state == "unauthorized")
        let error = await #expect(throws: SluiceError.self) {
            try await pool.withEndpoint(Demand()) { _ in throw HTTPStatusError(status: 403) }
        }
        #expect(error?.class == .pause)
    }

    @Test("an endpoint that lags is skipped; when all lag the error says how far they are")
    func lagging() async throws {
        let pool = pool(2, policy: RetryPolicy(attempts: 3))
        pool.note(height: 90, for: EndpointID(0))
        pool.note(height: 100, for: EndpointID(1))
        #expect(try await pool.withEndpoint(Demand(minimumHeight: 95)) { $0.endpoint } == EndpointID(1))
        #expect(try await pool.withEndpoint(Demand(minimumHeight: 90)) { $0.endpoint } == EndpointID(0))
        #expect(try await pool.withEndpoint(Demand(avoiding: [EndpointID(0)])) { $0.endpoint } == EndpointID(1))
        let error = await #expect(throws: SluiceError.self) {
            try await drive { try await pool.withEndpoint(Demand(minimumHeight: 101)) { $0.endpoint } }
        }
        #expect(error?.code == .endpointsLagging)
        #expect(error?.message.contains("http://host0/*** at 90; http://host1/*** at 100") == true)
    }

    @Test("a waiting request is cancelled at once and leaves its place")
    func cancelWaiting() async throws {
        let pool = pool(1, maxInFlight: 1)
        let time = clock.timeSource
        let holder = Task { try await pool.withEndpoint(Demand()) { _ in try await time.sleep(.seconds(10)) } }
        await clock.waitForSleepers(1)
        let waiter = Task { try await pool.withEndpoint(Demand()) { _ in } }
        while pool.waiting == 0 { await Task.yield() }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        #expect(pool.waiting == 0)
        clock.advance(by: .seconds(10))
        try await holder.value
        #expect(pool.snapshots[0].inFlight == 0)
    }

    @Test("a limited endpoint lets through what its rate allows, and everybody gets a turn")
    func limited() async throws {
        let pool = pool(1, rate: 100)
        let done = try await drive {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { try await pool.withEndpoint(Demand()) { _ in } } }
                var done = 0
                for try await _ in group { done += 1 }
                return done
            }
        }
        #expect(done == 200)
        // 5 at once, 195 more in 1.95 s.
        #expect(abs(clock.now.sinceStart.seconds - 1.95) < 0.05)
    }

    @Test("a lease with which nothing is sent costs nothing of the rate")
    func unused() async throws {
        let pool = pool(1, rate: 100)
        try await drive {
            for _ in 0..<50 {
                await #expect(throws: LeaseUnused.self) { try await pool.withEndpoint(Demand(calls: 2)) { _ in throw LeaseUnused() } }
            }
            try await pool.withEndpoint(Demand()) { _ in }
        }
        #expect(clock.now.sinceStart.seconds < 0.001)
        #expect(pool.snapshots[0].requests == 1)
    }

    @Test("against a real server: 1000 requests through pool and client, none lost")
    func real() async throws {
        let server = try ScriptedServer { request in
            request.body.first == 7 ? .response(503) : .response(body: request.body)
        }
        let client = try HTTPClient()
        let pool = EndpointPool(
            [EndpointConfiguration(url: server.url)], requireVerification: false, log: .disabled, time: .live, random: SeededRandom(seed: 2)
        )
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<1000 {
                group.addTask {
                    try await pool.withEndpoint(Demand()) { lease in
                        let body = [UInt8](repeating: 1, count: 1 + index % 3)
                        return try await client.send(HTTPRequest(method: "POST", url: lease.url, body: body)).checked().body.count
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == (0..<1000).reduce(0) { $0 + 1 + $1 % 3 })
        #expect(server.connections <= 64)
    }
}
