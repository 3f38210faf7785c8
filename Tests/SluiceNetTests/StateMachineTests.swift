import SluiceCore
import SluiceNet
import Testing

private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(sinceStart: .seconds(seconds)) }

@Suite struct TokenBucketTests {
    @Test("a full bucket lets its burst through at once, then one each interval")
    func burst() {
        var bucket = TokenBucket(rate: 100, burst: .milliseconds(50), now: at(0))
        let waits = (0..<8).map { _ in bucket.reserve(1, now: at(0)).seconds }
        // 5 in the burst, then one each 10 ms.
        for (wait, expected) in zip(waits, [0, 0, 0, 0, 0, 0.01, 0.02, 0.03]) { #expect(abs(wait - expected) < 1e-6) }
    }

    @Test("in any second no more than the rate and the burst goes, and no less than the rate", arguments: [1, 2, 3])
    func rate(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var bucket = TokenBucket(rate: 200, now: at(0))
        var now = 0.0, taken = 0.0
        while now < 10 {
            let cost = Double(Int.random(in: 1...4, using: &random))
            let wait = bucket.delay(for: cost, now: at(now)).seconds
            // Timers come late, by up to 10 ms: what is missed meanwhile is saved up.
            if wait > 0 { now += wait + Double.random(in: 0...0.01, using: &random) }
            bucket.take(cost, now: at(now))
            taken += cost
        }
        #expect(taken > 1980 && taken <= 200 * now + 10 + 4)
    }

    @Test("a cost beyond the burst goes when the bucket is full, and is paid off afterwards")
    func debt() {
        var bucket = TokenBucket(rate: 10, now: at(0))
        #expect(bucket.reserve(20, now: at(0)) == .zero)
        #expect(abs(bucket.delay(for: 1, now: at(0)).seconds - 2) < 1e-6)
    }

    @Test("a pause holds everything back and leaves no burst behind")
    func pause() {
        var bucket = TokenBucket(rate: 100, now: at(0))
        bucket.pause(until: at(3), now: at(0))
        #expect(abs(bucket.delay(for: 1, now: at(1)).seconds - 2.01) < 1e-6)
        #expect(abs(bucket.delay(for: 1, now: at(3)).seconds - 0.01) < 1e-6)
    }

    @Test("without a rate only a pause holds back")
    func unlimited() {
        var bucket = TokenBucket(rate: nil, now: at(0))
        for _ in 0..<1000 { #expect(bucket.reserve(50, now: at(0)) == .zero) }
        bucket.pause(until: at(1), now: at(0))
        #expect(abs(bucket.delay(for: 1, now: at(0)).seconds - 1) < 1e-6)
    }
}

@Suite struct RetryPolicyTests {
    @Test("waits are spread over the whole range up to a doubling ceiling", arguments: [(1, 0.1), (2, 0.2), (4, 0.8), (7, 5.0)])
    func jitter(failures: Int, ceiling: Double) throws {
        let policy = RetryPolicy(base: .milliseconds(100), cap: .seconds(5), attempts: 8)
        var random = SeededRandom(seed: 7)
        let waits = (0..<500).compactMap { _ in policy.delay(afterFailures: failures, elapsed: .zero, random: &random)?.seconds }
        #expect(waits.count == 500)
        let longest = try #require(waits.max()), shortest = try #require(waits.min())
        #expect(longest <= ceiling && longest > ceiling * 0.95)
        #expect(shortest >= 0 && shortest < ceiling * 0.05)
    }

    @Test("there is no further attempt when attempts or time are used up")
    func budget() {
        let policy = RetryPolicy(attempts: 3, budget: .seconds(10))
        var random = SeededRandom(seed: 1)
        #expect(policy.delay(afterFailures: 2, elapsed: .seconds(9), random: &random) != nil)
        #expect(policy.delay(afterFailures: 3, elapsed: .zero, random: &random) == nil)
        #expect(policy.delay(afterFailures: 1, elapsed: .seconds(10), random: &random) == nil)
    }

    @Test(
        "Retry-After is read as seconds or as a date, and capped",
        arguments: [
            ("7", nil, 7.0), (" 0 ", nil, 0), ("3600", nil, 60), ("99999999999999999999999", nil, 60),
            ("Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 10),
            ("Sun, 06 Nov 1994 08:49:27 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:47 GMT", nil, nil), ("soon", nil, nil), ("", nil, nil), ("-5", nil, nil), (nil, nil, nil),
        ] as [(String?, String?, Double?)])
    func retryAfter(value: String?, date: String?, seconds: Double?) {
        #expect(RetryPolicy().delay(retryAfter: value, date: date)?.seconds == seconds)
    }

    @Test(
        "HTTP dates are read",
        // Seconds from Python's calendar.timegm.
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Sun, 06 Nov 1994 08:49:37 UTC", nil), ("Sun, 06 Foo 1994 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 25:49:37 GMT", nil), ("784111777", nil),
        ] as [(String, Int?)])
    func dates(text: String, seconds: Int?) { #expect(HTTPDate.seconds(text) == seconds) }
}

@Suite struct CircuitBreakerTests {
    @Test("it opens after the threshold, lets one probe through, and closes when that succeeds")
    func life() {
        var breaker = CircuitBreaker(threshold: 3, cooldown: .seconds(2))
        for _ in 0..<2 { #expect(breaker.failed(now: at(0)) == false) }
        #expect(breaker.readyAt(at(0)) == at(0))
        #expect(breaker.failed(now: at(1)) == true)
        #expect(breaker.readyAt(at(2)) == at(3))
        #expect(breaker.readyAt(at(3)) == at(3))
        breaker.began()
        #expect(breaker.readyAt(at(3)) == nil)
        breaker.succeeded()
        #expect(breaker.state == .closed)
    }

    @Test("a failed probe opens it for twice as long, up to the longest")
    func doubling() {
        var breaker = CircuitBreaker(threshold: 1, cooldown: .seconds(2), longestCooldown: .seconds(10))
        var now = 0.0, waits: [Double] = []
        for _ in 0..<5 {
            #expect(breaker.failed(now: at(now)) == true)
            guard case .open(let until) = breaker.state else { return }
            waits.append((until - at(now)).seconds.rounded())
            now = until.sinceStart.seconds
            _ = breaker.readyAt(at(now))
            breaker.began()
        }
        #expect(waits == [2, 4, 8, 10, 10])
    }

    @Test("a success in between starts the count anew, and an abandoned probe makes room for the next")
    func counting() {
        var breaker = CircuitBreaker(threshold: 2, cooldown: .seconds(1))
        breaker.failed(now: at(0))
        breaker.succeeded()
        #expect(breaker.failed(now: at(0)) == false)
        #expect(breaker.failed(now: at(0)) == true)
        _ = breaker.readyAt(at(1))
        breaker.began()
        breaker.abandoned()
        #expect(breaker.readyAt(at(1)) == at(1))
    }
}

@Suite struct AdaptiveLimitTests {
    /// One round: as many requests as the window allows, all with one latency.
    private func round(_ limit: inout AdaptiveLimit, _ now: inout Double, latency: Double) {
        let sent = now, count = limit.current
        now += latency
        for _ in 0..<count { limit.succeeded(latency: .seconds(latency), inFlight: count, sentAt: at(sent), now: at(now)) }
    }

    @Test("the window doubles each round until congestion, then shrinks by 0.7 and grows by one a round")
    func growth() {
        var limit = AdaptiveLimit(initial: 4, maximum: 100), now = 1.0
        round(&limit, &now, latency: 0.01)
        #expect(limit.current == 8)
        for _ in 0..<3 { round(&limit, &now, latency: 0.01) }
        #expect(limit.current == 64)
        limit.congested(sentAt: at(now), now: at(now + 0.1))
        #expect(limit.current == 44 && !limit.isInSlowStart)
        limit.congested(sentAt: at(now + 0.05), now: at(now + 0.2))
        #expect(limit.current == 44, "a request from before the cut says nothing new")
        now += 0.3
        round(&limit, &now, latency: 0.01)
        #expect(limit.current == 45)
    }

    @Test("it stays between its bounds")
    func bounds() {
        var limit = AdaptiveLimit(initial: 4, minimum: 2, maximum: 10), now = 1.0
        for _ in 0..<10 { round(&limit, &now, latency: 0.01) }
        #expect(limit.current == 10)
        for _ in 0..<50 {
            now += 1
            limit.congested(sentAt: at(now), now: at(now))
        }
        #expect(limit.current == 2)
    }

    @Test("latency far above the floor is congestion")
    func latency() {
        var limit = AdaptiveLimit(initial: 4, maximum: 1000), now = 1.0
        for _ in 0..<3 { round(&limit, &now, latency: 0.01) }
        let before = limit.current
        for _ in 0..<5 { round(&limit, &now, latency: 1) }
        #expect(!limit.isInSlowStart && limit.current < before * 2)
    }

    @Test("a window that is not used does not grow")
    func unused() {
        var limit = AdaptiveLimit(initial: 16, maximum: 100)
        for index in 0..<100 {
            limit.succeeded(latency: .milliseconds(5), inFlight: 1, sentAt: at(Double(index)), now: at(Double(index) + 0.1))
        }
        #expect(limit.current == 16)
    }
}

@Suite struct AdaptiveBatchTests {
    @Test("it grows to the largest the upstream takes and stays there", arguments: [1, 7, 10, 64, 100])
    func findsLimit(limit: Int) {
        var batch = AdaptiveBatch(maximum: 100), splits = 0
        for _ in 0..<150 {
            let calls = batch.current
            if calls > limit {
                batch.split(calls: calls)
                splits += 1
            } else {
                batch.succeeded(calls: calls, bytes: calls * 10)
            }
        }
        #expect(batch.current <= limit && Double(batch.current) >= Double(limit) * 0.9)
        #expect(splits <= 8)
        #expect(batch.largestGood <= limit)
    }

    @Test("it aims at a size of response")
    func bytes() {
        var batch = AdaptiveBatch(maximum: 100, targetBytes: 1000)
        for _ in 0..<20 { batch.succeeded(calls: batch.current, bytes: batch.current * 90) }
        #expect(batch.current == 11)
        batch.succeeded(calls: 11, bytes: 11 * 400)
        #expect(batch.current == 2)
    }

    @Test("a maximum of one is no batching")
    func none() {
        var batch = AdaptiveBatch(maximum: 1)
        for _ in 0..<5 { batch.succeeded(calls: 1, bytes: 5) }
        #expect(batch.current == 1)
        batch.split(calls: 1)
        #expect(batch.current == 1)
    }
}
