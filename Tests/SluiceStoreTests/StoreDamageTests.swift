import Glibc
import SluiceCore
import SluiceStore
import Testing

@Suite struct StoreDamageTests {
    private let stream = StreamID(pipeline: "main", chainID: 1)

    /// All that a store says.
    private struct Content: Equatable {
        var segments: [SegmentRecord]
        var main: [BlockRef]
        var fork: [BlockRef]
        var meta: String?
        var statuses: [RunStatus]
        var letters: [DeadLetterRecord]
        var coverage: [CoverageRecord]
        var pipelines: [PipelineRecord]
        var bundles: [StoredBundle]
        var replays: [Int64: ReplayOutcome]
    }

    private func content(_ store: StateStore) async throws -> Content {
        Content(
            segments: try await store.allSegments(), main: try await store.ancestors(of: block(110), stream: stream),
            fork: try await store.ancestors(of: block(112, fork: 1), stream: stream),
            meta: try await store.meta("note"), statuses: try await store.statuses(),
            letters: try await store.deadLetters(limit: 99), coverage: try await store.coverage(), pipelines: try await store.pipelines(),
            bundles: try await store.bundles(of: "main"), replays: try await store.replayOutcomes(since: 0))
    }

    /// Two runs, the first up to block `number`. Both change from one number to the next, so that a write done by halves shows.
    private func holed(_ number: UInt64) -> [Segment] { [run(1, number), run(1_000_000 + number, 1_000_000 + 2 * number)] }

    @Test("a flipped byte makes an error or changes nothing, and never a silent reset")
    func flip() async throws {
        let origin = try StoreFolder()
        let store = try await StateStore.open(origin.file("s"), clock: { 1 })
        try await store.setSegments([run(18_000_000, 18_500_000), run(19_000_000, 19_000_999)], of: stream, sink: "w")
        try await store.remember((100...110).map { link($0) }, of: stream)
        try await store.remember([link(106, fork: 1, onto: 0)] + (107...112).map { link($0, fork: 1) }, of: stream)
        try await store.setMeta("note", "something to remember")
        try await store.setStatus(RunStatus(pipeline: "main", chainID: 1, state: "live", head: 7, rows: ["logs": 9]))
        try await store.keep([letter(1), letter(2, at: 101)], of: stream)
        try await store.note(try await store.deadLetters(limit: 1).map { ReplayResult($0, .impossible("nobody knows")) })
        try await store.setCoverage(["w": [18_000_000...18_500_000]], of: "main")
        try await store.save(
            PipelineRecord(
                puuid: "0102-ab", pid: [1, 2], name: "main", definition: "{\"register\":\"logs\"}", state: .live, fingerprint: "f1"))
        try await store.save([StoredBundle(block: block(110), record: [7, 8, 9])], of: "main")
        let expected = try await content(store)
        #expect(expected.segments.count == 2 && expected.main.count == 11 && expected.fork.count == 13)
        await store.close()
        let sound = try #require(origin.read("s"))
        #expect(origin.read("s-wal") == nil)

        // The first bytes of every page are its structure: all of them; of the rest a seeded sample, mostly of what is not zero.
        var random = SeededRandom(seed: 99)
        var offsets = Set(0..<112)
        for page in stride(from: 4096, to: sound.count, by: 4096) { offsets.formUnion(page..<page + 16) }
        let used = sound.indices.filter { sound[$0] != 0 }
        for _ in 0..<500 { offsets.insert(used.randomElement(using: &random) ?? 0) }
        for _ in 0..<150 { offsets.insert(Int.random(in: 0..<sound.count, using: &random)) }

        let folder = try StoreFolder()
        var refused = 0
        var unharmed = 0
        for offset in offsets.sorted() {
            var bytes = sound
            bytes[offset] ^= UInt8(1 << Int.random(in: 0..<8, using: &random))
            for name in folder.names where name != "s.lock" { unlink(folder.file(name)) }
            folder.write("s", bytes)
            do {
                let damaged = try await StateStore.open(folder.file("s"))
                let found = try await content(damaged)
                #expect(found == expected, "byte \(offset) changed what the store says")
                await damaged.close()
                unharmed += 1
            } catch let error as SluiceError {
                #expect(error.message.contains(folder.file("s")), "\(error)")
                refused += 1
            }
        }
        // Most used bytes matter; free space does not.
        #expect(refused > 300 && unharmed > 20, "\(refused) refused, \(unharmed) unharmed")
    }

