import SluiceCore
import Testing

@testable import SluiceFlow

@Suite("What configurations put into the shared state") struct ConfiguredStateTests {
    private let key = StateKey(pipeline: "p", prefix: "event_log", id: "address")

    private func entries(_ members: [String: [String]]) -> [StateSnapshot.Entry] { members.map { .init(member: $0, items: $1) } }

    private func held(_ state: any SharedState) async throws -> [String: [String]] {
        Dictionary(uniqueKeysWithValues: try await state.snapshot(of: key).entries.map { ($0.member, $0.items) })
    }

    @Test("what the configuration says no more goes, what others added stays", arguments: [true, false])
    func changes(isShared: Bool) async throws {
        let state = MemoryState()
        // With one process alone what is remembered lies beside what is shared.
        let memory = isShared ? MemoryState() : state
        let configured = ConfiguredState(state, memory: memory)
        try await configured.put(entries(["a": ["x", "y"], "b": ["x"], "c": []]), under: key)
        #expect(try await held(state) == ["a": ["x", "y"], "b": ["x"], "c": []])
        try await state.insert(["mine"], into: key, under: "b")
        try await state.insert(["z"], into: key, under: "d")
        try await state.remove(["c"], from: key)
        try await configured.put(entries(["a": ["y", "w"], "c": []]), under: key)
        #expect(try await held(state) == ["a": ["w", "y"], "b": ["mine"], "c": [], "d": ["z"]])
        try await configured.put([], under: key)
        #expect(try await held(state) == ["b": ["mine"], "d": ["z"]])
        // Nothing is taken away twice: what somebody else asks for by now is theirs.
        try await state.insert(["y"], into: key, under: "a")
        try await configured.put([], under: key)
        #expect(try await held(state) == ["a": ["y"], "b": ["mine"], "d": ["z"]])
    }

    @Test("two processes that share a pipeline's key keep each other's")
    func two() async throws {
        let state = MemoryState()
        let (one, other) = (ConfiguredState(state, memory: MemoryState()), ConfiguredState(state, memory: MemoryState()))
        try await one.put(entries(["a": []]), under: key)
        try await other.put(entries(["b": []]), under: key)
        try await one.put(entries(["a": []]), under: key)
        #expect(try await held(state) == ["a": [], "b": []])
        try await one.put(entries(["c": []]), under: key)
        #expect(try await held(state) == ["b": [], "c": []])
    }

    private struct Interrupted: Error {}

    /// Fails a change, to order.
    private struct Failing: SharedState {
        let base: MemoryState
        let fails: Box<Bool>
        func snapshot(of key: StateKey) async throws -> StateSnapshot { try await base.snapshot(of: key) }
        func version(of key: StateKey) async throws -> UInt64 { try await base.version(of: key) }
        func keys(of pipeline: String) async throws -> [StateKey] { try await base.keys(of: pipeline) }
        func apply(_ change: StateChange) async throws {
            if fails.value { throw Interrupted() }
            try await base.apply(change)
        }
    }

    @Test("what was interrupted is made good, whatever the configuration says by then")
    func interrupted() async throws {
        let (state, memory) = (MemoryState(), MemoryState())
        let fails = Box(false)
        let configured = ConfiguredState(Failing(base: state, fails: fails), memory: memory)
        try await configured.put(entries(["a": []]), under: key)
        fails.change { $0 = true }
        await #expect(throws: Interrupted.self) { try await configured.put(entries(["b": []]), under: key) }
        // As if it had been made, and only the note of it were missing.
        try await state.exchange(removing: entries(["a": []]), adding: entries(["b": []]), in: key)
        fails.change { $0 = false }
        try await configured.put(entries(["c": []]), under: key)
        #expect(try await held(state) == ["c": []])
    }
}
