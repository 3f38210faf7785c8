import Glibc
import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite struct DeadLetterTests {
    private static let place = [Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), "")]
    private static let transfers = Schema(
        name: "transfers", key: [], doc: "", fields: [Field("log_index", .int64, ""), Field("item", .string, "")] + place)
    private static let transactions = Schema(
        name: "transactions", key: [], doc: "", fields: [Field("transaction_index", .uint64, ""), Field("item", .string, "")] + place)
    private static let counts = Schema(name: "counts", key: [], doc: "", fields: [Field("item", .string, "")] + place)

    private static func block(_ number: UInt64, _ branch: UInt8 = 0) -> FakeBlock { FakeBlock(number: number, branch: branch) }

    /// Rows of (place, item, block).
    private static func table(_ schema: Schema, _ rows: [(UInt64, String, FakeBlock)]) -> Table {
        let columns = schema.fields.map { field in
            var builder = ColumnBuilder(field.type)
            for (place, item, block) in rows {
                switch field.name {
                case "item": builder.append(item)
                case "block_number": builder.append(Int64(block.number))
                case "block_hash": builder.append(block.hash)
                default: builder.append(place)
                }
            }
            return builder.finish()
        }
        return Table(schema: schema, columns: columns, rowCount: rows.count)
    }

    private static func batch(_ blocks: [FakeBlock], _ tables: [Table]) -> Batch {
        Batch(
            chainID: 1,
            span: Span(first: blocks[0].number, parentHash: .zero, blocks: blocks.map { BlockStamp(hash: $0.hash, timestamp: 0) }),
            tables: tables)
    }

    private static func letter(_ row: String, _ block: FakeBlock, register: String = "transfers", reason: String = "r") -> DeadLetter {
        DeadLetter(register: register, row: row, block: block.ref, reason: reason, message: "m", payload: "{}")
    }

    private static func items(_ tables: [Table]) -> [String: [String]] {
        tables.reduce(into: [:]) { all, table in
            guard let column = table.column("item") else { return }
            all[table.schema.name] = (0..<table.rowCount).map { String(decoding: column.bytes($0), as: UTF8.self) }
        }
    }

    // MARK: - The rows of a letter

    private let three = batch(
        [block(9), block(10), block(11)],
        [
            table(transfers, [(7, "a", block(9)), (6, "b", block(10)), (7, "c", block(10)), (7, "d", block(10)), (7, "e", block(11))]),
            table(transactions, [(7, "f", block(10)), (8, "g", block(10))]), table(counts, [(0, "h", block(10))]),
        ])

    @Test("the rows of a log or a transaction are cut out of its block, all of them and no others")
    func cut() throws {
        func rows(_ row: String, _ block: FakeBlock, _ tables: String...) throws -> [String: [String]] {
            Self.items(try DeadLetterRows.rowsToLoad(Self.letter(row, block), three, tables: tables).tables)
        }
        #expect(try rows("log 7", Self.block(10), "transfers", "nowhere") == ["transfers": ["c", "d"]])
        #expect(try rows("transaction 8", Self.block(10), "transactions") == ["transactions": ["g"]])
        // A table that has none there is named: what an earlier try left goes.
        #expect(try rows("log 5", Self.block(10), "transfers") == ["transfers": []])
        for block in [Self.block(12), Self.block(8), Self.block(10, 1)] {
            #expect(try rows("log 7", block, "transfers") == [:], "\(block)")
        }
        #expect(try rows("log 7", Self.block(10)) == [:])
    }

    @Test(
        "a row that is named in another way, or cannot be told from others, is an error and no empty answer",
        arguments: [
            ("withdrawal 3", "transfers"), ("log", "transfers"), ("log -1", "transfers"), ("log 07", "transfers"), ("log 7 ", "transfers"),
            ("log +7", "transfers"), ("log 99999999999999999999", "transfers"), ("", "transfers"), ("Log 7", "transfers"),
            ("log 7", "counts"), ("log 7", "transactions"), ("transaction 7", "transfers"),
        ])
    func unknown(_ row: String, _ table: String) {
        let error = #expect(throws: SluiceError.self) {
            try DeadLetterRows.rowsToLoad(Self.letter(row, Self.block(10)), three, tables: [table])
        }
        #expect(error?.code == .deadLetterRow && error?.class == .data)
    }

    // MARK: - Replay

    /// A runtime in memory: what blocks are made into by now, and what was loaded.
    private final class FakeRuntime: DeadLetterReplay {
        let blocks: [UInt64: ReplayedBlock]
        let absent: Set<UInt64>
        let state = Mutex((reads: [[UInt64]](), loads: [String](), failure: SluiceError?.none))

        init(_ blocks: [UInt64: ReplayedBlock], absent: Set<UInt64> = []) {
            self.blocks = blocks
            self.absent = absent
        }

        func read(_ numbers: [UInt64]) async throws -> [UInt64: ReplayedBlock] {
            state.withLock { $0.reads.append(numbers) }
            guard let missing = numbers.first(where: { blocks[$0] == nil }) else { return blocks.filter { numbers.contains($0.key) } }
            throw SluiceError(.init("fake"), .retry, "no block \(missing)")
        }

        func load(_ amendments: [Amendment], into sink: String?) async throws -> ReplayLoad {
            try state.withLock { state in
                if let failure = state.failure { throw failure }
                state.loads += amendments.map { amendment in
                    let items = DeadLetterTests.items([amendment.rows]).values.flatMap { $0 }.joined()
                    return "\(amendment.block.number) \(amendment.column) \(amendment.places.sorted()): \(items)"
                }
            }
            return ReplayLoad(
                sinks: Dictionary(uniqueKeysWithValues: Set(amendments.map(\.block.number)).subtracting(absent).map { ($0, 1) }))
        }
    }

    private func made(
        _ block: FakeBlock, _ rows: [(UInt64, String)], fails: [DeadLetter] = [], taught: Set<String> = []
    ) -> ReplayedBlock {
        ReplayedBlock(
            batch: Self.batch([block], [Self.table(Self.transfers, rows.map { ($0.0, $0.1, block) })]), deadLetters: fails,
            tables: ["transfers": ["transfers"], "counts": ["counts"], "again": ["transfers"]], taught: taught)
    }

    /// A store in a folder of its own, which goes with the test.
    private func withStore(_ body: (StateStore) async throws -> Void) async throws {
        let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(root)/sluice-dead-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SluiceError(.init("test"), .fatal, "no folder for the test") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["s", "s.lock", "s-wal", "s-shm"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        let store = try await StateStore.open("\(folder)/s")
        try await body(store)
        await store.close()
    }

    private let stream = StreamID(pipeline: "main", chainID: 1)

    @Test("what can be processed by now is loaded once, by block; what fails again is counted; what cannot be stays")
    func replay() async throws {
        try await withStore { store in
            let letters = [
                Self.letter("log 7", Self.block(10)), Self.letter("log 1", Self.block(9)), Self.letter("log 8", Self.block(10)),
                Self.letter("log 3", Self.block(11, 1)), Self.letter("log 7", Self.block(10), register: "gone"),
                Self.letter("trace 7", Self.block(10)), Self.letter("log 9", Self.block(10)), Self.letter("log 6", Self.block(10)),
                Self.letter("log 7", Self.block(10), register: "again"), Self.letter("log 1", Self.block(12)),
                Self.letter("log 1", Self.block(13)),
            ]
            try await store.keep(letters, of: stream)
            try await store.keep([Self.letter("log 7", Self.block(50))], of: StreamID(pipeline: "other", chainID: 1))
            try await store.wantReplay(matching: DeadLetterFilter())
            let runtime = FakeRuntime(
                [
                    9: made(Self.block(9), [(1, "a"), (2, "b")]),
                    10: made(
                        Self.block(10), [(6, "e"), (7, "c"), (7, "d"), (11, "x")],
                        fails: [Self.letter("log 8", Self.block(10), reason: "still bad")]),
                    11: made(Self.block(11), [(3, "f")]), 12: made(Self.block(12), [(1, "g")]),
                    13: made(Self.block(13), [(1, "h")], taught: ["transfers"]),
                ], absent: [12])
            let journal = StoredJournal(store: store)
            let replayer = DeadLetterReplayer(journal: journal, stream: stream, runtime: runtime, blocksAtOnce: 2)
            let outcomes = try await replayer.replay(try await store.deadLetters(limit: 99))
            #expect(
                outcomes.filter { ![5, 6, 11].contains($0.key) } == [
                    1: .loaded(rows: 2), 2: .loaded(rows: 1), 3: .failed(reason: "still bad", message: "m"), 4: .orphaned,
                    7: .loaded(rows: 0), 8: .loaded(rows: 1), 9: .loaded(rows: 2), 10: .awaited,
                ])
            for (id, words) in [(5, "gone"), (6, "trace 7"), (11, "learns")] as [(Int64, String)] {
                guard case .impossible(let said) = outcomes[id] else {
                    Issue.record("letter \(id): \(String(describing: outcomes[id]))")
                    continue
                }
                #expect(said.contains(words))
            }
            #expect(runtime.state.withLock { $0.reads } == [[9, 10], [11, 12], [13]])
            // All of one block in one step, in the order of places; of two registers that make one table its rows come once.
            #expect(runtime.state.withLock { $0.loads } == ["9 log_index [1]: a", "10 log_index [6, 7, 9]: ecd", "12 log_index [1]: g"])
            let after = try await store.deadLetters(DeadLetterFilter(pipeline: "main"), limit: 99)
            #expect(after.filter { $0.state == .replayed }.map(\.id) == [1, 2, 7, 8, 9, 10])
            #expect(after.map(\.tries) == [1, 1, 2] + Array(repeating: 1, count: 8))
            #expect(after.allSatisfy { $0.replayWanted == nil })
            #expect(try await store.replayOutcomes(since: 0) == outcomes)
            // Another pipeline's letters are not its business, and what is replayed is not loaded again.
            runtime.state.withLock { $0.loads = [] }
            #expect(try await replayer.replay(try await store.deadLetters(limit: 99)).keys.sorted() == [3, 4, 5, 6, 11])
            #expect(runtime.state.withLock { $0.loads } == [])
        }
    }

    @Test("a sink that fails leaves the letters open, and those before it replayed")
    func failure() async throws {
        try await withStore { store in
            try await store.keep([Self.letter("log 1", Self.block(9)), Self.letter("log 7", Self.block(10))], of: stream)
            let runtime = FakeRuntime([9: made(Self.block(9), [(1, "a")]), 10: made(Self.block(10), [(7, "c")])])
            let replayer = DeadLetterReplayer(
                journal: StoredJournal(store: store), stream: stream, runtime: runtime, blocksAtOnce: 1)
            runtime.state.withLock { $0.failure = SluiceError(.init("full"), .pause, "no space") }
            await #expect(throws: SluiceError.self) { _ = try await replayer.replay(try await store.deadLetters(limit: 9)) }
            #expect(try await store.deadLetters(limit: 9).map(\.state) == [.open, .open])
            runtime.state.withLock { $0.failure = nil }
            _ = try await replayer.replay(try await store.deadLetters(limit: 9))
            #expect(try await store.deadLetters(limit: 9).map(\.state) == [.replayed, .replayed])
        }
    }
}
