import Synchronization

/// Shared state of this process alone, gone with it: for tests, and for runs that keep nothing.
public final class MemoryState: SharedState {
    private let sets = Mutex(StateSets())

    public init() {}

    public func snapshot(of key: StateKey) async throws -> StateSnapshot { sets.withLock { $0.snapshot(of: key) } }
    public func version(of key: StateKey) async throws -> UInt64 { sets.withLock { $0.version(of: key) } }
    public func keys(of pipeline: String) async throws -> [StateKey] { sets.withLock { $0.keys(of: pipeline) } }
    public func apply(_ change: StateChange) async throws { sets.withLock { $0.commit($0.edits(for: change)) } }
}
