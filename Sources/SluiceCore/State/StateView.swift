import Synchronization

/// What is kept under one key, for components that cannot wait: read at once, and brought up to date in between.
public final class StateView: Sendable {
    public let key: StateKey
    private let state: any SharedState
    private let seen: Mutex<StateSnapshot?> = Mutex(nil)

    /// Reads nothing yet.
    public init(_ state: any SharedState, key: StateKey) {
        self.state = state
        self.key = key
    }

    /// What was there when it was last brought up to date; empty before the first time.
    public var snapshot: StateSnapshot { seen.withLock { $0 } ?? .empty() }

    /// Reads again when something may have changed. Returns whether it read.
    @discardableResult
    public func refresh() async throws -> Bool {
        if let known = seen.withLock({ $0?.version }), try await state.version(of: key) == known { return false }
        let fresh = try await state.snapshot(of: key)
        // Two at once: what is newer stays.
        seen.withLock { if $0.map({ $0.version <= fresh.version }) ?? true { $0 = fresh } }
        return true
    }
}
