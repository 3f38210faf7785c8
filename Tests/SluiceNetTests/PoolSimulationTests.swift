import SluiceCore
import Testing

@testable import SluiceNet

/// The pool's decisions against a simulated upstream, in simulated time.
private struct Simulation {
    struct Upstream {
        /// Requests a second; its own bucket holds `burst`.
        var limit: Double
        var burst: Double
        var latency: Double
        var retryAfter: Double?
        var tokens: Double
        var filledAt = 0.0

        init(limit: Double, burst: Double, latency: Double = 0.02, retryAfter: Double? = nil) {
            self.limit = limit
            self.burst = burst
            self.latency = latency
            self.retryAfter = retryAfter
            tokens = burst
        }

        mutating func admits(_ now: Double) -> Bool {
            tokens = min(burst, tokens + (now - filledAt) * limit)
            filledAt = now
            guard tokens >= 1 else { return false }
            tokens -= 1
            return true
        }
    }

    enum Event {
        case answer(Lease, ticket: UInt64, admitted: Bool)
        case timer
    }

    var state: PoolState
    var upstream: Upstream
    var random: SeededRandom
    var now = 0.0
    var events: [(at: Double, event: Event)] = []
    /// Times of answers and of refusals.
    var answers: [Double] = []
    var refusals: [Double] = []

    private func instant(_ seconds: Double) -> MonotonicTime { MonotonicTime(sinceStart: .seconds(seconds)) }

    private mutating func schedule(_ at: Double, _ event: Event) {
        let place = events.lastIndex { $0.at <= at }.map { $0 + 1 } ?? 0
        events.insert((at, event), at: place)
    }

    private mutating func ask(_ ticket: UInt64) {
        state.enqueue(PoolState.Waiter(ticket: ticket, demand: Demand(), attempt: 1, deadline: instant(now + 60)))
    }

    private mutating func settle() {
        for (ticket, decision) in state.dispatch(now: instant(now)) {
            guard case .granted(let lease) = decision else { continue }
            let admitted = upstream.admits(now)
            schedule(
                now + upstream.latency * Double.random(in: 0.8...1.2, using: &random), .answer(lease, ticket: ticket, admitted: admitted))
        }
        // A timer that comes up to 3 ms late, as real ones do.
        if let wake = state.nextWake { schedule(max(now, wake.sinceStart.seconds) + Double.random(in: 0...0.003, using: &random), .timer) }
    }

    mutating func run(workers: Int, seconds: Double) {
        var next = UInt64(workers)
        for ticket in 0..<UInt64(workers) { ask(ticket) }
        settle()
        while let (at, event) = events.first, at < seconds {
            events.removeFirst()
            now = at
            if case .answer(let lease, let ticket, let admitted) = event {
                if admitted {
                    answers.append(now)
                    _ = state.finish(lease, .success, throttlePause: .zero, now: instant(now))
                    next += 1
                    ask(next)
                } else {
                    refusals.append(now)
                    let pause = Duration.milliseconds(Int64.random(in: 50...150, using: &random))
                    _ = state.finish(
                        lease, .throttled(retryAfter: upstream.retryAfter.map { .seconds($0) }), throttlePause: pause, now: instant(now))
                    ask(ticket)
                }
            }
            // One pending timer is enough.
            if case .timer = event {} else { events.removeAll { if case .timer = $0.event { true } else { false } } }
            settle()
        }
    }

    func rate(_ from: Double, _ to: Double) -> Double { Double(answers.count { $0 >= from && $0 < to }) / (to - from) }
    func refused(_ from: Double, _ to: Double) -> Int { refusals.count { $0 >= from && $0 < to } }
}

@Suite struct PoolSimulationTests {
    private func simulate(_ upstream: Simulation.Upstream, configured: Double?, seconds: Double, seed: UInt64) -> Simulation {
        let configuration = EndpointConfiguration(url: "http://a", requestsPerSecond: configured, maxInFlight: 64)
        var simulation = Simulation(
            state: PoolState([configuration], verified: true, now: .zero), upstream: upstream, random: SeededRandom(seed: seed))
        simulation.run(workers: 100, seconds: seconds)
        return simulation
    }

