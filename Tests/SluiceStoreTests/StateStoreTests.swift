import Glibc
import SluiceCore
import SluiceStore
import Testing

@Suite struct StateStoreTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

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
                        try store.blocking { try $0.setSegments([run(1, number)], of: stream, sink: "x") }
                        return try store.blocking { try $0.segments(of: stream, sink: "x") }
                    })
            }
        }
        #expect(found == [run(1, 5)])
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
