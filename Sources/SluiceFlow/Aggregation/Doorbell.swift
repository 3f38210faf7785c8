import Synchronization

/// Wakes the one who waits for several things. Rings that nobody waits for become one.
final class Doorbell: Sendable {
    private struct State {
        var isRung = false
        var waiter: CheckedContinuation<Void, any Error>?
    }

    private let state = Mutex(State())
    private let stamps = Atomic<UInt64>(0)

    func ring() {
        let waiter = state.withLock { state in
            state.isRung = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// A number higher than all before: what came first.
    func stamp() -> UInt64 { stamps.add(1, ordering: .sequentiallyConsistent).newValue }

    /// Returns when it rings, or has rung since the last time; throws when the task is cancelled. For one at a time.
    func wait() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let now: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.isRung {
                        state.isRung = false
                        return .success(())
                    }
                    precondition(state.waiter == nil, "a doorbell has one listener")
                    state.waiter = continuation
                    return nil
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(throwing: CancellationError())
        }
    }
}
