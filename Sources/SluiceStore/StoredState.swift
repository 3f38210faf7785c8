public import SluiceCore
import Synchronization

/// The shared state of one process: in memory, so that reading costs no I/O and no waiting, and in the state file, so that a change
/// that was acknowledged survives a kill. Where several processes share it, it lives in Redis instead.
public final class StoredState: SharedState {
    private let store: StateStore
    private let sets: Mutex<StateSets>

    /// Reads what the store holds. One for each store: a second one would not see what the first changes.
    public static func open(_ store: StateStore) async throws -> StoredState {
        StoredState(store, try await store.loadSharedState())
    }

    private init(_ store: StateStore, _ sets: StateSets) {
        self.store = store
        self.sets = Mutex(sets)
    }

    public func snapshot(of key: StateKey) async throws -> StateSnapshot { current(key) }
    public func version(of key: StateKey) async throws -> UInt64 { sets.withLock { $0.version(of: key) } }
    public func keys(of pipeline: String) async throws -> [StateKey] { sets.withLock { $0.keys(of: pipeline) } }

    /// - Throws: what the store throws when the file cannot be written; nothing is changed then, in memory neither.
    public func apply(_ change: StateChange) async throws { try await store.apply(change, to: self) }

    /// What is kept under a key, at once: for components that cannot wait.
    public func current(_ key: StateKey) -> StateSnapshot { sets.withLock { $0.snapshot(of: key) } }

    /// The steps of a change and what the clock shows behind it. For the store.
    func plan(_ change: StateChange) -> (edits: [StateSets.Edit], clock: UInt64) {
        sets.withLock { ($0.edits(for: change), $0.clock + 1) }
    }

    /// Lets steps be seen that are durable. For the store.
    func commit(_ edits: [StateSets.Edit]) { sets.withLock { $0.commit(edits) } }
}
