import Glibc
import SluiceCore
import SluiceStore
import Testing

@Suite struct StateStoreTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    @Test("positions survive closing and opening, by pipeline, chain and sink")
    func positions() async throws {
        let path = folder.file("deep/er/state.db")
        let store = try await StateStore.open(path, clock: { 42 })
        #expect(try await store.position(of: stream, sink: "w") == nil)
        try await store.setPosition(block(100), of: stream, sink: "w")
        try await store.setPosition(block(200), of: stream, sink: "w")
        try await store.setPosition(block(7), of: stream, sink: "lake")
        try await store.setPosition(block(9), of: StreamID(pipeline: "main", chainID: 10), sink: "w")
        try await store.setPosition(block(150), of: stream, sink: "w")
        await store.close()
        let again = try await StateStore.open(path)
        #expect(try await again.position(of: stream, sink: "w") == block(150))
        #expect(
            try await again.positions() == [
                PositionRecord(pipeline: "main", chainID: 1, sink: "lake", number: 7, updated: 42),
                PositionRecord(pipeline: "main", chainID: 1, sink: "w", number: 150, updated: 42),
                PositionRecord(pipeline: "main", chainID: 10, sink: "w", number: 9, updated: 42),
            ])
        try await again.removePosition(of: stream, sink: "w")
        #expect(try await again.position(of: stream, sink: "w") == nil)
        await again.close()
        for name in ["state.db", "state.db.lock"] { _ = Glibc.unlink(folder.file("deep/er/\(name)")) }
        rmdir(folder.file("deep/er"))
        rmdir(folder.file("deep"))
    }

    @Test("the tail of recent blocks grows, is pruned at finality and cut by a reorganisation")
    func recent() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.appendRecentBlocks((1...10).map { block($0) }, of: stream)
        try await store.appendRecentBlocks([block(11)], of: stream, finalized: 8)
        #expect(try await store.recentBlocks(of: stream) == (8...11).map { block($0) })
        try await store.removeRecentBlocks(of: stream, after: 9)
        try await store.appendRecentBlocks([block(9, fork: 1), block(10, fork: 1)], of: stream)
        #expect(try await store.recentBlocks(of: stream) == [block(8), block(9, fork: 1), block(10, fork: 1)])
        #expect(try await store.recentBlocks(of: StreamID(pipeline: "main", chainID: 2)) == [])
    }

    @Test("an append with a number that cannot be stored changes nothing")
    func atomic() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.appendRecentBlocks([block(1)], of: stream)
        await #expect(throws: SluiceError.self) { try await store.appendRecentBlocks([block(2), block(.max)], of: stream) }
        #expect(try await store.recentBlocks(of: stream) == [block(1)])
    }

    @Test("meta values are set, replaced and removed")
    func meta() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.setMeta("k", "1")
        try await store.setMeta("k", "it's; \"2\"")
        #expect(try await store.meta("k") == "it's; \"2\"")
        try await store.setMeta("k", nil)
        #expect(try await store.meta("k") == nil)
    }

    @Test("a reader sees the status while the writer goes on")
    func status() async throws {
        let path = folder.file("s")
        let store = try await StateStore.open(path, clock: { 77 })
        let reader = try await StateStore.openReadOnly(path)
        #expect(try await reader.statuses() == [])
        var status = RunStatus(
            pipeline: "main", chainID: 1, state: "live", message: "it runs", head: 120, finalized: 50, position: 119, reorgs: 3,
            deepestReorg: 2,
            rows: ["blocks": 10, "logs": 400], started: 5)
        try await store.setStatus(status)
        status.rows = ["logs": 500]
        status.message = nil
        status.head = nil
        try await store.setStatus(status)
        status.updated = 77
        #expect(try await reader.statuses() == [status])
        let second = try await StateStore.openReadOnly(path)
        #expect(try await second.statuses() == [status])
        await #expect(throws: SluiceError.self) { try await reader.setMeta("a", "b") }
        try await store.removeStatus(of: "main")
        #expect(try await reader.statuses() == [])
    }

    @Test("threads of their own may wait for the store")
    func blocking() async throws {
        let store = try await StateStore.open(folder.file("s"))
        let (stream, number) = (stream, UInt64(5))
        let found = try await withCheckedThrowingContinuation { continuation in
            TestThread.start {
                continuation.resume(
                    with: Result {
                        try store.blocking { try $0.setPosition(block(number), of: stream, sink: "x") }
                        return try store.blocking { try $0.position(of: stream, sink: "x") }
                    })
            }
        }
        #expect(found == block(5))
    }

    @Test("many tasks at once are served one after the other")
    func concurrent() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in UInt64(1)...64 { group.addTask { try await store.setMeta("k\(number % 8)", "\(number)") } }
            try await group.waitForAll()
        }
        for key in 0..<8 { #expect(try await store.meta("k\(key)").flatMap { UInt64($0) }.map { $0 % 8 } == UInt64(key)) }
    }

    @Test("a closed store says so")
    func closed() async throws {
        let store = try await StateStore.open(folder.file("s"))
        await store.close()
        await store.close()
        let error = await #expect(throws: SluiceError.self) { try await store.setMeta("a", "b") }
        #expect(error?.code == .storeClosed)
    }
}
