import Glibc
import SluiceCore
import SluiceStore
import Testing

/// What is noted of replays.
@Suite struct ReplayRecordTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    private func opened(at time: Int64 = 1) async throws -> StateStore { try await StateStore.open(folder.file("s"), clock: { time }) }

    private func records(_ store: StateStore) async throws -> [DeadLetterRecord] { try await store.deadLetters(limit: 99) }

    @Test("each outcome does to its letter what it should, and is found by whoever asks from that moment on")
    func outcomes() async throws {
        var store = try await opened(at: 10)
        try await store.keep((0..<6).map { letter($0) }, of: stream)
        try await store.wantReplay(matching: DeadLetterFilter())
        #expect(try await store.wantedReplays() == [1, 2, 3, 4, 5, 6])
        let all = try await records(store)
        try await store.note([ReplayResult(all[5], .orphaned)])
        await store.close()
        store = try await opened(at: 20)
        let outcomes: [ReplayOutcome] = [
            .loaded(rows: 3), .awaited, .failed(reason: "abi: odd", message: "it's: \"bad\""), .orphaned, .impossible("no: way"),
        ]
        try await store.note(
            zip(all, outcomes).map { record, outcome in
                let failure = outcome.reason.map {
                    DeadLetter(
                        register: record.letter.register, row: record.letter.row, block: record.letter.block, reason: $0,
                        message: outcome.message ?? "", payload: "new")
                }
                return ReplayResult(record, outcome, failure: failure)
            })
        await store.close()
        store = try await opened()
        let after = try await records(store)
        #expect(after.map(\.state) == [.replayed, .replayed, .open, .open, .open, .open])
        #expect(after.map(\.tries) == [1, 1, 2, 1, 1, 1])
        #expect(after.allSatisfy { $0.replayWanted == nil })
        #expect(after[2].letter.reason == "abi: odd" && after[2].letter.payload == "new")
        #expect(try await store.wantedReplays() == [])
        let told = Dictionary(uniqueKeysWithValues: zip(Int64(1)..., outcomes))
        #expect(try await store.replayOutcomes(since: 20) == told)
        #expect(try await store.replayOutcomes(since: 10) == told.merging([6: .orphaned]) { first, _ in first })
        #expect(try await store.replayOutcomes(since: 21) == [:])
        #expect(try await store.replayOutcome(of: 5) == .impossible("no: way"))
        #expect(try await store.replayOutcome(of: 7) == nil)
        // The last one counts.
        try await store.note([ReplayResult(after[2], .loaded(rows: 1))])
        #expect(try await store.replayOutcomes(since: 0)[3] == .loaded(rows: 1))
        await store.close()
        await (try await opened()).close()
    }

    @Test("a row that failed again since the replay began stays open, a dropped one dropped; what is gone is not missed")
    func meanwhile() async throws {
        let store = try await opened()
        try await store.keep((0..<3).map { letter($0) }, of: stream)
        try await store.wantReplay(matching: DeadLetterFilter())
        let before = try await records(store)
        // Its block is read anew while the replay is under way.
        try await store.keep([letter(0)], of: stream)
        try await store.dropDeadLetters([2])
        try await store.removeDeadLetters(ofPipeline: "other")
        let gone = DeadLetterRecord(
            id: 77, stream: stream, letter: letter(9), firstSeen: 1, lastSeen: 1, tries: 1, state: .open)
        try await store.note((before + [gone]).map { ReplayResult($0, .loaded(rows: 1)) })
        #expect(try await records(store).map(\.state) == [.open, .dropped, .replayed])
        #expect(try await store.replayOutcomes(since: 0) == [3: .loaded(rows: 1)])
    }

    @Test("what came of a letter goes with it, and the file stays whole")
    func removal() async throws {
        var store = try await opened()
        try await store.keep([letter(0, at: 100), letter(1, at: 101)], of: stream)
        try await store.note(try await records(store).map { ReplayResult($0, .orphaned) })
        try await store.removeDeadLetters(of: stream, behind: block(100))
        #expect(try await store.replayOutcomes(since: 0) == [1: .orphaned])
        await store.close()
        store = try await opened()
        try await store.removeDeadLetters(ofPipeline: "main")
        #expect(try await store.replayOutcomes(since: 0) == [:])
        await store.close()
        await (try await opened()).close()
    }

    @Test("all of them are noted, or none")
    func whole() async throws {
        let store = try await opened()
        try await store.keep([letter(0), letter(1)], of: stream)
        let all = try await records(store)
        let bad = DeadLetterRecord(
            id: 2, stream: StreamID(pipeline: "main", chainID: .max), letter: letter(1), firstSeen: 1, lastSeen: 1, tries: 1, state: .open)
        await #expect(throws: SluiceError.self) {
            try await store.note([
                ReplayResult(all[0], .loaded(rows: 1)), ReplayResult(bad, .failed(reason: "r", message: "m"), failure: letter(1)),
            ])
        }
        #expect(try await records(store).map(\.state) == [.open, .open])
        #expect(try await store.replayOutcomes(since: 0) == [:])
    }

    @Test("a file is free when the process that had it has ended, or nobody ever had it")
    func isFree() async throws {
        #expect(StateStore.isFree(folder.file("s")))
        let store = try await opened()
        #expect(!StateStore.isFree(folder.file("s")))
        await store.close()
        // The process that held it is this one, which lives.
        #expect(!StateStore.isFree(folder.file("s")))
        var ended: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        defer { free(arguments[0]) }
        try #require(posix_spawn(&ended, "/bin/true", nil, nil, &arguments, environ) == 0)
        try #require(waitpid(ended, nil, 0) == ended)
        folder.write("s.lock", Array("\(ended)\n".utf8))
        #expect(StateStore.isFree(folder.file("s")))
    }
}

extension StateStore {
    /// Notes that the rows of letters are loaded.
    func noteLoaded(_ ids: [Int64]) throws {
        for id in ids {
            guard let record = try deadLetter(id) else { continue }
            try note([ReplayResult(record, .loaded(rows: 1))])
        }
    }
}
