public import SluiceCore
public import SluiceTelemetry
import Synchronization

/// Upstreams that can stand in for each other: picks one for each request, keeps to their limits, tries again elsewhere.
///
/// All decisions are made by `PoolState` under one mutex; requests that have to wait are parked, in order, and a single
/// timer looks after them. `withEndpoint` is the way in.
public final class EndpointPool: Sendable {
    private struct Shared: Sendable {
        var state: PoolState
        var random: SeededRandom
        var suppressor = RepeatSuppressor()
        var nextTicket: UInt64 = 0
        var parked: [UInt64: CheckedContinuation<Ending, Never>] = [:]
        /// Decided before the waiter was parked.
        var early: [UInt64: Ending] = [:]
        var timer: Timer?
        var generation = 0
    }

    private struct Timer: Sendable {
        let task: Task<Void, Never>
        let at: MonotonicTime
        let generation: Int
    }

    private enum Ending: Sendable {
        case decided(PoolState.Decision)
        case cancelled
    }

    /// What one call of `withEndpoint` has been through.
    private struct Call {
        let ticket: UInt64
        var attempt = 1
        var failures = 0
        /// Time of failed attempts and of the waits after them; waiting for a limiter does not count.
        var spent = Duration.zero
        var throttledSince: MonotonicTime?
        var tried: Set<EndpointID> = []
    }

    private let shared: Mutex<Shared>
    private let policy: RetryPolicy
    private let log: Log
    private let time: TimeSource

    /// A pool of `endpoints`, in the order of failover. With `requireVerification` an endpoint is only asked after
    /// `verified(_:)` (requests pinned by `Demand.only` excepted).
    public init(
        _ endpoints: [EndpointConfiguration], policy: RetryPolicy = RetryPolicy(), requireVerification: Bool = true, log: Log,
        time: TimeSource, random: SeededRandom
    ) {
        let state = PoolState(endpoints, verified: !requireVerification, now: time.now())
        shared = Mutex(Shared(state: state, random: random))
        self.policy = policy
        self.log = log
        self.time = time
    }

    deinit { shared.withLock { $0.timer?.task.cancel() } }

    /// Runs `body` with an endpoint that fits, once for each attempt.
    ///
    /// What `body` throws decides: `HTTPFailure`, `HTTPStatusError`, `RateLimited` and `SluiceError` of the classes retry and
    /// endpoint are tried again, elsewhere first, within the policy; class split comes back at once, as does everything
    /// else. Throws `SluiceError` `endpoints_unavailable` or `endpoints_lagging` (class retry; pause when every endpoint
    /// refuses the credentials), and `CancellationError`.
    public func withEndpoint<T>(_ demand: Demand, _ body: (Lease) async throws -> T) async throws -> T {
        var call = Call(
            ticket: shared.withLock {
                $0.nextTicket += 1; return $0.nextTicket
            })
        while true {
            guard let lease = try await acquire(demand, &call) else { continue }
            do {
                let value = try await body(lease)
                finish(lease, .success)
                return value
            } catch {
                // A task that was cancelled says nothing about the endpoint, whatever its transfer ended with.
                let outcome = Task.isCancelled ? .abandoned : Outcome(error, policy: policy)
                finish(lease, outcome)
                if Task.isCancelled { throw CancellationError() }
                try await next(&call, after: error, outcome, lease, demand)
            }
        }
    }

    // MARK: What the caller finds out

    /// The endpoint has been seen to have block `height`.
    public func note(height: UInt64, for id: EndpointID) {
        change { shared in shared.state.update(id) { $0.height = max($0.height ?? 0, height) } }
    }

    /// A request with `calls` calls brought `bytes`: what batches are sized by.
    public func note(calls: Int, bytes: Int, for lease: Lease) {
        shared.withLock { $0.state.update(lease.endpoint) { $0.batch.succeeded(calls: calls, bytes: bytes) } }
    }

    /// A request cost so many units more than was said.
    public func debit(units: Int, for lease: Lease) {
        let now = time.now()
        shared.withLock { $0.state.update(lease.endpoint) { $0.debit(units: units, now: now) } }
    }

    /// The endpoint serves the right chain.
    public func verified(_ id: EndpointID) { change { $0.state.update(id) { $0.standing = .verified } } }

