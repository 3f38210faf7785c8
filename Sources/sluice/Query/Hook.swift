import Synchronization

/// What an interrupt shall do, registered from another thread; fires at once when the interrupt came before.
final class Hook: Sendable {
    private struct State {
        var action: (@Sendable () -> Void)?
        var isFired = false
    }

    private let state = Mutex(State())

    func set(_ action: @escaping @Sendable () -> Void) {
        let isFired = state.withLock { state in
            state.action = action
            return state.isFired
        }
        if isFired { action() }
    }

    func fire() {
        let action = state.withLock { state in
            state.isFired = true
            return state.action
        }
        action?()
    }
}
