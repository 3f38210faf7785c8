import Glibc
import SluiceCore
import Testing

@testable import SluiceStore

@Suite struct MigrationTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    /// Makes a file as version 1 made it, statement by statement; each stands on its line.
    private func golden(_ name: String, instead: (String) -> String = { $0 }) throws {
        let path = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Golden/version-1.sql"
        let database = try SQLiteDatabase(folder.file(name), readOnly: false, create: true)
        let text = try #require(StoreFolder.text(path))
        for line in text.split(separator: "\n") { try database.run(instead(String(line))) }
        #expect(try database.number("PRAGMA user_version") == 1)
    }

    private func version(_ name: String) throws -> Int64 {
        try SQLiteDatabase(folder.file(name), readOnly: true).number("PRAGMA user_version")
    }

    @Test("a file of version 1 keeps all that it says, and takes what is new")
    func first() async throws {
        try golden("s")
        let store = try await StateStore.open(folder.file("s"))
        #expect(try await store.meta("finalized:main@1") == "90")
        #expect(try await store.segments(of: stream, sink: "lake") == [run(1, 80), run(91, 105)])
        #expect(try await store.ancestors(of: block(103, fork: 1), stream: stream) == (100...102).map { block($0) } + [block(103, fork: 1)])
        #expect(
            try await store.statuses() == [
                RunStatus(
                    pipeline: "main", chainID: 1, state: "live", message: "it's \"fine\"", head: 110, finalized: 90, position: 105,
                    reorgs: 2, deepestReorg: 3, rows: ["blocks": 95, "logs": 4000], started: 5, updated: 1_700_000_000_000_000)
            ])
        #expect(try await store.deadLetterCounts() == [])
        #expect(try await store.coverage() == [])
        #expect(try await store.pipelines() == [])
        #expect(try await store.bundles(of: "main") == [])
        try await store.keep([letter(7)], of: stream)
        try await store.setSegments([run(1, 106)], of: stream, sink: "lake")
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        #expect(try await again.deadLetters(limit: 9).map(\.letter) == [letter(7)])
        #expect(try await again.segments(of: stream, sink: "lake") == [run(1, 106)])
        await again.close()
    }

    @Test("a file of version 1 is the same as one that is made anew, table by table")
    func same() async throws {
        try golden("old")
        for name in ["old", "new"] { await (try await StateStore.open(folder.file(name))).close() }
        func schema(_ name: String) throws -> [String] {
            var out: [String] = []
            try SQLiteDatabase(folder.file(name), readOnly: true).run("SELECT name, sql FROM sqlite_schema ORDER BY name") {
                row throws(SluiceError) in out.append(row.text(0) + row.text(1))
            }
            return out
        }
        #expect(try schema("old") == schema("new"))
        #expect(try schema("old").count > 30)
    }

    @Test("reading a file of version 1 does not touch it, and says what brings it up to date")
    func reading() async throws {
        try golden("s")
        let before = folder.read("s")
        for opening in [StateStore.openReadOnly, { try await StateStore.openBeside($0) }] {
            let path = folder.file("s")
            let error = await #expect(throws: SluiceError.self) { _ = try await opening(path) }
            #expect(error?.code == .storeTooNew)
            #expect(error?.message.contains("version 1") == true && error?.mend?.contains("sluice run") == true)
        }
        #expect(folder.read("s") == before)
    }

    @Test("a file of version 1 that is damaged is refused, and stays what it was")
    func damaged() async throws {
        // A block number that changed behind the digests' back.
        try golden("s") { $0.hasPrefix("INSERT INTO \"segments\"") ? $0.replacing(",91,", with: ",90,") : $0 }
        let error = await #expect(throws: SluiceError.self) { _ = try await StateStore.open(folder.file("s")) }
        #expect(error?.code == .storeCorrupt)
        #expect(error?.message.contains("segments") == true)
        #expect(try version("s") == 1)
    }

    @Test("a migration that was interrupted has not happened")
    func interrupted() async throws {
        try golden("s")
        do {
            // What a crash amid the migration leaves: a transaction that nobody ends.
            let database = try SQLiteDatabase(folder.file("s"), readOnly: false)
            try database.run("BEGIN IMMEDIATE")
            for statement in StoreMigration.records.statements.prefix(3) { try database.run(statement) }
        }
        #expect(try version("s") == 1)
        let store = try await StateStore.open(folder.file("s"))
        #expect(try await store.segments(of: stream, sink: "lake").count == 2)
        await store.close()
        #expect(try version("s") == 3)
    }
}