    /// The endpoint must not be asked any more (wrong chain), until it is verified again.
    public func quarantine(_ id: EndpointID, _ reason: String) {
        change { shared in
            shared.state.update(id) {
                $0.standing = .quarantined(reason)
                $0.lastFailure = reason
            }
        }
        if let snapshot = snapshots.first(where: { $0.id == id }) {
            log.error("endpoint quarantined", ["endpoint": "\(snapshot.url)", "reason": "\(reason)"])
        }
    }

    /// All endpoints as they are now, in order.
    public var snapshots: [EndpointSnapshot] {
        let now = time.now()
        return shared.withLock { $0.state.endpoints.map { $0.snapshot(now: now) } }
    }

    /// The endpoints' names, in order.
    public var endpoints: [EndpointID] { shared.withLock { $0.state.endpoints.map(\.id) } }

    /// How many calls the endpoints take in one request at present, at most.
    public var suggestedBatch: Int {
        shared.withLock { $0.state.endpoints.reduce(1) { $1.standing == .verified ? max($0, $1.batch.current) : $0 } }
    }

    /// Requests that wait for an endpoint.
    var waiting: Int { shared.withLock { $0.state.waiting } }

    // MARK: Waiting for an endpoint

    /// A lease, or nil after a wait because no endpoint was far enough.
    private func acquire(_ demand: Demand, _ call: inout Call) async throws -> Lease? {
        if Task.isCancelled { throw CancellationError() }
        let deadline = time.now() + max(.zero, policy.budget - call.spent)
        let waiter = PoolState.Waiter(
            ticket: call.ticket, demand: demand, attempt: call.attempt, tried: call.tried, deadline: deadline)
        switch await decision(waiter) {
        case .cancelled: throw CancellationError()
        case .decided(.granted(let lease)): return lease
        case .decided(.unavailable): throw unavailable(demand, "no endpoint can be asked")
        case .decided(.lagging):
            call.failures += 1
            guard let delay = backoff(call) else { throw lagging(demand) }
            call.spent += delay
            try await time.sleep(delay)
            return nil
        }
    }

