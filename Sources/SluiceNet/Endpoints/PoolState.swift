import SluiceCore

/// The pool's decisions, without any I/O: who may ask which endpoint, and when to look again.
///
/// Waiters are served in the order they came. An endpoint whose rate holds one waiter back takes none behind it either, so
/// that a costly request is not overtaken for ever.
struct PoolState: Sendable {
    struct Waiter: Sendable {
        let ticket: UInt64
        let demand: Demand
        let attempt: Int
        /// Endpoints that just failed this demand: asked again only when there is no other.
        var tried: Set<EndpointID> = []
        /// An endpoint that is not back by then counts as unavailable.
        let deadline: MonotonicTime
    }

    enum Decision: Sendable {
        case granted(Lease)
        /// No endpoint can be asked within the deadline.
        case unavailable
        /// There are endpoints, but none has come far enough.
        case lagging
    }

    private(set) var endpoints: [EndpointState]
    private var waiters: [Waiter] = []
    private var pinned = 0
    /// When time alone may let something through; nil: only an event does.
    private(set) var nextWake: MonotonicTime?

    init(_ configurations: [EndpointConfiguration], verified: Bool, now: MonotonicTime) {
        precondition(configurations.count <= 64, "more than 64 endpoints in one pool")
        endpoints = configurations.enumerated().map { index, configuration in
            EndpointState(id: EndpointID(index), configuration: configuration, verified: verified, now: now)
        }
    }

    var waiting: Int { waiters.count }

    mutating func enqueue(_ waiter: Waiter) {
        // A retry keeps its ticket and with it its place.
        let place =
            waiters.last.map { $0.ticket < waiter.ticket } ?? true
            ? waiters.count : waiters.firstIndex { $0.ticket > waiter.ticket } ?? waiters.count
        waiters.insert(waiter, at: place)
        if waiter.demand.only != nil { pinned += 1 }
    }

    /// Takes a waiter out; false when it was decided already.
    mutating func remove(_ ticket: UInt64) -> Bool {
        guard let index = waiters.firstIndex(where: { $0.ticket == ticket }) else { return false }
        drop(index)
        return true
    }

    private mutating func drop(_ index: Int) {
        if waiters.remove(at: index).demand.only != nil { pinned -= 1 }
    }

    /// Decides as many waiters as can be decided now.
    mutating func dispatch(now: MonotonicTime) -> [(ticket: UInt64, decision: Decision)] {
        nextWake = nil
        guard !waiters.isEmpty else { return [] }
        var decided: [(UInt64, Decision)] = []
        // Bit i: endpoint i takes nobody for now, because it is busy (blocked) or ill (excluded).
        let all: UInt64 = endpoints.count == 64 ? .max : (1 << UInt64(endpoints.count)) - 1
        var blocked: UInt64 = 0
        var excluded: UInt64 = 0
        for index in endpoints.indices {
            let bit: UInt64 = 1 << UInt64(index)
            if endpoints[index].isFull { blocked |= bit }
            if pinned == 0, endpoints[index].standing != .verified {
                excluded |= bit
            } else {
                let healthy = endpoints[index].healthyAt(now)
                if healthy != now { excluded |= bit }
                if let healthy, healthy > now { wake(at: healthy) }
            }
        }
        var index = 0
        while index < waiters.count {
            // The usual case under load: nobody can go, and the queue need not be walked.
            if blocked | excluded == all, excluded != all { break }  // one of them is only busy
            if let decision = decide(waiters[index], blocked: &blocked, now: now) {
                decided.append((waiters[index].ticket, decision))
                drop(index)
            } else {
                index += 1
            }
        }
        return decided
    }

    private mutating func decide(_ waiter: Waiter, blocked: inout UInt64, now: MonotonicTime) -> Decision? {
        var usable = 0, lagging = 0, fresh = false
        for index in endpoints.indices {
            switch fitness(index, waiter, now: now) {
            case .usable:
                usable += 1
                if !waiter.tried.contains(endpoints[index].id) { fresh = true }
            case .lagging: lagging += 1
            case .later: usable += 1
            case .never: break
            }
        }
        if usable == 0 { return lagging > 0 ? .lagging : .unavailable }
        for index in endpoints.indices {
            let bit: UInt64 = 1 << UInt64(index)
            guard fitness(index, waiter, now: now) == .usable, !(fresh && waiter.tried.contains(endpoints[index].id)) else { continue }
            if blocked & bit != 0 { continue }
            let delay = endpoints[index].delay(for: waiter.demand, now: now)
            if delay > .zero {
                blocked |= bit
                wake(at: now + delay)
                continue
            }
            let lease = endpoints[index].begin(waiter.demand, attempt: waiter.attempt, now: now)
            if endpoints[index].isFull { blocked |= bit }
            return .granted(lease)
        }
        return nil
    }

    private enum Fitness { case usable, later, lagging, never }

    private mutating func fitness(_ index: Int, _ waiter: Waiter, now: MonotonicTime) -> Fitness {
        let demand = waiter.demand
        if let only = demand.only {
            guard endpoints[index].id == only else { return .never }
        } else {
            guard endpoints[index].standing == .verified, !demand.avoiding.contains(endpoints[index].id) else { return .never }
            if let minimum = demand.minimumHeight, let height = endpoints[index].height, height < minimum { return .lagging }
        }
        // Refused credentials are for the operator: nobody waits for them to be accepted.
        if endpoints[index].isUnauthorized(now) { return .never }
        // While a probe is under way its end decides.
        guard let healthy = endpoints[index].healthyAt(now) else { return .later }
        if healthy <= now { return .usable }
        return healthy <= waiter.deadline ? .later : .never
    }

    private mutating func wake(at instant: MonotonicTime) { nextWake = nextWake.map { min($0, instant) } ?? instant }

    /// A leased request ended. Returns true when its endpoint's breaker opened.
    mutating func finish(_ lease: Lease, _ outcome: Outcome, throttlePause: Duration, now: MonotonicTime) -> Bool {
        endpoints[lease.endpoint.index].finish(lease, outcome, throttlePause: throttlePause, now: now)
    }

    /// Whether another endpoint than those could take the demand at all.
    func hasAlternative(to tried: Set<EndpointID>, for demand: Demand) -> Bool {
        demand.only == nil
            && endpoints.contains { $0.standing == .verified && !tried.contains($0.id) && !demand.avoiding.contains($0.id) }
    }

    mutating func update(_ id: EndpointID, _ change: (inout EndpointState) -> Void) {
        guard endpoints.indices.contains(id.index) else { return }
        change(&endpoints[id.index])
    }
}
