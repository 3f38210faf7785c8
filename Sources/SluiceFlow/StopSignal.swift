import Synchronization

/// A wish to stop in good order: what reads ends, what was read still lands. Cancelling a task is the hard way.
public final class StopSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextID: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// Whether the wish was uttered.
    public var isRaised: Bool { state.withLock { $0.isRaised } }

    /// Utters it; again does nothing.
    public func raise() {
        let waiters = state.withLock { state in
            state.isRaised = true
            defer { state.waiters = [:] }
            // In the order in which they came: the order of a dictionary is another one each time.
            return state.waiters.sorted { $0.key < $1.key }.map(\.value)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the wish is uttered, or the task is cancelled.
    public func wait() async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.isRaised || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    /// Runs `body` until it ends or the wish is uttered; then it is cancelled and awaited. Returns whether it ended by itself.
    func interrupting(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                await self.wait()
                return false
            }
            let ended = try await group.next() ?? true
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {}
            return ended
        }
    }
}
