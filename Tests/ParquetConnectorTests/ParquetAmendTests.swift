import Foundation
import ParquetConnector
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

/// Rows that come to blocks which are in files already.
@Suite struct ParquetAmendTests {
    let id = StreamID(pipeline: "p", chainID: 1)
    let day = "chain_id=1/date=2023-11-14"

    /// Another table whose rows come from logs; batches carry none of it.
    private static let more = Schema(name: "more", key: ["block_hash", "log_index"], doc: "", fields: SmallChain.logs.fields)

    private func open(_ folder: String, _ store: MemorySegments = MemorySegments()) async throws -> (ParquetSink, any SinkStream) {
        let sink = ParquetSink(ParquetSinkOptions(directory: "\(folder)/lake", blocksPerFile: 100, rowGroupRows: 2_048), segments: store)
        return (sink, try await sink.open(id, tables: SmallChain.schemas + [Self.more]))
    }

    /// A folder with spans 1 to 99, 100 to 199, and 200 to 250.
    private func filled(_ folder: String, _ store: MemorySegments = MemorySegments()) async throws -> (ParquetSink, any SinkStream) {
        let (sink, stream) = try await open(folder, store)
        _ = try await stream.write(SmallChain.batch(1...250))
        _ = try await stream.finish()
        return (sink, stream)
    }

    /// The logs as a reader finds them who lists files, a line a row: block, place, note.
    private func logs(_ folder: String) throws -> [String] {
        try DuckDBDatabase(path: nil).connect().rows(
            """
            SELECT concat_ws(' ', block_number, log_index, note) FROM read_parquet('\(folder)/lake/logs/**/*.parquet')
            ORDER BY block_number, log_index, note
            """
        ).compactMap { $0[0].text }
    }

    private func expected(_ range: ClosedRange<UInt64>, _ instead: [UInt64: [String]] = [:]) -> [String] {
        range.flatMap { number in instead[number] ?? (0..<number % 3).map { "\(number) \($0)" } }
    }

