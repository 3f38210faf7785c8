import Glibc
import SluiceCore
import SluiceFlow
import SluiceStore
import Synchronization
import Testing

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
        let logs = try DeadLetterRows.rowsToLoad(Self.letter("log 7", Self.block(10)), three, tables: ["transfers", "nowhere"])
        #expect(Self.items(logs) == ["transfers": ["c", "d"]])
        let some = try DeadLetterRows.rowsToLoad(Self.letter("transaction 8", Self.block(10)), three, tables: ["transactions"])
        #expect(Self.items(some) == ["transactions": ["g"]])
        for (row, block) in [("log 5", Self.block(10)), ("log 7", Self.block(12)), ("log 7", Self.block(8)), ("log 7", Self.block(10, 1))] {
            #expect(try DeadLetterRows.rowsToLoad(Self.letter(row, block), three, tables: ["transfers"]).isEmpty, "\(row) \(block)")
        }
        #expect(try DeadLetterRows.rowsToLoad(Self.letter("log 7", Self.block(10)), three, tables: []).isEmpty)
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
        let state = Mutex((reads: [UInt64](), loads: [String](), failure: SluiceError?.none))

        init(_ blocks: [UInt64: ReplayedBlock]) { self.blocks = blocks }

        func read(_ number: UInt64) async throws -> ReplayedBlock {
            state.withLock { $0.reads.append(number) }
            guard let block = blocks[number] else { throw SluiceError(.init("fake"), .retry, "no block \(number)") }
            return block
        }

        func load(_ tables: [Table], of block: BlockRef) async throws {
            try state.withLock { state in
                if let failure = state.failure { throw failure }
                state.loads += DeadLetterTests.items(tables).values.flatMap { $0 }
            }
        }
    }

    private func made(_ block: FakeBlock, _ rows: [(UInt64, String)], fails: [DeadLetter] = []) -> ReplayedBlock {
        ReplayedBlock(
            batch: Self.batch([block], [Self.table(Self.transfers, rows.map { ($0.0, $0.1, block) })]), deadLetters: fails,
            tables: ["transfers": ["transfers"], "counts": ["counts"]])
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
                Self.letter("trace 7", Self.block(10)), Self.letter("log 9", Self.block(10)),
            ]
            try await store.keep(letters, of: stream)
            try await store.keep([Self.letter("log 7", Self.block(50))], of: StreamID(pipeline: "other", chainID: 1))
            try await store.wantReplay(matching: DeadLetterFilter())
            let runtime = FakeRuntime([
                9: made(Self.block(9), [(1, "a"), (2, "b")]),
                10: made(
                    Self.block(10), [(7, "c"), (7, "d"), (6, "e")], fails: [Self.letter("log 8", Self.block(10), reason: "still bad")]),
                11: made(Self.block(11), [(3, "f")]),
            ])
            let replayer = DeadLetterReplayer(store: store, stream: stream, runtime: runtime)
            let outcomes = try await replayer.replay(try await store.deadLetters(limit: 99))
            #expect(
                outcomes.filter { ![5, 6].contains($0.key) } == [
                    1: .loaded(rows: 2), 2: .loaded(rows: 1), 3: .failed(reason: "still bad", message: "m"), 4: .orphaned,
                    7: .loaded(rows: 0),
                ])
            for id in [5, 6] as [Int64] {
                guard case .impossible(let words) = outcomes[id] else {
                    Issue.record("letter \(id): \(String(describing: outcomes[id]))")
                    continue
                }
                #expect(words.contains(id == 5 ? "gone" : "trace 7"))
            }
            #expect(runtime.state.withLock { $0.reads } == [9, 10, 11])
            #expect(runtime.state.withLock { $0.loads } == ["a", "c", "d"])
            let after = try await store.deadLetters(DeadLetterFilter(pipeline: "main"), limit: 99)
            #expect(after.map(\.state) == [.replayed, .replayed, .open, .open, .open, .open, .replayed])
            #expect(after.map(\.tries) == [1, 1, 2, 1, 1, 1, 1])
            #expect(after.allSatisfy { $0.replayWanted == nil })
            // Another pipeline's letters are not its business, and what is replayed is not loaded again.
            #expect(try await replayer.replay(try await store.deadLetters(limit: 99)).keys.sorted() == [3, 4, 5, 6])
            #expect(runtime.state.withLock { $0.loads } == ["a", "c", "d"])
        }
    }

    @Test("a sink that fails leaves the letter open, and the ones before it replayed")
    func failure() async throws {
        try await withStore { store in
            try await store.keep([Self.letter("log 1", Self.block(9)), Self.letter("log 7", Self.block(10))], of: stream)
            let runtime = FakeRuntime([9: made(Self.block(9), [(1, "a")]), 10: made(Self.block(10), [(7, "c")])])
            runtime.state.withLock { $0.failure = SluiceError(.init("full"), .pause, "no space") }
            let replayer = DeadLetterReplayer(store: store, stream: stream, runtime: runtime)
            await #expect(throws: SluiceError.self) { _ = try await replayer.replay(try await store.deadLetters(limit: 9)) }
            #expect(try await store.deadLetters(limit: 9).map(\.state) == [.open, .open])
            runtime.state.withLock { $0.failure = nil }
            _ = try await replayer.replay(try await store.deadLetters(limit: 9))
            #expect(try await store.deadLetters(limit: 9).map(\.state) == [.replayed, .replayed])
        }
    }
}