    @Test(
        "without a configured limit the rate settles just under the upstream's, with few refusals",
        arguments: [(200.0, 200.0, nil), (200, 20, nil), (200, 20, 1), (200, 200, 1), (50, 5, 1), (1000, 50, nil)]
            as [(Double, Double, Double?)])
    func findsLimit(limit: Double, burst: Double, retryAfter: Double?) {
        for seed in 1...3 {
            let run = simulate(.init(limit: limit, burst: burst, retryAfter: retryAfter), configured: nil, seconds: 90, seed: UInt64(seed))
            #expect(run.rate(30, 90) >= limit * 0.9, "\(run.rate(30, 90)) of \(limit), seed \(seed)")
            #expect(Double(run.refused(30, 90)) <= Double(limit) * 60 * 0.01, "\(run.refused(30, 90)) refusals, seed \(seed)")
        }
    }

    @Test("with the limit configured at least 95 % of it is used and hardly anything refused", arguments: [20.0, 200, 1000])
    func configured(limit: Double) {
        let run = simulate(.init(limit: limit, burst: limit * 0.1), configured: limit, seconds: 20, seed: 5)
        #expect(run.rate(1, 20) >= limit * 0.95, "\(run.rate(1, 20)) of \(limit)")
        #expect(run.refused(0, 20) <= Int(limit * 0.2))
    }

    @Test("an upstream without a limit is held back by nothing but the window")
    func unlimited() {
        let run = simulate(.init(limit: 1e9, burst: 1e9), configured: nil, seconds: 5, seed: 3)
        // 64 in flight of 20 ms each.
        #expect(run.rate(1, 5) > 3000)
        #expect(run.refusals.isEmpty)
    }
}

@Suite struct PoolStateTests {
    private func instant(_ seconds: Double) -> MonotonicTime { MonotonicTime(sinceStart: .seconds(seconds)) }

    @Test("waiters are served in the order they came, a retry at its old place")
    func order() {
        let configuration = EndpointConfiguration(url: "http://a", maxInFlight: 1)
        var state = PoolState([configuration], verified: true, now: .zero)
        var served: [UInt64] = []
        for ticket: UInt64 in [5, 6, 7, 2] {
            state.enqueue(.init(ticket: ticket, demand: Demand(), attempt: 1, deadline: instant(60)))
        }
        for second in 1...4 {
            let now = instant(Double(second))
            let decided = state.dispatch(now: now)
            #expect(decided.count == 1)
            for case (let ticket, .granted(let lease)) in decided {
                served.append(ticket)
                _ = state.finish(lease, .success, throttlePause: .zero, now: now)
            }
        }
        #expect(served == [2, 5, 6, 7])
    }

    @Test("batches share the units and are charged as the endpoint counts them")
    func charging() throws {
        let configuration = EndpointConfiguration(url: "http://a", requestsPerSecond: 100, computeUnitsPerSecond: 1000, maxBatch: 8)
        var state = PoolState([configuration], verified: true, now: .zero)
        for _ in 0..<3 { state.update(EndpointID(0)) { $0.batch.succeeded(calls: $0.batch.current, bytes: 10) } }
        state.enqueue(.init(ticket: 1, demand: Demand(calls: 10, units: 200), attempt: 1, deadline: instant(60)))
        guard case .granted(let lease)? = state.dispatch(now: .zero).first?.decision else {
            Issue.record("not granted")
            return
        }
        #expect(lease.calls == 8)
        // 160 of 50 units saved are spent: 110 in debt and one more of 20 take 0.13 s; the calls are sooner.
        state.enqueue(.init(ticket: 2, demand: Demand(calls: 1, units: 20), attempt: 1, deadline: instant(60)))
        #expect(state.dispatch(now: .zero).isEmpty)
        let wake = try #require(state.nextWake)
        #expect(abs(wake.sinceStart.seconds - 0.13) < 1e-6)
    }
}