    /// All that lies in the folder but what is temporary, with its content.
    private func content(_ folder: String) throws -> [String: Data] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/lake").filter { !$0.hasPrefix("_temporary") }
        return Dictionary(
            uniqueKeysWithValues: names.compactMap { name in
                FileManager.default.contents(atPath: "\(folder)/lake/\(name)").map { (name, $0) }
            }
        )
    }

    /// That manifests and files agree: names, sizes and rows.
    private func expectWhole(_ folder: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        struct Manifest: Decodable {
            struct File: Decodable {
                let path: String
                let rows: Int
                let bytes: Int
            }
            let rows: Int
            let bytes: Int
            let files: [File]
        }
        let files = try content(folder)
        var named: Set<String> = []
        for (name, data) in files where name.hasPrefix("_manifests") && !name.hasSuffix("1") {
            #expect(name.hasSuffix(".json"), "\(name)", sourceLocation: sourceLocation)
            let manifest = try JSONDecoder().decode(Manifest.self, from: data)
            #expect(manifest.rows == manifest.files.reduce(0) { $0 + $1.rows }, sourceLocation: sourceLocation)
            #expect(manifest.bytes == manifest.files.reduce(0) { $0 + $1.bytes }, sourceLocation: sourceLocation)
            for file in manifest.files {
                named.insert(file.path)
                #expect(files[file.path]?.count == file.bytes, "\(file.path)", sourceLocation: sourceLocation)
                let rows = try DuckDBDatabase(path: nil).connect().rows(
                    "SELECT count(*) FROM read_parquet('\(folder)/lake/\(file.path)')")
                #expect(rows == [[.int(Int64(file.rows))]], "\(file.path)", sourceLocation: sourceLocation)
            }
        }
        #expect(named == Set(files.keys.filter { $0.hasSuffix(".parquet") }), sourceLocation: sourceLocation)
        let waiting = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/lake/_temporary")
        #expect(waiting.allSatisfy { !$0.hasSuffix(".next") }, "\(waiting)", sourceLocation: sourceLocation)
    }

    /// What the crash tests amend: two tables of one span, of which one has a file.
    private var two: [Amendment] {
        let rows = SmallChain.amendment(122, places: [6])
        return [
            SmallChain.amendment(120, places: [0, 1]), SmallChain.amendment(121, places: [0], note: "more"),
            Amendment(
                chainID: 1, block: rows.block, timestamp: rows.timestamp, column: "log_index", places: [6],
                rows: Table(schema: Self.more, columns: rows.rows.columns, rowCount: 1)),
        ]
    }

    private var twoExpected: [String] { expected(1...250, [120: ["120 0 new", "120 1 new"], 121: ["121 0 more"]]) }

    // MARK: - What is there afterwards

    @Test("files change in their places, and only those of the spans and tables that are amended")
    func amended() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            let (sink, stream) = try await filled(folder, store)
            let before = try content(folder)
            let amendments = [
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3]), SmallChain.amendment(250, places: [0, 1]),
                SmallChain.amendment(8, places: [0, 1], rows: []),
            ]
            try await stream.amend(amendments)
            let now = expected(1...250, [5: ["5 0 new", "5 1", "5 7 new"], 6: ["6 3 new"], 250: ["250 0 new", "250 1 new"], 8: []])
            #expect(try logs(folder) == now)
            try expectWhole(folder)
            let after = try content(folder)
            #expect(Set(after.keys) == Set(before.keys))
            #expect(
                Set(after.filter { before[$0.key] != $0.value }.keys) == [
                    "logs/\(day)/logs_000000000001_000000000099.parquet", "logs/\(day)/logs_000000000200_000000000250.parquet",
                    "_manifests/1/000000000001_000000000099.json", "_manifests/1/000000000200_000000000250.json",
                ])
            // Done twice it is done once.
            try await stream.amend(amendments)
            #expect(try logs(folder) == now)
            try expectWhole(folder)
            #expect(try await stream.coverage() == [SmallChain.segment(1...250)])
            #expect(try await stream.flush() == nil)
            #expect(store.load(id) == [SmallChain.segment(1...250)])
            _ = try await stream.write(SmallChain.batch(251...260))
            _ = try await stream.finish()
            await sink.close()
            let (again, resumed) = try await open(folder, store)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...260)])
            await again.close()
            #expect(try logs(folder) == now + expected(251...260))
        }
    }

    @Test("a table that had no row in a span gets a file for it, and one that loses all of them has none any more")
    func fileless() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            // Blocks 699 and 700 begin a file each way; of these two one has a log.
            _ = try await stream.write(SmallChain.batch(699...699))
            _ = try await stream.finish()
            _ = try await stream.write(SmallChain.batch(700...700))
            _ = try await stream.finish()
            try await stream.amend([SmallChain.amendment(699, places: [2]), SmallChain.amendment(700, places: [0], rows: [])])
            let files = try content(folder).keys.filter { $0.hasPrefix("logs") && $0.hasSuffix(".parquet") }
            // The block was made after midnight.
            #expect(files == ["logs/chain_id=1/date=2023-11-15/logs_000000000699_000000000699.parquet"])
            #expect(try logs(folder) == ["699 2 new"])
            try expectWhole(folder)
            // Nothing where nothing was is no change.
            let before = try content(folder)
            try await stream.amend([SmallChain.amendment(700, places: [0], rows: [])])
            #expect(try content(folder) == before)
            await sink.close()
            let (again, resumed) = try await open(folder)
            #expect(try await resumed.coverage() == [SmallChain.segment(699...700)])
            await again.close()
        }
    }

    @Test("blocks in open files are amended when those are published, and forgotten when those are given up")
    func opened() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(1...130))
            try await stream.amend([
                SmallChain.amendment(20, places: [1]), SmallChain.amendment(110, places: [0]), SmallChain.amendment(120, places: [5]),
            ])
            #expect(try logs(folder) == expected(1...99, [20: ["20 0", "20 1 new"]]))
            // Later ones count, and so do those of tables without a row so far.
            try await stream.amend([SmallChain.amendment(110, places: [0, 1], note: "last")])
            _ = try await stream.write(SmallChain.batch(131...199))
            let now = expected(1...199, [20: ["20 0", "20 1 new"], 110: ["110 0 last", "110 1 last"], 120: ["120 5 new"]])
            #expect(try logs(folder) == now)
            try expectWhole(folder)
            // Undone with their blocks, by a file that is cut and by one that is given up.
            _ = try await stream.write(SmallChain.batch(200...230))
            try await stream.amend([SmallChain.amendment(205, places: [3]), SmallChain.amendment(220, places: [3])])
            try await stream.rollback(to: SmallChain.position(210))
            let cut = expected(200...210, [205: ["205 0", "205 3 new"]])
            #expect(try logs(folder) == now + cut)
            try expectWhole(folder)
            _ = try await stream.write(SmallChain.batch(211...240))
            try await stream.amend([SmallChain.amendment(221, places: [3])])
            await sink.close()
            let (again, resumed) = try await open(folder)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...210)])
            _ = try await resumed.write(SmallChain.batch(211...240))
            _ = try await resumed.finish()
            await again.close()
            #expect(try logs(folder) == now + cut + expected(211...240))
        }
    }

    @Test("an open file whose table had no row, and one that loses its only row, are what they should be")
    func openedFileless() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(9...9))
            try await stream.amend([SmallChain.amendment(9, places: [1])])
            _ = try await stream.finish()
            _ = try await stream.write(SmallChain.batch(10...10))
            try await stream.amend([SmallChain.amendment(10, places: [0], rows: [])])
            _ = try await stream.finish()
            await sink.close()
            #expect(try logs(folder) == ["9 1 new"])
            try expectWhole(folder)
        }
    }

    @Test("a later rollback takes away what was added, with whole spans and with cut ones", arguments: [50, 99, 120, 130] as [UInt64])
    func rollback(target: UInt64) async throws {
        try await withFolder { folder in
            let (sink, stream) = try await filled(folder)
            try await stream.amend([
                SmallChain.amendment(30, places: [4]), SmallChain.amendment(119, places: [4]), SmallChain.amendment(121, places: [4]),
                SmallChain.amendment(240, places: [4]),
            ])
            try await stream.rollback(to: SmallChain.position(target))
            let now = expected(
                1...target, [30: ["30 4 new"], 119: ["119 0", "119 1", "119 4 new"], 121: ["121 0", "121 4 new"]])
            #expect(try logs(folder) == now)
            try expectWhole(folder)
            await sink.close()
        }
    }

    @Test("a block that is not held, or another of its number, is refused, and nothing is changed or lost by it")
    func refused() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await filled(folder)
            _ = try await stream.write(SmallChain.batch(251...260))
            let before = try content(folder)
            let cases: [(Amendment, SluiceError.Code)] = [
                (SmallChain.amendment(261, places: [0]), .blockNotHeld), (SmallChain.amendment(0, places: [0]), .blockNotHeld),
                // The last of a segment's span, one with rows of its own, and one in an open file.
                (SmallChain.amendment(199, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(121, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(255, places: [0], fork: 1), .blockDiffers),
            ]
            for (wrong, code) in cases {
                let good = [SmallChain.amendment(5, places: [0]), SmallChain.amendment(252, places: [1])]
                let error = await #expect(throws: SluiceError.self) { try await stream.amend(good + [wrong]) }
                #expect(error?.code == code, "\(wrong.block.number): \(String(describing: error))")
                #expect(error?.class == .data && error?.message.contains("lake") == true)
            }
            await #expect(throws: SluiceError.self) { try await stream.amend([SmallChain.amendment(5, places: [0], chainID: 2)]) }
            #expect(try content(folder) == before)
            _ = try await stream.write(SmallChain.batch(261...299))
            await sink.close()
            #expect(try logs(folder) == expected(1...299))
        }
    }

    @Test("files that are older than a column take rows that have it")
    func older() async throws {
        try await withFolder { folder in
            let (sink, _) = try await filled(folder)
            await sink.close()
            let wider = Schema(
                name: "logs", key: [], doc: "", fields: SmallChain.logs.fields + [Field("extra", .uint256, nullable: true, "")])
            let later = ParquetSink(ParquetSinkOptions(directory: "\(folder)/lake", blocksPerFile: 100), segments: MemorySegments())
            let stream = try await later.open(id, tables: [SmallChain.blocks, wider, Self.more])
            let narrow = SmallChain.amendment(121, places: [3])
            var extra = ColumnBuilder(.uint256)
            extra.append(UInt256.max)
            let row = Table(schema: wider, columns: narrow.rows.columns + [extra.finish()], rowCount: 1)
            try await stream.amend([
                Amendment(
                    chainID: 1, block: narrow.block, timestamp: narrow.timestamp, column: "log_index", places: [3], rows: row)
            ])
            await later.close()
            let rows = try DuckDBDatabase(path: nil).connect().rows(
                "SELECT log_index, extra FROM read_parquet('\(folder)/lake/logs/**/*_000000000199.parquet') WHERE block_number = 121 ORDER BY 1"
            )
            #expect(rows == [[.int(0), .null], [.int(3), .text(UInt256.max.description)]])
        }
    }

    @Test("a file that is larger than the memory for it is amended")
    func large() async throws {
        try await withFolder { folder in
            let options = ParquetSinkOptions(directory: "\(folder)/lake", blocksPerFile: 1_000_000, memoryLimitBytes: 24_000_000)
            let sink = ParquetSink(options, segments: MemorySegments())
            let stream = try await sink.open(id, tables: SmallChain.schemas + [Self.more])
            let count: UInt64 = 3_000
            for number in 1...count {
                let block = SmallChain.batch(number...number, start: 1_600_000_000)
                let notes = SmallChain.amendment(
                    number, places: Set(0..<40), note: "\(number) " + String(repeating: "and on ", count: 60), start: 1_600_000_000)
                _ = try await stream.write(Batch(chainID: 1, span: block.span, tables: [block.tables[0], notes.rows]))
            }
            _ = try await stream.finish()
            try await stream.amend((100...160).map { SmallChain.amendment($0, places: [3, 50], start: 1_600_000_000) })
            await sink.close()
            let rows = try DuckDBDatabase(path: nil).connect().rows(
                "SELECT count(*), count(DISTINCT (block_number, log_index)), count(*) FILTER (note = 'new') FROM read_parquet('\(folder)/lake/logs/**/*.parquet')"
            )
            #expect(rows == [[.int(Int64(count) * 40 + 61), .int(Int64(count) * 40 + 61), .int(122)]])
        }
    }

    // MARK: - What a crash leaves

    /// How far it had come when it ended.
    enum Crash: CaseIterable { case written, intended, one, both, recorded }

    @Test("a crash leaves the old state or the new one, to readers at once and to the next start", arguments: Crash.allCases)
    func interrupted(crash: Crash) async throws {
        try await withFolder { folder in
            // Both states, made by the sink itself in two folders.
            for name in ["before", "after"] {
                let (sink, stream) = try await filled("\(folder)/\(name)")
                if name == "after" { try await stream.amend(two) }
                await sink.close()
            }
            let (old, new) = ("\(folder)/before", "\(folder)/after")
            let (oldState, newState) = (try content(old), try content(new))
            let files = FileManager.default
            func put(_ name: String, _ place: String) throws {
                let target = "\(old)/lake/\(place)"
                if files.fileExists(atPath: target) { try files.removeItem(atPath: target) }
                try files.createDirectory(atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
                try files.copyItem(atPath: "\(new)/lake/\(name)", toPath: target)
            }
            let span = "000000000100_000000000199"
            let tables = ["logs", "more"]
            let (done, manifest) = ([Crash.one: ["logs"], .both: tables, .recorded: tables][crash] ?? [], "_manifests/1/\(span)")
            for table in tables {
                let name = "\(table)/\(day)/\(table)_\(span).parquet"
                try put(name, done.contains(table) ? name : "_temporary/1/\(table).next")
            }
            if crash != .written { try put("\(manifest).json", crash == .recorded ? "\(manifest).json" : "\(manifest).next") }
            // What is temporary is nobody's business, and no row is there twice.
            let seen = try logs(old)
            #expect(seen == (done.contains("logs") ? twoExpected : expected(1...250)))
            let (sink, stream) = try await open(old, MemorySegments([id: [SmallChain.segment(1...250)]]))
            #expect(try await stream.coverage() == [SmallChain.segment(1...250)])
            #expect(try content(old) == (crash == .written ? oldState : newState))
            try expectWhole(old)
            // And it can be done again.
            try await stream.amend(two)
            #expect(try logs(old) == twoExpected)
            try expectWhole(old)
            await sink.close()
        }
    }

    @Test("what fails before files are exchanged changes nothing; what fails amid that is ended when the stream goes on")
    func failing() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await filled(folder)
            let lake = "\(folder)/lake"
            let before = try content(folder)
            // There is no place to write to.
            try? FileManager.default.removeItem(atPath: "\(lake)/_temporary/1")
            try Data().write(to: URL(filePath: "\(lake)/_temporary/1"))
            await #expect(throws: SluiceError.self) { try await stream.amend(two) }
            try FileManager.default.removeItem(atPath: "\(lake)/_temporary/1")
            #expect(try content(folder) == before)
            #expect(try await stream.flush() == nil)
            // Logs are exchanged before the other table, in whose place a folder stands.
            let place = "\(lake)/more/\(day)/more_000000000100_000000000199.parquet"
            try FileManager.default.createDirectory(atPath: "\(place)/in the way", withIntermediateDirectories: true)
            await #expect(throws: SluiceError.self) { try await stream.amend(two) }
            let lost = await #expect(throws: SluiceError.self) { try await stream.flush() }
            #expect(lost?.class == .retry)
            try FileManager.default.removeItem(atPath: place)
            #expect(try await stream.coverage() == [SmallChain.segment(1...250)])
            #expect(try logs(folder) == twoExpected)
            try expectWhole(folder)
            _ = try await stream.write(SmallChain.batch(251...299))
            await sink.close()
            #expect(try logs(folder) == twoExpected + expected(251...299))
        }
    }
}
