import SluiceCore
import SluiceStore
import Testing

@Suite struct CoverageRecordTests {
    private let folder: StoreFolder

    init() throws { folder = try StoreFolder() }

    private func opened(at time: Int64) async throws -> StateStore { try await StateStore.open(folder.file("s"), clock: { time }) }

    private func record(
        _ sink: String, _ range: ClosedRange<UInt64>, since: Int64, updated: Int64, pipeline: String = "main"
    ) -> CoverageRecord {
        CoverageRecord(
            pipeline: pipeline, sink: sink, first: range.lowerBound, last: range.upperBound, since: since, updated: updated)
    }

    @Test("what is told replaces all that was told before; a run that goes on keeps its time")
    func replace() async throws {
        var store = try await opened(at: 1)
        try await store.setCoverage(["lake": [1...80], "warehouse": [1...100, 200...300]], of: "main")
        try await store.setCoverage(["lake": [5...6]], of: "other")
        await store.close()
        store = try await opened(at: 2)
        #expect(try await store.coverage().map(\.updated) == [1, 1, 1, 1])
        try await store.setCoverage(["warehouse": [1...120, 200...310, 400...400]], of: "main")
        #expect(
            try await store.coverage() == [
                record("warehouse", 1...120, since: 1, updated: 2), record("warehouse", 200...310, since: 1, updated: 2),
                record("warehouse", 400...400, since: 2, updated: 2), record("lake", 5...6, since: 1, updated: 1, pipeline: "other"),
            ])
        // The hole is filled: one run, and the second is gone.
        try await store.setCoverage(["warehouse": [1...310, 400...400]], of: "main")
        #expect(try await store.coverage().map(\.first) == [1, 400, 5])
        await store.close()
        store = try await opened(at: 3)
        #expect(try await store.coverage().map(\.first) == [1, 400, 5])
        try await store.setCoverage([:], of: "main")
        try await store.removeCoverage(of: "other")
        #expect(try await store.coverage() == [])
    }

    @Test("runs that share a block, or numbers that cannot be stored, change nothing")
    func refused() async throws {
        let store = try await opened(at: 1)
        try await store.setCoverage(["w": [1...5]], of: "main")
        for wrong in [[1...10, 10...20], [5...20, 1...5], [1...3, 5 ... .max]] as [[ClosedRange<UInt64>]] {
            await #expect(throws: SluiceError.self) { try await store.setCoverage(["w": wrong], of: "main") }
        }
        #expect(try await store.coverage() == [record("w", 1...5, since: 1, updated: 1)])
    }

    @Test("hostile names come back as they were", arguments: hostileTexts)
    func hostile(_ text: String) async throws {
        let store = try await opened(at: 1)
        try await store.setCoverage([text: [1...2]], of: text)
        #expect(try await store.coverage() == [record(text, 1...2, since: 1, updated: 1, pipeline: text)])
        try await store.removeCoverage(of: text)
        #expect(try await store.coverage() == [])
    }

    @Test("a reader sees the newest while the writer goes on")
    func reader() async throws {
        let store = try await opened(at: 1)
        let reader = try await StateStore.openReadOnly(folder.file("s"))
        for last in UInt64(10)...20 {
            try await store.setCoverage(["w": [1...last]], of: "main")
            #expect(try await reader.coverage().map(\.last) == [last])
        }
        await #expect(throws: SluiceError.self) { try await reader.setCoverage([:], of: "main") }
    }
}
