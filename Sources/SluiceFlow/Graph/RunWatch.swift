import Synchronization

/// How one run of a pipeline fares, for whoever waits for it to open or to end.
final class RunWatch: Sendable {
    private struct State {
        var isOpen = false
        var isLeaving = false
        var end: Branch.End?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var isLeaving: Bool { state.withLock { $0.isLeaving } }
    /// Neither ended nor asked to.
    var isActive: Bool { state.withLock { !$0.isLeaving && $0.end == nil } }

    /// Whether it has ended.
    var isOver: Bool { state.withLock { $0.end != nil } }

    /// Returns when it has ended.
    func ended() async -> Branch.End {
        while true {
            if let end = state.withLock({ $0.end }) { return end }
            // Who waits is woken when it opens, too.
            await wait { $0.end != nil }
        }
    }

    /// Returns when it is open. Throws what it failed with before that.
    func openedOrFailed() async throws {
        await wait { $0.isOpen || $0.end != nil }
        let (isOpen, end) = state.withLock { ($0.isOpen, $0.end) }
        if !isOpen, case .failed(let error) = end { throw error }
    }

    /// Asks it to end in good order.
    func leave() { state.withLock { $0.isLeaving = true } }

    /// Notes that it is open.
    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Notes its end; the first one counts. `told` is called before anybody who waits is woken. Returns false when it had ended already.
    @discardableResult
    func end(_ end: Branch.End, told: () -> Void) -> Bool {
        let waiters: [CheckedContinuation<Void, Never>]? = state.withLock { state in
            guard state.end == nil else { return nil }
            state.end = end
            defer { state.waiters = [] }
            return state.waiters
        }
        guard let waiters else { return false }
        told()
        for waiter in waiters { waiter.resume() }
        return true
    }

    private func wait(until isTrue: @Sendable (borrowing State) -> Bool) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if isTrue(state) { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
