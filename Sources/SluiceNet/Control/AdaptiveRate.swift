public import SluiceCore

/// Finds the rate an upstream allows from its refusals (429): additive increase, multiplicative decrease.
///
/// Nothing is limited before the first refusal (or beyond the configured rate). A refusal that comes soon after the last one
/// says that the rate is far off and cuts deeper. The rate then returns quickly to just below where it was refused, and
/// only creeps beyond: a limit that stands still is touched about once in half a minute.
public struct AdaptiveRate: Sendable {
    /// What the operator said the limit is; never exceeded.
    public let configured: Double?
    /// Units a second; nil: no limit known.
    public private(set) var rate: Double?
    private var refusedRate: Double?
    /// Whether `refusedRate` is no more than a guess: the first refusal came before there was a rate to measure.
    private var isGuess = false
    private var refusedAt = -Double.infinity
    /// When sending begins again after the pause that came with the last refusal.
    private var resumedAt: Double
    private var grownAt: Double
    /// When the upstream refused lately, as long as no limit is known.
    private var loneRefusals: [Double] = []
    // What got through, in slots of 100 ms, for a first guess.
    private var slots = [Double](repeating: 0, count: 10)
    private var slot = 0
    private let startedAt: Double

    public init(configured: Double?, now: MonotonicTime) {
        self.configured = configured
        rate = configured
        startedAt = now.sinceStart.seconds
        resumedAt = startedAt
        grownAt = startedAt
    }

    /// `units` were answered. Returns true when that changed the rate. `limited`: the rate is what held the sender back.
    public mutating func succeeded(_ units: Double, limited: Bool, now: MonotonicTime) -> Bool {
        let at = now.sinceStart.seconds
        advance(at)
        slots[slot % slots.count] += units
        guard let rate, let refusedRate else { return false }
        // Steps of a tenth of a second are fine enough. Unused time does not count: what was not tried is not known.
        let elapsed = at - grownAt
        guard elapsed >= 0.1 else { return false }
        grownAt = at
        guard limited, at > resumedAt else { return false }
        let step = min(elapsed, 1)
        let near = refusedRate * 0.975
        // Beyond where it was refused the rate creeps, and faster the longer that goes well: the limit may have been raised.
        let calm = (at - resumedAt) / 30
        let creep = min(0.1, 0.001 * (1 + calm * calm))
        var next =
            isGuess
            ? rate * (1 + 0.7 * step)
            : rate < near
                ? min(near, rate + max((near - rate) * 0.25, rate * 0.01) * step)
                : rate * (1 + creep * step)
        if let configured { next = min(next, configured) }
        self.rate = next
        return next != rate
    }

    /// The upstream refused a request that was sent at `sentAt`; it is left alone until `resumesAt`. Returns false when the
    /// request was sent before the last cut, so that one burst of refusals counts once.
    public mutating func refused(sentAt: MonotonicTime, resumesAt: MonotonicTime, now: MonotonicTime) -> Bool {
        let at = now.sinceStart.seconds
        guard sentAt.sinceStart.seconds > refusedAt else { return false }
        let active = at - resumedAt
        if let rate, refusedRate != nil {
            refusedRate = rate
            isGuess = false
            // Once a second is next to nothing; an upstream that wants less says so with Retry-After. And what got through in the last
            // second it allows, however many it refused beside that.
            advance(at)
            let answered = slots.reduce(0, +) * 0.9
            self.rate = min(rate, max(min(1, configured ?? 1), rate * AdaptiveRate.factor(active), answered))
        } else {
            advance(at)
            if isLone(at) { return false }
            // What got through in the last second is the best guess there is.
            let seen = slots.reduce(0, +) / max(0.1, min(1, at - startedAt))
            // Ten a second when nothing did: what is refused outright is cut quickly anyway.
            let guess = min(max(10, seen), configured ?? .infinity)
            // It errs low when sending had just begun: one more refusal is a small price for not having to creep up.
            refusedRate = guess * 1.5
            // A burst that is refused as it begins says nothing of the rate: it is found by growing until the next refusal.
            isGuess = configured == nil && at - startedAt < 1
            rate = guess * 0.95
        }
        refusedAt = at
        resumedAt = max(at, resumesAt.sinceStart.seconds)
        grownAt = resumedAt
        return true
    }

    /// One refusal among many answers is a mishap, or somebody else's share of the limit: a limit refuses again and again.
    private mutating func isLone(_ at: Double) -> Bool {
        loneRefusals = loneRefusals.filter { at - $0 < 1 } + [at]
        let answered = slots.reduce(0, +)
        return loneRefusals.count < 3 || Double(loneRefusals.count) < answered / 20
    }

    private static func factor(_ active: Double) -> Double {
        switch active {
        case ..<0.25: 0.5
        case ..<1: 0.7
        case ..<2: 0.85
        default: 0.95
        }
    }

    private mutating func advance(_ at: Double) {
        let current = Int((at - startedAt) * 10)
        if current - slot >= slots.count {
            for index in slots.indices { slots[index] = 0 }
            slot = current
        }
        while slot < current {
            slot += 1
            slots[slot % slots.count] = 0
        }
    }
}
