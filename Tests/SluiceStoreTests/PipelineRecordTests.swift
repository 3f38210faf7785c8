import SluiceCore
import SluiceStore
import Testing

@Suite struct PipelineRecordTests {
    private let folder: StoreFolder

    init() throws { folder = try StoreFolder() }

    private func opened(at time: Int64 = 1) async throws -> StateStore { try await StateStore.open(folder.file("s"), clock: { time }) }

    private func pipeline(
        _ puuid: String, name: String? = nil, state: PipelineRecord.State = .backfill, error: String? = nil, created: Int64 = 1,
        updated: Int64 = 1
    ) -> PipelineRecord {
        PipelineRecord(
            puuid: puuid, pid: [1, 2, 255], name: name ?? "name of \(puuid)", definition: "{\"register\":\"blocks\"}", state: state,
            error: error, fingerprint: "f1", created: created, updated: updated)
    }

    @Test("a pipeline survives closing and opening; saving it again changes it")
    func survives() async throws {
        var store = try await opened()
        try await store.save(pipeline("b"))
        try await store.save(pipeline("a"))
        await store.close()
        store = try await opened(at: 5)
        #expect(try await store.pipelines() == [pipeline("a"), pipeline("b")])
        try await store.save(pipeline("a", name: "renamed", state: .live))
        #expect(try await store.pipeline("a") == pipeline("a", name: "renamed", state: .live, updated: 5))
        #expect(try await store.pipeline(named: "renamed")?.puuid == "a")
        #expect(try await store.pipeline(named: "name of a") == nil)
        #expect(try await store.removePipeline("a"))
        #expect(try await !store.removePipeline("a"))
        #expect(try await store.pipelines().map(\.puuid) == ["b"])
    }

    @Test("every state is kept", arguments: PipelineRecord.State.allCases)
    func states(_ state: PipelineRecord.State) async throws {
        let store = try await opened()
        try await store.save(pipeline("a"))
        try await store.setState(state, error: state == .error ? "the chain changed" : nil, of: "a")
        #expect(try await store.pipeline("a") == pipeline("a", state: state, error: state == .error ? "the chain changed" : nil))
        let error = await #expect(throws: SluiceError.self) { try await store.setState(state, of: "b") }
        #expect(error?.code == .pipelineUnknown)
    }

    @Test("a name is given once")
    func names() async throws {
        let store = try await opened()
        try await store.save(pipeline("a", name: "x"))
        try await store.save(pipeline("b", name: "y"))
        for pipeline in [pipeline("c", name: "x"), pipeline("b", name: "x")] {
            let error = await #expect(throws: SluiceError.self) { try await store.save(pipeline) }
            #expect(error?.code == .pipelineNameTaken && error?.class == .config)
        }
        #expect(try await store.pipelines().map(\.name) == ["x", "y"])
    }

    @Test("one pipeline takes another's place in one step, or not at all")
    func replace() async throws {
        var store = try await opened()
        try await store.save(pipeline("a", name: "x", state: .live))
        try await store.save(pipeline("b", name: "y"))
        await store.close()
        store = try await opened(at: 7)
        try await store.replace(old: "a", with: pipeline("a2", name: "x"))
        #expect(try await store.pipelines() == [pipeline("a2", name: "x", updated: 7), pipeline("b", name: "y")])
        let wanting = await #expect(throws: SluiceError.self) { try await store.replace(old: "a", with: pipeline("a3", name: "z")) }
        #expect(wanting?.code == .pipelineUnknown)
        let taken = await #expect(throws: SluiceError.self) { try await store.replace(old: "a2", with: pipeline("a3", name: "y")) }
        #expect(taken?.code == .pipelineNameTaken)
        #expect(try await store.pipelines().map(\.puuid) == ["a2", "b"])
        // In its own place, under another name.
        try await store.replace(old: "a2", with: pipeline("a2", name: "w"))
        #expect(try await store.pipelines().map(\.name) == ["w", "y"])
    }

    @Test("a reader finds the old one or the new one, never both or none")
    func swap() async throws {
        let store = try await opened()
        let path = folder.file("s")
        try await store.save(pipeline("0", name: "x"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 1...150 { try await store.replace(old: "\(number - 1)", with: pipeline("\(number)", name: "x")) }
            }
            group.addTask {
                let reader = try await StateStore.openReadOnly(path)
                for _ in 0..<150 { #expect(try await reader.pipelines().map(\.name) == ["x"]) }
            }
            try await group.waitForAll()
        }
        #expect(try await store.pipelines().map(\.puuid) == ["150"])
    }

    @Test("hostile texts come back as they were, in every place", arguments: hostileTexts)
    func hostile(_ text: String) async throws {
        let store = try await opened()
        let hostile = PipelineRecord(
            puuid: text, pid: Array(text.utf8), name: text, definition: text, state: .error, error: text, fingerprint: text, created: 1,
            updated: 1)
        try await store.save(hostile)
        await store.close()
        let again = try await opened()
        #expect(try await again.pipelines() == [hostile])
        #expect(try await again.pipeline(named: text) == hostile)
        #expect(try await again.removePipeline(text))
    }
}
