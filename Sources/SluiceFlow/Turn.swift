import Synchronization

/// Lets one task at a time do something that suspends, in the order in which they came. (An actor lets the next one in at each suspension.)
final class Turn: Sendable {
    fileprivate struct State {
        var isTaken = false
        var waiters = RingQueue<CheckedContinuation<Void, Never>>()
    }

    private let state = Mutex(State())

    /// Runs `body` when it is this task's turn. Whoever waits is not woken by being cancelled: bodies end soon, or are cancelled themselves.
    func take<R>(_ body: () async throws -> R) async rethrows -> R {
        if !state.withLock({ $0.enter() }) {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isFree = state.withLock { state in
                    if state.enter() { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isFree { continuation.resume() }
            }
        }
        defer { state.withLock { $0.leave() }?.resume() }
        return try await body()
    }
}

extension Turn.State {
    fileprivate mutating func enter() -> Bool {
        if isTaken { return false }
        isTaken = true
        return true
    }

    /// Who is next has the turn at once: nobody comes between.
    fileprivate mutating func leave() -> CheckedContinuation<Void, Never>? {
        let next = waiters.popFirst()
        isTaken = next != nil
        return next
    }
}
