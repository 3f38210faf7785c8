import SluiceCore
import SluiceTelemetry

/// All that is known about one endpoint. Pure: told what happened and when, answers when it may be asked next.
struct EndpointState: Sendable {
    enum Standing: Sendable, Hashable {
        case unverified, verified
        case quarantined(String)
    }

    /// How long an endpoint that refuses our credentials is left alone.
    static let unauthorizedPause = Duration.seconds(60)

    let id: EndpointID
    let configuration: EndpointConfiguration
    let shown: RedactedURL
    var standing: Standing
    var height: UInt64?
    var inFlight = 0
    var limit: AdaptiveLimit
    var batch: AdaptiveBatch
    var lastFailure: String?
    private var calls: TokenBucket
    private var units: TokenBucket
    private var rate: AdaptiveRate
    private var breaker = CircuitBreaker()
    private var unauthorizedUntil = MonotonicTime(sinceStart: .seconds(-1 << 40))
    /// When the rate last held a request back.
    private var limitedAt = MonotonicTime(sinceStart: .seconds(-1 << 40))
    private var requests: UInt64 = 0
    private var callsMade: UInt64 = 0
    private var throttled: UInt64 = 0
    private var failures: [String: UInt64] = [:]

    init(id: EndpointID, configuration: EndpointConfiguration, verified: Bool, now: MonotonicTime) {
        self.id = id
        self.configuration = configuration
        shown = RedactedURL(configuration.url)
        standing = verified ? .verified : .unverified
        limit = AdaptiveLimit(maximum: configuration.maxInFlight)
        batch = AdaptiveBatch(maximum: configuration.maxBatch, targetBytes: configuration.targetResponseBytes)
        rate = AdaptiveRate(configured: configuration.requestsPerSecond, now: now)
        calls = TokenBucket(rate: configuration.requestsPerSecond, now: now)
        units = TokenBucket(rate: configuration.computeUnitsPerSecond, now: now)
    }

    var isFull: Bool { inFlight >= limit.current }

    /// What a demand may send here, and what that counts.
    func share(of demand: Demand) -> (calls: Int, cost: Double, units: Double) {
        let granted = min(demand.calls, batch.current)
        return (
            granted, configuration.countsBatchOnce ? 1 : Double(granted), Double(demand.units) * Double(granted) / Double(demand.calls)
        )
    }

    /// When its failures let it be asked again: `now` when they do already, nil while the one probe is under way.
    mutating func healthyAt(_ now: MonotonicTime) -> MonotonicTime? {
        breaker.readyAt(now).map { max($0, unauthorizedUntil) }
    }

    func isUnauthorized(_ now: MonotonicTime) -> Bool { unauthorizedUntil > now }

    /// How long its rate makes a demand wait.
    mutating func delay(for demand: Demand, now: MonotonicTime) -> Duration {
        let (_, cost, cu) = share(of: demand)
        let wait = max(calls.delay(for: cost, now: now), units.delay(for: cu, now: now))
        if wait > .zero { limitedAt = now }
        return wait
    }

    mutating func begin(_ demand: Demand, attempt: Int, now: MonotonicTime) -> Lease {
        let (granted, cost, cu) = share(of: demand)
        calls.take(cost, now: now)
        units.take(cu, now: now)
        breaker.began()
        inFlight += 1
        requests += 1
        callsMade += UInt64(granted)
        return Lease(
            endpoint: id, url: configuration.url, headers: configuration.headers, calls: granted, attempt: attempt, grantedAt: now,
            cost: cost, units: cu, inFlight: inFlight)
    }

    /// Returns true when the breaker opened.
    mutating func finish(_ lease: Lease, _ outcome: Outcome, throttlePause: Duration, now: MonotonicTime) -> Bool {
        inFlight -= 1
        switch outcome {
        case .success, .split:
            breaker.succeeded()
            if case .split = outcome { batch.split(calls: lease.calls) }
            limit.succeeded(latency: now - lease.grantedAt, inFlight: lease.inFlight, sentAt: lease.grantedAt, now: now)
            let limited = now - limitedAt < .milliseconds(250)
            if rate.succeeded(lease.cost, limited: limited, now: now) { calls.setRate(rate.rate, now: now) }
        case .throttled(let retryAfter):
            breaker.abandoned()
            throttled += 1
            lastFailure = "refused for its rate"
            let resumes = now + (retryAfter ?? throttlePause)
            limit.congested(sentAt: lease.grantedAt, now: now)
            let fresh = rate.refused(sentAt: lease.grantedAt, resumesAt: resumes, now: now)
            if fresh { calls.setRate(rate.rate, now: now) }
            // Late refusals of one burst prolong the pause only when the upstream itself says how long it is.
            if fresh || retryAfter != nil { calls.pause(until: resumes, now: now) }
        case .failed(let kind, let message, let congestion, let retryAfter):
            failures[kind, default: 0] += 1
            lastFailure = message
            if congestion { limit.congested(sentAt: lease.grantedAt, now: now) }
            if let retryAfter { calls.pause(until: now + retryAfter, now: now) }
            return breaker.failed(now: now)
        case .unauthorized(let message):
            breaker.abandoned()
            failures["unauthorized", default: 0] += 1
            lastFailure = message
            unauthorizedUntil = now + EndpointState.unauthorizedPause
        case .abandoned:
            breaker.abandoned()
        case .unused:
            breaker.abandoned()
            calls.take(-lease.cost, now: now)
            units.take(-lease.units, now: now)
            requests -= 1
            callsMade -= UInt64(lease.calls)
        }
        return false
    }

    mutating func debit(units extra: Int, now: MonotonicTime) { units.take(Double(extra), now: now) }

    func snapshot(now: MonotonicTime) -> EndpointSnapshot {
        let state: String
        switch (standing, breaker.state) {
        case (.quarantined(let reason), _): state = "quarantined: \(reason)"
        case _ where isUnauthorized(now): state = "unauthorized"
        case (_, .open), (_, .halfOpen): state = "open"
        case (.unverified, _): state = "unverified"
        case (.verified, _): state = "verified"
        }
        var isQuarantined = false
        if case .quarantined = standing { isQuarantined = true }
        return EndpointSnapshot(
            id: id, url: shown.description, state: state, isVerified: standing == .verified, isQuarantined: isQuarantined,
            height: height, inFlight: inFlight, window: limit.current, rate: rate.rate, batch: batch.current, latency: limit.averageLatency,
            requests: requests, calls: callsMade, throttled: throttled, failures: failures, lastFailure: lastFailure)
    }
}
