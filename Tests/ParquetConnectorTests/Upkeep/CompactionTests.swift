import Foundation
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

@testable import ParquetConnector

/// Files that ended early become one.
@Suite struct CompactionTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private func sink(_ folder: String, _ store: MemorySegments, tip: UInt64? = nil, compacts: Bool = true) -> ParquetSink {
        ParquetSink(
            ParquetSinkOptions(
                directory: folder, blocksPerFile: 100, rowGroupRows: 2_048, tipBlocks: tip, compacts: compacts), segments: store)
    }

    /// Writes blocks in batches of `size`, one run after the other; each ends with the last of its blocks, and early.
    private func fill(_ folder: String, _ runs: [ClosedRange<UInt64>], size: UInt64 = 7, compacts: Bool = true) async throws {
        let store = MemorySegments()
        for run in runs {
            let sink = sink(folder, store, compacts: compacts)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            for first in stride(from: run.lowerBound, through: run.upperBound, by: Int(size)) {
                _ = try await stream.write(SmallChain.batch(first...min(run.upperBound, first + size - 1)))
            }
            _ = try await stream.finish()
            await sink.close()
        }
    }

    @Test("many short runs leave the files and rows of one long run; midnight is among them")
    func equal() async throws {
        try await withFolder { folder in
            // Block 534 is the first of its day, and the last run but one ends right before it.
            try await fill("\(folder)/one", [450...720])
            try await fill("\(folder)/many", [450...455, 456...456, 457...530, 531...533, 534...540, 541...650, 651...699, 700...720])
            let (one, many) = (Lake(folder: "\(folder)/one"), Lake(folder: "\(folder)/many"))
            try one.expectSame(many)
            #expect(try many.blocksByListing() == Array(450...720))
        }
    }

    @Test("at the head a file ends after some blocks, when that is asked for, and the small ones become one")
    func tip() async throws {
        try await withFolder { folder in
            let lake = Lake(folder: "\(folder)/tip")
            let sink = sink(lake.folder, MemorySegments(), tip: 10)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            for number in UInt64(0)...249 {
                _ = try await stream.write(SmallChain.batch(number...number))
                let position = try await stream.flush()
                // What is durable is behind by less than ten blocks.
                let due = number % 10 == 9 && number != 99 && number != 199
                #expect(position == (due ? SmallChain.position(number) : nil), "\(number)")
                if number == 98 || number == 99 { #expect(lake.listed("blocks").count == (number == 98 ? 9 : 1)) }
            }
            #expect(try lake.blocksByListing() == Array(0...249) && lake.blocksByManifests() == Array(0...249))
            #expect(try lake.manifests().count == 2 + 5)
            await sink.close()
            try await fill("\(folder)/one", [0...199])
            try await fill(lake.folder, [250...299])
            try await fill("\(folder)/one", [200...299])
            try Lake(folder: "\(folder)/one").expectSame(lake)
        }
    }

    @Test("off, small files stay; switched on, those of before become one bit by bit")
    func later() async throws {
        try await withFolder { folder in
            let lake = Lake(folder: "\(folder)/lake")
            try await fill(lake.folder, [0...10, 11...20, 21...99, 100...110, 111...199, 200...210], compacts: false)
            #expect(lake.listed("blocks").count == 6)
            let sink = sink(lake.folder, MemorySegments())
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(lake.listed("blocks").count == 4)
            #expect(try await stream.flush() == nil)
            #expect(lake.listed("blocks").count == 3)
            #expect(try lake.blocksByListing() == Array(0...210))
            #expect(try await stream.coverage() == [SmallChain.segment(0...210)])
            // What was joined can be undone, amended, and joined again.
            try await stream.rollback(to: SmallChain.position(20))
            #expect(try lake.blocksByListing() == Array(0...20))
            #expect(try lake.manifests().keys.sorted() == ["000000000000_000000000020.json"])
            try await stream.amend([SmallChain.amendment(5, places: [0], note: "new")])
            _ = try await stream.write(SmallChain.batch(21...120))
            #expect(try lake.manifests().keys.sorted() == ["000000000000_000000000099.json"])
            #expect(try lake.logsByManifests().prefix(6) == ["1 0", "2 0", "2 1", "4 0", "5 0 new", "5 1"])
            await sink.close()
        }
    }

    @Test("files whose rows are not as many as their manifests say are left alone, and named")
    func damaged() async throws {
        try await withFolder { folder in
            let lake = Lake(folder: "\(folder)/lake")
            try await fill(lake.folder, [0...10, 11...99], compacts: false)
            let session = try DuckDBDatabase(path: nil).connect()
            let path = try #require(lake.listed("blocks").first)
            try session.execute("COPY (SELECT * FROM read_parquet('\(path)') LIMIT 5) TO '\(path)' (FORMAT parquet)")
            await #expect {
                _ = try await sink(lake.folder, MemorySegments()).open(id, tables: SmallChain.schemas)
            } throws: {
                "\($0)".contains("they hold 94 rows, but their manifests say 100")
            }
            #expect(lake.listed("blocks").count == 2)
        }
    }

    // MARK: - Deaths

    /// A script with all that the sink does to its files: short runs, joins, amendments, rollbacks, rows that grow too old. Returns whether it came to
    /// its end, and the last block that it was told is durable.
    private func live(_ folder: String, _ place: (Layout) -> any ParquetPlace) async throws -> (isDone: Bool, told: UInt64) {
        let options = ParquetSinkOptions(directory: folder, blocksPerFile: 20, rowGroupRows: 2_048, tipBlocks: 4, retentionDays: 3)
        let store = MemorySegments()
        var (day, told) = (Int64(19_676), UInt64(0))
        func writer() throws -> ParquetWriter {
            let today = day
            return try ParquetWriter(
                id, SmallChain.schemas, options, store, DuckDBDatabase(path: nil), place(Layout(directory: folder, chainID: 1)),
                now: { today * 86_400 })
        }
        do {
            var one = try writer()
            try await one.recover()
            for number in UInt64(500)...533 {
                _ = try await one.write(SmallChain.batch(number...number))
                if let position = try await one.flush() { told = position.number }
            }
            try await one.amend([SmallChain.amendment(502, places: [0], note: "a"), SmallChain.amendment(523, places: [0], note: "b")])
            told = 522
            try await one.rollback(to: SmallChain.position(522))
            _ = try await one.write(SmallChain.batch(523...533))
            // What is written once is still there after a start.
            if let position = try await one.finish() { told = position.number }
            await one.retire()
            one = try writer()
            try await one.recover()
            for number in UInt64(534)...600 { _ = try await one.write(SmallChain.batch(number...number)) }
            if let position = try await one.finish() { told = position.number }
            await one.retire()
            day = 19_679
            one = try writer()
            try await one.recover()
            _ = try await one.write(SmallChain.batch(601...610))
            if let position = try await one.finish() { told = position.number }
            await one.retire()
            return (true, told)
        } catch is DyingPlace.Death {
            return (false, told)
        }
    }

    @Test("a death at any change leaves readers of manifests each row once, and the next start leaves those who list files the same")
    func deaths() async throws {
        try await withFolder { outer in
            // Each of them takes a while, so that a quick run takes some.
            let environment = ProcessInfo.processInfo.environment
            let isLong = environment["SLUICE_TEST_LONG"] == "1"
            let seed = environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
            var random = SeededRandom(seed: seed)
            print("deaths of the Parquet sink, seed \(seed)")
            var changes = isLong ? 0 : Int.random(in: 0..<12, using: &random)
            while true {
                let lake = Lake(folder: "\(outer)/\(changes)")
                let life = DyingPlace.Life(changes)
                let (isDone, told) = try await live(lake.folder) { DyingPlace(FolderPlace(layout: $0), life) }
                try expectOnce(lake, try lake.blocksByManifests(), told, "after \(changes) changes")
                // Another process goes on from there.
                let store = MemorySegments()
                let options = ParquetSinkOptions(directory: lake.folder, blocksPerFile: 20, rowGroupRows: 2_048, retentionDays: 3)
                let day: Int64 = try lake.manifests().values.contains { $0.expired == true } || isDone ? 19_679 : 19_676
                let sink = ParquetSink(options, segments: store, now: { day * 86_400 })
                let stream = try await sink.open(id, tables: SmallChain.schemas)
                let blocks = try lake.blocksByListing()
                #expect(try blocks == lake.blocksByManifests(), "after \(changes) changes")
                try expectOnce(lake, blocks, told, "after a start, \(changes) changes")
                let last = try await stream.coverage().last?.last.number ?? 499
                _ = try await stream.write(SmallChain.batch(last + 1...660))
                _ = try await stream.finish()
                for _ in 0..<8 { _ = try await stream.flush() }
                await sink.close()
                let names = try lake.manifests().keys.sorted()
                #expect(names == Self.ending, "after \(changes) changes")
                #expect(try lake.manifests().values.allSatisfy { $0.replaces == nil })
                try FileManager.default.removeItem(atPath: lake.folder)
                if isDone { break }
                changes += isLong ? 1 : Int.random(in: 1...24, using: &random)
            }
            // About as many as the script makes: fewer would mean that it ended before it came to them.
            #expect(changes > 70)
        }
    }

    /// The manifests that all ends lead to.
    private static let ending =
        [500...519, 520...533, 534...539, 540...559, 560...579, 580...599, 600...619, 620...639, 640...659, 660...660].map {
            (span: ClosedRange<UInt64>) in "\(Layout.padded(span.lowerBound))_\(Layout.padded(span.upperBound)).json"
        }

    /// Blocks in a row, each once, up to what was told at least; those before midnight may be gone for their age.
    private func expectOnce(_ lake: Lake, _ blocks: [UInt64], _ told: UInt64, _ when: String) throws {
        let manifests = try lake.manifests().values.sorted { $0.first < $1.first }
        let held = manifests.filter { $0.expired != true }.flatMap { Array($0.first...$0.last) }
        #expect(blocks == held, "\(when)")
        let covered = manifests.flatMap { Array($0.first...$0.last) }
        if let first = covered.first, let last = covered.last { #expect(first == 500 && covered == Array(first...last), "\(when)") }
        #expect(told == 0 || (covered.last ?? 0) >= told, "\(when): told \(told)")
    }

    // MARK: - Retention

    @Test("rows go by the date of their span; the blocks stay held, and take no more rows")
    func retention() async throws {
        try await withFolder { folder in
            let lake = Lake(folder: "\(folder)/lake")
            let store = MemorySegments()
            let make = { (day: Int64) in
                ParquetSink(
                    ParquetSinkOptions(directory: lake.folder, blocksPerFile: 100, rowGroupRows: 2_048, retentionDays: 2), segments: store,
                    now: { day * 86_400 + 86_399 })
            }
            // Blocks to 533 are of day 19,675.
            var sink = make(19_677)
            var stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(450...560))
            _ = try await stream.finish()
            await sink.close()
            #expect(try lake.blocksByListing() == Array(450...560))
            sink = make(19_678)
            stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try lake.blocksByListing() == Array(534...560))
            #expect(try await stream.coverage() == [SmallChain.segment(450...560)])
            #expect(try lake.manifests().values.filter { $0.expired == true }.map(\.files.count) == [0, 0])
            await #expect { try await stream.amend([SmallChain.amendment(460, places: [0])]) } throws: {
                ($0 as? SluiceError)?.code == .blockNotHeld && "\($0)".contains("for their age")
            }
            // A rollback into them, and old blocks that are loaded after all: they are gone at once, and held.
            try await stream.rollback(to: SmallChain.position(470))
            #expect(try lake.blocksByListing().isEmpty)
            #expect(try await stream.coverage() == [SmallChain.segment(450...470)])
            _ = try await stream.write(SmallChain.batch(471...560))
            _ = try await stream.finish()
            #expect(try lake.blocksByListing() == Array(534...560))
            await sink.close()
            stream = try await make(19_678).open(id, tables: SmallChain.schemas)
            #expect(try await stream.coverage() == [SmallChain.segment(450...560)])
        }
    }
}