    @Test("copies of file and log at any moment hold segments that were set, and later copies no earlier ones")
    func snapshots() async throws {
        let origin = try StoreFolder()
        let store = try await StateStore.open(origin.file("s"))
        var random = SeededRandom(seed: 5)
        var last: UInt64 = 0
        for number in UInt64(1)...400 {
            try await store.remember([link(number)], of: stream)
            if number > 20 { try await store.forgetBlocks(of: stream, below: number - 20) }
            try await store.setSegments(holed(number), of: stream, sink: "w")
            guard Int.random(in: 0..<16, using: &random) == 0 else { continue }
            // What a cut leaves: the file as it is, and a log of which the end may be missing or torn.
            let copy = try StoreFolder()
            copy.write("s", try #require(origin.read("s")))
            var log = origin.read("s-wal") ?? []
            let torn = Bool.random(using: &random)
            if torn, !log.isEmpty { log.removeLast(Int.random(in: 1...min(log.count, 3000), using: &random)) }
            copy.write("s-wal", log)
            let recovered = try await StateStore.open(copy.file("s"))
            let segments = try await recovered.segments(of: stream, sink: "w")
            let found = try #require(segments.first?.last)
            #expect(segments == holed(found.number))
            #expect(torn ? found.number <= number && found.number >= last : found.number == number)
            // Blocks are remembered before a segment ends with them: whatever is found, its parents are known.
            let known = try await recovered.ancestors(of: found, stream: stream)
            #expect(known == ((known.first?.number ?? .max)...found.number).map { block($0) } && known.count >= min(Int(found.number), 20))
            last = torn ? last : number
            await recovered.close()
        }
        #expect(last > 300)
        await store.close()
    }

    @Test("a killed writer leaves a store that opens, with every acknowledged segment")
    func killed() async throws {
        let folder = try StoreFolder()
        for round in 0..<3 {
            let path = folder.file("s")
            var pipe: [Int32] = [0, 0]
            #expect(Glibc.pipe(&pipe) == 0)
            // The child is this test program again, told by the environment to run `writesUntilKilled` only.
            var child = pid_t()
            try #require(ChildProcess.spawnSelf(&child, filter: "writesUntilKilled", variable: "SLUICE_STORE_CHILD=\(path) \(pipe[1])"))
            close(pipe[1])
            // The child writes a byte into the pipe after every acknowledged write; kill it after some.
            let wanted = 20 + 7 * round
            let fd = pipe[0]
            let pid = child
            let acknowledged = await withCheckedContinuation { continuation in
                TestThread.start {
                    var seen = 0
                    var byte: UInt8 = 0
                    while seen < wanted, read(fd, &byte, 1) == 1 { seen += 1 }
                    kill(pid, SIGKILL)
                    while read(fd, &byte, 1) == 1 { seen += 1 }
                    var status: Int32 = 0
                    waitpid(pid, &status, 0)
                    close(fd)
                    continuation.resume(returning: seen)
                }
            }
            try #require(acknowledged >= wanted, "the child wrote only \(acknowledged) times")
            let store = try await StateStore.open(path)
            let segments = try await store.segments(of: stream, sink: "w")
            let found = try #require(segments.first?.last)
            let before = try await store.meta("base").flatMap { UInt64($0) } ?? 0
            #expect(segments == holed(found.number))
            #expect(try await store.ancestors(of: found, stream: stream).last == found)
            // One more may be durable than was acknowledged.
            #expect((UInt64(acknowledged)...UInt64(acknowledged + 1)).contains(found.number - before))
            await store.close()
        }
    }

    @Test("the child of the test above", .enabled(if: getenv("SLUICE_STORE_CHILD") != nil))
    func writesUntilKilled() async throws {
        let words = try #require(getenv("SLUICE_STORE_CHILD").map { String(cString: $0).split(separator: " ").map(String.init) })
        let pipe = try #require(Int32(words[1]))
        let store = try await StateStore.open(words[0])
        let start = try await store.segments(of: stream, sink: "w").first?.last.number ?? 0
        try await store.setMeta("base", "\(start)")
        for number in (start + 1)...(start + 100_000) {
            try await store.remember([link(number)], of: stream)
            try await store.setSegments(holed(number), of: stream, sink: "w")
            var byte: UInt8 = 1
            guard write(pipe, &byte, 1) == 1 else { return }
        }
    }
}
