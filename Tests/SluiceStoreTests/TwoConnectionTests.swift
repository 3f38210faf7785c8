import Glibc
import SluiceCore
import SluiceStore
import Testing

@testable import SluiceStore

/// An operator's command beside the process that runs pipelines.
@Suite struct TwoConnectionTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    @Test("what a command decides is seen by the run, and the other way round")
    func seen() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.keep([letter(1), letter(2)], of: stream)
        let command = try await StateStore.openBeside(folder.file("s"))
        #expect(try await command.dropDeadLetters([1]) == 1)
        #expect(try await store.deadLetter(1)?.state == .dropped)
        try await store.keep([letter(3)], of: stream)
        #expect(try await command.wantReplay(matching: DeadLetterFilter(pipeline: "main")).count == 2)
        #expect(try await store.deadLetters(DeadLetterFilter(isReplayWanted: true), limit: 9).map(\.id) == [2, 3])
        await command.close()
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        #expect(try await again.deadLetterCounts().map(\.count) == [1, 2])
    }

    @Test("it needs a file, and makes none")
    func missing() async throws {
        let error = await #expect(throws: SluiceError.self) { _ = try await StateStore.openBeside(folder.file("s")) }
        #expect(error?.code == .storeUnavailable)
        #expect(folder.names == [])
    }

    @Test("both write at the same time: nothing is lost, nothing fails, and openings meanwhile find a sound file")
    func together() async throws {
        let path = folder.file("s")
        let store = try await StateStore.open(path)
        try await store.keep((0..<400).map { letter($0) }, of: stream)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 400..<600 {
                    try await store.keep([letter(number)], of: stream)
                    try await store.setSegments([run(1, UInt64(number))], of: stream, sink: "w")
                }
            }
            group.addTask {
                let command = try await StateStore.openBeside(path)
                for id in Int64(1)...200 { _ = try await command.dropDeadLetters([id]) }
                await command.close()
            }
            group.addTask {
                for _ in 0..<20 {
                    let reader = try await StateStore.openReadOnly(path)
                    let count = try await reader.deadLetterCounts().reduce(0) { $0 + $1.count }
                    #expect((400...600).contains(count))
                    await reader.close()
                }
            }
            try await group.waitForAll()
        }
        await store.close()
        let again = try await StateStore.open(path)
        #expect(
            try await again.deadLetterCounts() == [
                DeadLetterCount(pipeline: "main", reason: "abi_malformed", state: .dropped, count: 200),
                DeadLetterCount(pipeline: "main", reason: "abi_malformed", state: .open, count: 400),
            ])
        #expect(try await again.segments(of: stream, sink: "w") == [run(1, 599)])
        await again.close()
    }

    @Test("a command waits while the run is amid a change, and then goes on")
    func waits() async throws {
        let path = folder.file("s")
        let store = try await StateStore.open(path)
        try await store.keep([letter(1)], of: stream)
        let command = try await StateStore.openBeside(path)
        // Another connection holds the file for a moment; on a thread of its own, as SQLite wants it.
        let (isHeld, holds) = AsyncStream.makeStream(of: Void.self)
        TestThread.start {
            guard let database = try? SQLiteDatabase(path, readOnly: false) else { return holds.finish() }
            try? database.run("BEGIN IMMEDIATE")
            holds.yield()
            usleep(300_000)
            try? database.run("COMMIT")
            holds.finish()
        }
        var holding = isHeld.makeAsyncIterator()
        await #expect(holding.next() != nil)
        #expect(try await command.dropDeadLetters([1]) == 1)
        await command.close()
        await store.close()
    }
}
