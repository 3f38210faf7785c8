public import SluiceCore

/// Keeps in the shared state what configurations say, beside what others put there.
///
/// What a process put there is noted in a memory of its own: what its configuration says no more is taken away with its next start, and
/// what others added stays.
public struct ConfiguredState: Sendable {
    private let shared: any SharedState
    private let memory: any SharedState

    /// - Parameter memory: this process's own; may be the same as what is shared.
    public init(_ shared: any SharedState, memory: any SharedState) {
        self.shared = shared
        self.memory = memory
    }

    /// Puts entries under a key, and takes away those that were put there before and are not among them.
    public func put(_ entries: [StateSnapshot.Entry], under key: StateKey) async throws {
        let note = StateKey(pipeline: "configured \(key.pipeline)", prefix: key.prefix, id: key.id)
        let wanted = Dictionary(entries.map { (Array($0.member.utf8), $0) }, uniquingKeysWith: { first, _ in first })
        let gone = try await memory.snapshot(of: note).entries.compactMap { Self.rest($0, without: wanted[Array($0.member.utf8)]) }
        // Noted first: what is interrupted here is made good with the next start.
        try await memory.exchange(removing: [], adding: entries, in: note)
        try await shared.exchange(removing: gone, adding: entries, in: key)
        if !gone.isEmpty { try await memory.exchange(removing: gone, adding: [], in: note) }
    }

    /// What of an entry another one does not have; nil when it has all of it.
    private static func rest(_ entry: StateSnapshot.Entry, without other: StateSnapshot.Entry?) -> StateSnapshot.Entry? {
        guard let other else { return entry }
        let kept = Set(other.items.map { Array($0.utf8) })
        let items = entry.items.filter { !kept.contains(Array($0.utf8)) }
        return items.isEmpty ? nil : StateSnapshot.Entry(member: entry.member, items: items)
    }
}
