import Glibc
import SluiceCore
import SluiceStore
import Testing

@Suite struct SegmentTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    @Test("segments survive closing and opening, by pipeline, chain and sink")
    func survive() async throws {
        let path = folder.file("deep/er/state.db")
        let store = try await StateStore.open(path, clock: { 42 })
        #expect(try await store.segments(of: stream, sink: "w") == [])
        try await store.setSegments([run(300, 400), run(1, 100), run(101, 200)], of: stream, sink: "w")
        try await store.setSegments([run(7, 7)], of: stream, sink: "lake")
        try await store.setSegments([run(0, 9)], of: StreamID(pipeline: "main", chainID: 10), sink: "w")
        try await store.setSegments([run(5, 6)], of: StreamID(pipeline: "another", chainID: 1), sink: "w")
        await store.close()
        let again = try await StateStore.open(path)
        #expect(try await again.segments(of: stream, sink: "w") == [run(1, 100), run(101, 200), run(300, 400)])
        func record(_ pipeline: String, _ chainID: UInt64, _ sink: String, _ segment: Segment) -> SegmentRecord {
            SegmentRecord(pipeline: pipeline, chainID: chainID, sink: sink, segment: segment, updated: 42)
        }
        #expect(
            try await again.allSegments() == [
                record("another", 1, "w", run(5, 6)), record("main", 1, "lake", run(7, 7)), record("main", 1, "w", run(1, 100)),
                record("main", 1, "w", run(101, 200)), record("main", 1, "w", run(300, 400)), record("main", 10, "w", run(0, 9)),
            ])
        await again.close()
        for name in ["state.db", "state.db.lock"] { _ = Glibc.unlink(folder.file("deep/er/\(name)")) }
        rmdir(folder.file("deep/er"))
        rmdir(folder.file("deep"))
    }

    @Test(
        "setting replaces what the sink had, and nothing of others",
        arguments: [
            [], [run(1, 100)], [run(1, 150), run(200, 300)], [run(1, 250)], [run(1, 100, fork: 1), run(200, 300)], [run(2, 100)],
            [run(0, 0), run(1, 1), run(2, 2)],
        ])
    func replace(_ next: [Segment]) async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.setSegments([run(1, 100), run(200, 300)], of: stream, sink: "w")
        try await store.setSegments([run(1, 100)], of: stream, sink: "v")
        try await store.setSegments(next, of: stream, sink: "w")
        #expect(try await store.segments(of: stream, sink: "w") == next)
        #expect(try await store.segments(of: stream, sink: "v") == [run(1, 100)])
        // The checksum follows every kind of change.
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        #expect(try await again.segments(of: stream, sink: "w") == next)
    }

    @Test("only a segment that changed gets a new time")
    func times() async throws {
        for (time, segments) in [(Int64(1), [run(1, 5), run(10, 15)]), (2, [run(1, 5), run(10, 16)])] {
            let store = try await StateStore.open(folder.file("s"), clock: { time })
            try await store.setSegments(segments, of: stream, sink: "w")
            await store.close()
        }
        let store = try await StateStore.open(folder.file("s"))
        #expect(try await store.allSegments().map(\.updated) == [1, 2])
    }

    @Test(
        "segments that overlap or end before they begin are refused, and change nothing",
        arguments: [
            [run(1, 10), run(10, 20)], [run(5, 20), run(1, 5)], [run(1, 10), run(1, 10)], [run(1, 100), run(20, 30)], [run(9, 8)],
        ])
    func refused(_ segments: [Segment]) async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.setSegments([run(3, 4)], of: stream, sink: "w")
        let error = await #expect(throws: SluiceError.self) { try await store.setSegments(segments, of: stream, sink: "w") }
        #expect(error?.code == .segmentsInvalid)
        #expect(error?.message.contains("main@1") == true)
        #expect(try await store.segments(of: stream, sink: "w") == [run(3, 4)])
    }

    @Test("a number that cannot be stored undoes the whole step")
    func atomic() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.setSegments([run(3, 4)], of: stream, sink: "w")
        let error = await #expect(throws: SluiceError.self) {
            try await store.setSegments([run(1, 2), run(5, .max)], of: stream, sink: "w")
        }
        #expect(error?.code == SluiceError.Code("number_too_large"))
        #expect(try await store.segments(of: stream, sink: "w") == [run(3, 4)])
    }
}
