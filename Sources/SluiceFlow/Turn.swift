import Synchronization

/// Lets one task at a time do something that suspends, in the order in which they came. (An actor lets the next one in at each suspension.)
final class Turn: Sendable {
    private struct State {
        var isTaken = false
        var waiters = RingQueue<CheckedContinuation<Void, Never>>()

        mutating func enter() -> Bool {
            if isTaken { return false }
            isTaken = true
            return true
        }

        /// Who is next has the turn at once: nobody comes between.
        mutating func leave() -> CheckedContinuation<Void, Never>? {
            guard isTaken, let next = waiters.popFirst() else {
                isTaken = false
                return nil
            }
            return next
        }
    }

    private let state = Mutex(State())

    /// Runs `body` when it is this task's turn.
    func take<R>(_ body: () async throws -> R) async rethrows -> R {
        if !enterNow() { await enter() }
        defer { leave() }
        return try await body()
    }

    /// Takes the turn if nobody has it; then `leave` must follow. For those who come with every batch: it costs no more than a lock.
    func enterNow() -> Bool { state.withLock { $0.enter() } }

    /// Waits for the turn; then `leave` must follow. Whoever waits is not woken by being cancelled: turns are short, or are cancelled themselves.
    func enter() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isFree = state.withLock { state in
                if state.enter() { return true }
                state.waiters.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() { state.withLock { $0.leave() }?.resume() }
}