    private func decision(_ waiter: PoolState.Waiter) async -> Ending {
        let ticket = waiter.ticket
        // Mostly there is an endpoint at once, and nothing has to be parked.
        change { $0.state.enqueue(waiter) }
        if let ending = shared.withLock({ $0.early.removeValue(forKey: ticket) }) { return ending }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ending = shared.withLock { shared -> Ending? in
                    if let ending = shared.early.removeValue(forKey: ticket) { return ending }
                    shared.parked[ticket] = continuation
                    return nil
                }
                if let ending { continuation.resume(returning: ending) }
            }
        } onCancel: {
            let parked = shared.withLock { shared -> CheckedContinuation<Ending, Never>? in
                // Decided already: the request begins, and ends by its own cancellation.
                guard shared.state.remove(ticket) else { return nil }
                if let parked = shared.parked.removeValue(forKey: ticket) { return parked }
                shared.early[ticket] = .cancelled
                return nil
            }
            parked?.resume(returning: .cancelled)
        }
    }

    /// Changes the state, decides what can be decided then, and sees to the timer.
    private func change(_ body: (inout Shared) -> Void) {
        let now = time.now()
        let ready = shared.withLock { shared in
            body(&shared)
            return settle(&shared, now: now)
        }
        for (continuation, ending) in ready { continuation.resume(returning: ending) }
    }

    private func settle(_ shared: inout Shared, now: MonotonicTime) -> [(CheckedContinuation<Ending, Never>, Ending)] {
        var ready: [(CheckedContinuation<Ending, Never>, Ending)] = []
        for (ticket, decision) in shared.state.dispatch(now: now) {
            if let parked = shared.parked.removeValue(forKey: ticket) {
                ready.append((parked, .decided(decision)))
            } else {
                shared.early[ticket] = .decided(decision)
            }
        }
        guard let wake = shared.state.nextWake else { return ready }
        if let timer = shared.timer, timer.at <= wake + .microseconds(100) { return ready }
        shared.timer?.task.cancel()
        shared.generation += 1
        let generation = shared.generation, time = time
        // Nobody awaits this task: it ends by itself at its time, or is cancelled by the next one or by deinit.
        let task = Task { [weak self] in
            do { try await time.sleep(max(.zero, wake - now)) } catch { return }
            self?.timerFired(generation)
        }
        shared.timer = Timer(task: task, at: wake, generation: generation)
        return ready
    }

    private func timerFired(_ generation: Int) {
        change { if $0.timer?.generation == generation { $0.timer = nil } }
    }

    // MARK: After an attempt

    private func finish(_ lease: Lease, _ outcome: Outcome) {
        var opened = false
        change { shared in
            // Spread, so that several processes do not come back as one.
            let pause = Duration.milliseconds(Int64.random(in: 50...150, using: &shared.random))
            opened = shared.state.finish(lease, outcome, throttlePause: pause, now: time.now())
        }
        switch outcome {
        case .success, .split, .abandoned, .unused: break
        case .throttled: note(lease, "rate limited", "the upstream refuses for its rate")
        case .failed(let kind, let message, _, _): note(lease, opened ? "opened after \(kind)" : kind, message)
        case .unauthorized(let message): note(lease, "unauthorized", message)
        }
    }

    /// Says once in a while why an endpoint was left.
    private func note(_ lease: Lease, _ reason: String, _ message: String) {
        let now = time.now()
        let seen = shared.withLock { shared in
            shared.suppressor.admit("\(lease.endpoint.index) \(reason)", now: now).map {
                ($0, shared.state.endpoints[lease.endpoint.index].shown)
            }
        }
        guard let (held, url) = seen else { return }
        log.warning(
            "endpoint failed over",
            ["endpoint": "\(url)", "reason": "\(reason)", "detail": "\(message)", "repeated": "\(held)"])
    }

    /// Decides whether and when the demand is tried again; throws when it is not.
    private func next(_ call: inout Call, after error: any Error, _ outcome: Outcome, _ lease: Lease, _ demand: Demand) async throws {
        call.attempt += 1
        let now = time.now()
        switch outcome {
        case .success, .split, .abandoned, .unused: throw Outcome.surfaced(error)
        case .throttled:
            // Not a failure: the endpoint's own pause is the wait, and another endpoint may take it meanwhile.
            let since = call.throttledSince ?? now
            call.throttledSince = since
            if now - since >= policy.throttleBudget { throw unavailable(demand, "refused for the rate for too long") }
        case .failed, .unauthorized:
            call.throttledSince = nil
            call.failures += 1
            call.spent += now - lease.grantedAt
            guard let delay = backoff(call) else { throw unavailable(demand, "giving up after \(call.failures) failures") }
            call.tried.insert(lease.endpoint)
            if shared.withLock({ $0.state.hasAlternative(to: call.tried, for: demand) }) { return }
            // All have been tried: from the beginning, but not at once the one that failed last.
            call.tried = [lease.endpoint]
            call.spent += delay
            try await time.sleep(delay)
        }
    }

    private func backoff(_ call: Call) -> Duration? {
        shared.withLock { policy.delay(afterFailures: call.failures, elapsed: call.spent, random: &$0.random) }
    }

    // MARK: Errors

    private func unavailable(_ demand: Demand, _ what: String) -> SluiceError {
        let now = time.now()
        let (list, refused) = shared.withLock { shared in
            let asked = shared.state.endpoints.filter { demand.only == nil || demand.only == $0.id }
            let list = asked.map { endpoint in
                let snapshot = endpoint.snapshot(now: now)
                return "\(snapshot.url) [\(snapshot.state)]: \(endpoint.lastFailure ?? "no failure so far")"
            }
            return (list, !asked.isEmpty && asked.allSatisfy { $0.isUnauthorized(now) })
        }
        return SluiceError(
            .endpointsUnavailable, refused ? .pause : .retry,
            "\(what): \(list.isEmpty ? "none is configured" : list.joined(separator: "; "))",
            mend: refused ? "check the endpoints' keys" : "check the endpoints, or add one")
    }

    private func lagging(_ demand: Demand) -> SluiceError {
        let heights = snapshots.map { "\($0.url) at \($0.height.map { "\($0)" } ?? "an unknown block")" }
        return SluiceError(
            .endpointsLagging, .retry, "no endpoint has block \(demand.minimumHeight ?? 0): \(heights.joined(separator: "; "))",
            mend: "wait, or add an endpoint that is in step")
    }
}
