import SluiceCore

/// When to try again: exponential backoff with full jitter, within a number of attempts and a time.
public struct RetryPolicy: Sendable, Hashable {
    public var base: Duration
    /// Longest single wait.
    public var cap: Duration
    /// Failures after which no further attempt is made.
    public var attempts: Int
    /// Time from the first attempt after which no further one is begun.
    public var budget: Duration
    /// Longest `Retry-After` that is obeyed; a longer one is cut to it.
    public var retryAfterCap: Duration
    /// Refusals (429) are no failures: they have a budget of their own.
    public var throttleBudget: Duration

    public init(
        base: Duration = .milliseconds(100), cap: Duration = .seconds(10), attempts: Int = 8, budget: Duration = .seconds(60),
        retryAfterCap: Duration = .seconds(60), throttleBudget: Duration = .seconds(900)
    ) {
        self.base = base
        self.cap = cap
        self.attempts = attempts
        self.budget = budget
        self.retryAfterCap = retryAfterCap
        self.throttleBudget = throttleBudget
    }

    /// The wait after failure number `failures` (from 1), or nil when the attempts or the time are used up.
    public func delay(afterFailures failures: Int, elapsed: Duration, random: inout some RandomNumberGenerator) -> Duration? {
        guard failures < attempts, elapsed < budget else { return nil }
        let ceiling = min(cap.seconds, base.seconds * Double(UInt64(1) << UInt64(min(40, max(0, failures - 1)))))
        return .seconds(Double.random(in: 0...max(0, ceiling), using: &random))
    }

    /// The wait a `Retry-After` header asks for: seconds, or an HTTP date read against the `Date` header of the same
    /// response; nil when it is neither, or when there is no date to read it against.
    public func delay(retryAfter: String?, date: String?) -> Duration? {
        guard let retryAfter else { return nil }
        let text = retryAfter.filter { $0 != " " }
        if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            // More digits than fit is still a number: a very large one.
            return min(retryAfterCap, .seconds(Int(text) ?? 1 << 40))
        }
        guard let until = HTTPDate.seconds(retryAfter), let date, let sent = HTTPDate.seconds(date) else { return nil }
        return min(retryAfterCap, .seconds(max(0, until - sent)))
    }
}
