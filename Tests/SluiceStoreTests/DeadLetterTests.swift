import SluiceCore
import SluiceStore
import Testing

@Suite struct DeadLetterTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    private func opened(at time: Int64 = 1) async throws -> StateStore { try await StateStore.open(folder.file("s"), clock: { time }) }

    @Test("a letter survives closing and opening, with all that it says")
    func survives() async throws {
        let store = try await opened(at: 42)
        #expect(try await store.keep([letter(3), letter(4, at: 101, register: "logs", payload: "[1, 2]")], of: stream) == 2)
        await store.close()
        let again = try await opened()
        func record(_ id: Int64, _ letter: DeadLetter) -> DeadLetterRecord {
            DeadLetterRecord(id: id, stream: stream, letter: letter, firstSeen: 42, lastSeen: 42, tries: 1, state: .open)
        }
        #expect(
            try await again.deadLetters(limit: 9) == [
                record(1, letter(3)), record(2, letter(4, at: 101, register: "logs", payload: "[1, 2]")),
            ])
        #expect(try await again.deadLetter(2)?.letter.payload == "[1, 2]")
        #expect(try await again.deadLetter(3) == nil)
    }

    @Test("the same row that fails again is the same letter, counted once more, with the newest reason")
    func again() async throws {
        var store = try await opened(at: 1)
        try await store.keep([letter(3)], of: stream)
        await store.close()
        store = try await opened(at: 9)
        let changed = letter(3, reason: "abi_unknown", message: "no such event", payload: "{}")
        #expect(try await store.keep([changed, changed], of: stream) == 0)
        let found = try await store.deadLetters(limit: 9)
        #expect(found == [DeadLetterRecord(id: 1, stream: stream, letter: changed, firstSeen: 1, lastSeen: 9, tries: 3, state: .open)])
    }

    @Test("another row, register, branch, chain or pipeline is another letter")
    func others() async throws {
        let store = try await opened()
        try await store.keep([letter(3), letter(4), letter(3, register: "logs"), letter(3, fork: 1)], of: stream)
        try await store.keep([letter(3)], of: StreamID(pipeline: "main", chainID: 2))
        try await store.keep([letter(3)], of: StreamID(pipeline: "other", chainID: 1))
        #expect(try await store.deadLetters(limit: 99).map(\.tries) == [1, 1, 1, 1, 1, 1])
    }

    @Test("thousands are kept in one step, and read in pages without a hole or a double")
    func pages() async throws {
        let store = try await opened()
        let letters = (0..<5000).map { letter($0, reason: $0 % 3 == 0 ? "a" : "b") }
        #expect(try await store.keep(letters, of: stream) == 5000)
        var seen: [DeadLetter] = []
        var after: Int64 = 0
        while true {
            let page = try await store.deadLetters(DeadLetterFilter(reason: "b"), after: after, limit: 700)
            guard let last = page.last else { break }
            seen += page.map(\.letter)
            after = last.id
        }
        #expect(seen == letters.filter { $0.reason == "b" })
        #expect(
            try await store.deadLetterCounts() == [
                DeadLetterCount(pipeline: "main", reason: "a", state: .open, count: 1667),
                DeadLetterCount(pipeline: "main", reason: "b", state: .open, count: 3333),
            ])
        #expect(try await store.deadLetters(limit: 0) == [])
        #expect(try await store.deadLetters(limit: -5) == [])
    }

    @Test("filters mean what they say")
    func filters() async throws {
        let store = try await opened()
        try await store.keep([letter(1), letter(2, register: "logs"), letter(3, reason: "other")], of: stream)
        try await store.keep([letter(4)], of: StreamID(pipeline: "second", chainID: 1))
        try await store.dropDeadLetters([1])
        try await store.wantReplay(of: [3])
        func ids(_ filter: DeadLetterFilter) async throws -> [Int64] { try await store.deadLetters(filter, limit: 9).map(\.id) }
        #expect(try await ids(DeadLetterFilter(pipeline: "main")) == [1, 2, 3])
        #expect(try await ids(DeadLetterFilter(register: "logs")) == [2])
        #expect(try await ids(DeadLetterFilter(reason: "abi_malformed")) == [1, 2, 4])
        #expect(try await ids(DeadLetterFilter(pipeline: "main", reason: "abi_malformed", state: .open)) == [2])
        #expect(try await ids(DeadLetterFilter(isReplayWanted: true)) == [3])
        #expect(try await ids(DeadLetterFilter(pipeline: "none")) == [])
    }

    @Test("beyond the limit nothing is kept, and the pipeline is to pause")
    func limit() async throws {
        let store = try await opened()
        try await store.keep((0..<8).map { letter($0) }, of: stream, limit: 10)
        let more = (6..<12).map { letter($0) }
        let error = await #expect(throws: SluiceError.self) { try await store.keep(more, of: stream, limit: 10) }
        #expect(error?.code == .deadLettersFull && error?.class == .pause)
        #expect(error?.message.contains("main@1") == true && error?.mend?.contains("sluice dlq") == true)
        // All or nothing: the two that were known have not been counted again either.
        #expect(try await store.deadLetters(limit: 99).map(\.tries) == Array(repeating: 1, count: 8))
        // Another pipeline has room of its own.
        try await store.keep((0..<10).map { letter($0) }, of: StreamID(pipeline: "other", chainID: 1), limit: 10)
        // Known ones may come again, even when the limit is lower by now; dropped ones make room.
        #expect(try await store.keep([letter(0)], of: stream, limit: 3) == 0)
        try await store.dropDeadLetters([1, 2, 3, 4])
        #expect(try await store.keep(more, of: stream, limit: 10) == 4)
        // One that becomes open again takes a place as well.
        try await store.noteLoaded([5])
        try await store.keep([letter(90), letter(91), letter(92)], of: stream, limit: 10)
        await #expect(throws: SluiceError.self) { try await store.keep([letter(4)], of: stream, limit: 10) }
        #expect(try await store.deadLetter(5)?.state == .replayed)
    }

    @Test("a dropped row that fails again stays dropped; a replayed one is open again")
    func states() async throws {
        let store = try await opened()
        try await store.keep([letter(1), letter(2), letter(3)], of: stream)
        #expect(try await store.wantReplay(of: [1, 2, 3]) == [1, 2, 3])
        #expect(try await store.dropDeadLetters([1]) == 1)
        try await store.noteLoaded([2, 77])
        #expect(try await store.deadLetters(limit: 9).map(\.state) == [.dropped, .replayed, .open])
        #expect(try await store.deadLetters(limit: 9).map(\.replayWanted) == [nil, nil, 1])
        // Only what is open can be dropped or marked.
        #expect(try await store.dropDeadLetters([1, 2]) == 0)
        #expect(try await store.wantReplay(of: [1, 2]) == [])
        #expect(try await store.keep([letter(1), letter(2), letter(3)], of: stream) == 1)
        #expect(try await store.deadLetters(limit: 9).map(\.state) == [.dropped, .open, .open])
        // What was asked for has been tried with that.
        #expect(try await store.deadLetters(limit: 9).map(\.replayWanted) == [nil, nil, nil])
    }

    @Test("a number that no letter has changes nothing")
    func unknown() async throws {
        let store = try await opened()
        try await store.keep([letter(1)], of: stream)
        for isDrop in [true, false] {
            let error = await #expect(throws: SluiceError.self) {
                _ = isDrop ? try await store.dropDeadLetters([1, 2]) : try await store.wantReplay(of: [1, 2]).count
            }
            #expect(error?.code == .deadLetterUnknown && error?.message.contains("2") == true)
        }
        #expect(try await store.deadLetters(limit: 9).map(\.state) == [.open])
        #expect(try await store.deadLetter(1)?.replayWanted == nil)
    }

    @Test("all of a pipeline or of a reason are dropped or marked at once, thousands as well")
    func many() async throws {
        let store = try await opened()
        try await store.keep((0..<2500).map { letter($0, reason: $0 % 2 == 0 ? "a" : "b") }, of: stream)
        try await store.keep([letter(0, reason: "a")], of: StreamID(pipeline: "other", chainID: 1))
        #expect(try await store.wantReplay(matching: DeadLetterFilter(pipeline: "main", reason: "b")).count == 1250)
        #expect(try await store.dropDeadLetters(matching: DeadLetterFilter(pipeline: "main", reason: "a")) == 1250)
        #expect(try await store.dropDeadLetters(matching: DeadLetterFilter(pipeline: "main", reason: "a")) == 0)
        #expect(try await store.deadLetters(DeadLetterFilter(isReplayWanted: true), limit: 9999).count == 1250)
        #expect(
            try await store.deadLetterCounts() == [
                DeadLetterCount(pipeline: "main", reason: "a", state: .dropped, count: 1250),
                DeadLetterCount(pipeline: "main", reason: "b", state: .open, count: 1250),
                DeadLetterCount(pipeline: "other", reason: "a", state: .open, count: 1),
            ])
    }

    @Test("a rollback takes the letters of orphaned blocks, whatever has become of them")
    func rollback() async throws {
        let store = try await opened()
        try await store.keep((98...103).map { letter(1, at: $0) } + [letter(1, at: 100, fork: 1)], of: stream)
        try await store.keep([letter(1, at: 102)], of: StreamID(pipeline: "main", chainID: 2))
        try await store.keep([letter(1, at: 102)], of: StreamID(pipeline: "other", chainID: 1))
        try await store.dropDeadLetters([5])
        // The letter of the same height on another branch goes as well.
        try await store.removeDeadLetters(of: stream, behind: block(100))
        #expect(try await store.deadLetters(limit: 99).map(\.id) == [1, 2, 3, 8, 9])
        // Ids are not given again.
        try await store.keep([letter(1, at: 101)], of: stream)
        #expect(try await store.deadLetters(limit: 99).map(\.id).last == 10)
        // What lies in another run of blocks stays.
        try await store.keep([letter(1, at: 200)], of: stream)
        try await store.removeDeadLetters(of: stream, behind: block(99), through: 150)
        #expect(try await store.deadLetters(DeadLetterFilter(pipeline: "main"), limit: 99).map(\.id) == [1, 2, 8, 11])
        try await store.removeDeadLetters(ofPipeline: "main")
        #expect(try await store.deadLetters(limit: 99).map(\.id) == [9])
    }

    @Test("hostile texts come back as they were, in every place", arguments: hostileTexts)
    func hostile(_ text: String) async throws {
        let store = try await opened()
        let hostile = DeadLetter(register: text, row: text, block: block(1), reason: text, message: text, payload: text)
        let name = StreamID(pipeline: text, chainID: 1)
        try await store.keep([hostile, hostile, letter(1)], of: name)
        await store.close()
        let again = try await opened()
        let filter = DeadLetterFilter(pipeline: text, register: text, reason: text)
        let found = try await again.deadLetters(filter, limit: 9)
        #expect(found.map(\.letter) == [hostile] && found.map(\.tries) == [2])
        #expect(try await again.dropDeadLetters(matching: filter) == 1)
        #expect(try await again.deadLetters(limit: 9).count == 2)
    }

    @Test("a number that cannot be stored undoes the whole step")
    func atomic() async throws {
        let store = try await opened()
        await #expect(throws: SluiceError.self) { try await store.keep([letter(1), letter(2, at: .max)], of: stream) }
        #expect(try await store.deadLetters(limit: 9) == [])
    }

    @Test("after any history, what is kept equals a model", arguments: UInt64(1)...6)
    func history(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var store = try await opened()
        var model: [DeadLetter: (tries: UInt64, state: DeadLetterRecord.State)] = [:]
        for round in 0..<120 {
            let all = try await store.deadLetters(limit: 9999)
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let number = UInt64.random(in: 100...110, using: &random)
                try await store.removeDeadLetters(of: stream, behind: block(number))
                model = model.filter { $0.key.block.number < number || $0.key.block == block(number) }
            case 1:
                let chosen = all.filter { _ in Bool.random(using: &random) }
                try await store.dropDeadLetters(chosen.map(\.id))
                for record in chosen where model[record.letter]?.state == .open { model[record.letter]?.state = .dropped }
            case 2:
                let chosen = all.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }.filter { $0.state == .open }
                try await store.noteLoaded(chosen.map(\.id))
                for record in chosen { model[record.letter]?.state = .replayed }
            default:
                let some = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                    letter(
                        Int.random(in: 0..<6, using: &random), at: UInt64.random(in: 100...112, using: &random),
                        fork: UInt8.random(in: 0...1, using: &random))
                }
                try await store.keep(some, of: stream)
                for one in some {
                    let before = model[one] ?? (0, .open)
                    model[one] = (before.tries + 1, before.state == .replayed ? .open : before.state)
                }
            }
            if round % 40 == 39 {
                await store.close()
                store = try await opened()
            }
            let found = try await store.deadLetters(limit: 9999)
            #expect(found.count == model.count)
            for record in found {
                #expect(model[record.letter]?.tries == record.tries && model[record.letter]?.state == record.state, "round \(round)")
            }
        }
        await store.close()
    }
}
