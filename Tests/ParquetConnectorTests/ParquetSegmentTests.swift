import Foundation
import ParquetConnector
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

/// What a folder holds when blocks do not come in one run, and what a crash or a failure leaves of it.
@Suite struct ParquetSegmentTests {
    let id = StreamID(pipeline: "p", chainID: 1)
    let day = "chain_id=1/date=2023-11-14"

    private func open(_ folder: String, _ store: MemorySegments, tables: [Schema] = SmallChain.schemas) async throws -> (
        ParquetSink, any SinkStream
    ) {
        let sink = ParquetSink(ParquetSinkOptions(directory: "\(folder)/lake", blocksPerFile: 100, rowGroupRows: 2_048), segments: store)
        return (sink, try await sink.open(id, tables: tables))
    }

    private func numbers(_ folder: String) throws -> [UInt64] {
        // The folder's own name may hold what a pattern is made of.
        let paths = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/lake/blocks").filter { $0.hasSuffix(".parquet") }
        let session = try DuckDBDatabase(path: nil).connect()
        return try paths.flatMap { path in
            let whole = "\(folder)/lake/blocks/\(path)".replacing("[", with: "[[]")
            return try session.rows("SELECT number FROM read_parquet('\(whole)')").compactMap { $0[0].uint64 }
        }.sorted()
    }

    @Test("a backfill below is a segment of its own, survives a restart, and becomes one with what it joins")
    func joining() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            var (sink, stream) = try await open(folder, store)
            // The open file of one segment ends when another comes.
            #expect(try await stream.write(SmallChain.batch(250...320)) == SmallChain.position(299))
            #expect(try await stream.write(SmallChain.batch(10...120)) == SmallChain.position(99))
            #expect(try await stream.finish() == SmallChain.position(120))
            let two = [SmallChain.segment(10...120), SmallChain.segment(250...320)]
            #expect(try await stream.coverage() == two)
            #expect(store.load(id) == two)
            await sink.close()
            (sink, stream) = try await open(folder, store)
            #expect(try await stream.coverage() == two)
            for wrong in [5...10, 120...121, 240...250, 1...400] as [ClosedRange<UInt64>] {
                let error = await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(wrong)) }
                #expect(error?.code == .sinkOrder)
            }
            _ = try await stream.write(SmallChain.batch(121...249))
            #expect(try await stream.flush() == nil)
            // Not whole yet, so not durable; but taken, and so not to be sent again.
            #expect(store.load(id) == [SmallChain.segment(10...199), SmallChain.segment(250...320)])
            #expect(try await stream.coverage() == [SmallChain.segment(10...320)])
            #expect(try await stream.finish() == SmallChain.position(249))
            #expect(try await stream.coverage() == [SmallChain.segment(10...320)])
            #expect(store.load(id) == [SmallChain.segment(10...320)])
            await sink.close()
            #expect(try numbers(folder) == Array(10...320))
            (sink, stream) = try await open(folder, store)
            #expect(try await stream.coverage() == [SmallChain.segment(10...320)])
            await sink.close()
        }
    }

    @Test(
        "a rollback undoes the end of one segment and leaves the others alone, open or whole",
        arguments: [9, 30, 99, 110, 120, 249, 260, 305] as [UInt64])
    func rollback(target: UInt64) async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            var (sink, stream) = try await open(folder, store)
            _ = try await stream.write(SmallChain.batch(250...320))
            // 100 to 120 stay open.
            _ = try await stream.write(SmallChain.batch(10...120))
            try await stream.rollback(to: SmallChain.position(target))
            #expect(try await stream.flush() == nil)
            _ = try await stream.finish()
            let low: [Segment] = target < 10 ? [] : [SmallChain.segment(10...min(120, target))]
            let high: [Segment] = target == 249 ? [] : [SmallChain.segment(250...(target > 249 ? target : 320))]
            #expect(try await stream.coverage() == low + high)
            await sink.close()
            let expected = (low + high).flatMap { Array($0.first...$0.last.number) }
            #expect(try numbers(folder) == expected)
            (sink, stream) = try await open(folder, store)
            #expect(try await stream.coverage() == low + high)
            await sink.close()
        }
    }

    @Test("the date of a file is that of its blocks, also when it began in the batch that ended another")
    func dates() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder, MemorySegments())
            // Block 534 is the first of its day; the first batch ends a file and begins the one that the date ends.
            for range in [490...533, 534...620] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
            _ = try await stream.finish()
            await sink.close()
            let names = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/lake/_manifests/1").sorted()
            #expect(
                names == [
                    "000000000490_000000000499.json", "000000000500_000000000533.json", "000000000534_000000000599.json",
                    "000000000600_000000000620.json",
                ])
        }
    }

    /// A crash in the middle of a rollback from 250 to 150: what is done by then.
    enum Crash: CaseIterable { case saved, dropped, cut, recorded }

    @Test("a rollback that a crash cut short leaves no row twice, and can be done again", arguments: Crash.allCases)
    func interrupted(crash: Crash) async throws {
        try await withFolder { folder in
            // Both ends of the rollback, made by the sink itself in two folders.
            let (before, after) = (MemorySegments(), MemorySegments())
            for (name, store) in [("before", before), ("after", after)] {
                let (sink, stream) = try await open("\(folder)/\(name)", store)
                _ = try await stream.write(SmallChain.batch(1...250))
                _ = try await stream.finish()
                if name == "after" { try await stream.rollback(to: SmallChain.position(150)) }
                await sink.close()
            }
            let files = FileManager.default
            let (old, new) = ("\(folder)/before/lake", "\(folder)/after/lake")
            if crash != .saved {
                try files.removeItem(atPath: "\(old)/_manifests/1/000000000200_000000000250.json")
                try files.removeItem(atPath: "\(old)/blocks/\(day)/blocks_000000000200_000000000250.parquet")
            }
            if crash == .cut || crash == .recorded {
                try files.removeItem(atPath: "\(old)/logs/\(day)/logs_000000000200_000000000250.parquet")
                let name = "blocks/\(day)/blocks_000000000100_000000000150.parquet"
                try files.copyItem(atPath: "\(new)/\(name)", toPath: "\(old)/\(name)")
            }
            if crash == .recorded {
                for name in ["logs/\(day)/logs_000000000100_000000000150.parquet", "_manifests/1/000000000100_000000000150.json"] {
                    try files.copyItem(atPath: "\(new)/\(name)", toPath: "\(old)/\(name)")
                }
            }
            // The store was told first.
            let (sink, stream) = try await open("\(folder)/before", MemorySegments([id: [SmallChain.segment(1...150)]]))
            let left: UInt64 = [.saved: 250, .dropped: 199, .cut: 199, .recorded: 150][crash] ?? 0
            #expect(try await stream.coverage() == [SmallChain.segment(1...left)])
            #expect(try numbers("\(folder)/before") == Array(1...left))
            try await stream.rollback(to: SmallChain.position(150))
            #expect(try numbers("\(folder)/before") == Array(1...150))
            await sink.close()
        }
    }

    @Test("what a failure left of a file is gone before the stream goes on, so no row is there twice")
    func failing() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder, MemorySegments())
            _ = try await stream.write(SmallChain.batch(1...120))
            // Blocks are published before logs, whose folder is a file now.
            let lake = "\(folder)/lake"
            try FileManager.default.moveItem(atPath: "\(lake)/logs", toPath: "\(lake)/kept")
            try Data().write(to: URL(filePath: "\(lake)/logs"))
            await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(121...199)) }
            try FileManager.default.removeItem(atPath: "\(lake)/logs")
            try FileManager.default.moveItem(atPath: "\(lake)/kept", toPath: "\(lake)/logs")
            let lost = await #expect(throws: SluiceError.self) { try await stream.flush() }
            #expect(lost?.class == .retry)
            #expect(try await stream.coverage() == [SmallChain.segment(1...99)])
            // Another cut than the first time: the names differ.
            _ = try await stream.write(SmallChain.batch(100...150))
            _ = try await stream.finish()
            _ = try await stream.write(SmallChain.batch(151...199))
            await sink.close()
            #expect(try numbers(folder) == Array(1...199))
        }
    }

    @Test("a stream that holds blocks takes no other tables; a manifest that is damaged or misses a file is named")
    func refusals() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            let (sink, stream) = try await open(folder, store)
            _ = try await stream.write(SmallChain.batch(1...250))
            _ = try await stream.finish()
            await sink.close()
            let more = Schema(name: "more", key: [], doc: "", fields: SmallChain.logs.fields)
            for wrong in [[SmallChain.blocks], SmallChain.schemas + [more]] {
                let error = await #expect(throws: SluiceError.self) { try await open(folder, store, tables: wrong) }
                #expect(error?.class == .pause)
                #expect(error?.message.contains("other tables") == true)
            }
            let manifest = "\(folder)/lake/_manifests/1/000000000100_000000000199.json"
            let whole = try String(contentsOfFile: manifest, encoding: .utf8)
            for damaged in [
                String(whole.dropLast(20)), "{}", whole.replacing("\"last_block\": 199", with: "\"last_block\": 198"), "[]", "",
            ] {
                try damaged.write(toFile: manifest, atomically: true, encoding: .utf8)
                let error = await #expect(throws: SluiceError.self) { try await open(folder, store) }
                #expect(error?.class == .pause)
                #expect(error?.message.contains("000000000100_000000000199.json") == true)
            }
            try whole.write(toFile: manifest, atomically: true, encoding: .utf8)
            let gone = "logs/\(day)/logs_000000000200_000000000250.parquet"
            try FileManager.default.removeItem(atPath: "\(folder)/lake/\(gone)")
            let error = await #expect(throws: SluiceError.self) { try await open(folder, store) }
            #expect(error?.message.contains(gone) == true)
        }
    }

    @Test("a folder whose name reads as a pattern is a folder")
    func pattern() async throws {
        try await withFolder { outer in
            let folder = "\(outer)/a[1]b"
            let store = MemorySegments()
            var (sink, stream) = try await open(folder, store)
            _ = try await stream.write(SmallChain.batch(1...250))
            try await stream.rollback(to: SmallChain.position(150))
            await sink.close()
            (sink, stream) = try await open(folder, store)
            #expect(try await stream.coverage() == [SmallChain.segment(1...150)])
            await sink.close()
            #expect(try numbers(folder) == Array(1...150))
        }
    }

    @Test("thousands of manifests are read")
    func many() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            var (sink, stream) = try await open(folder, store)
            _ = try await stream.write(SmallChain.batch(0...99))
            await sink.close()
            // Spans without a row have no files.
            let manifests = "\(folder)/lake/_manifests/1"
            let text = try String(contentsOfFile: "\(manifests)/000000000000_000000000099.json", encoding: .utf8)
            let head = try #require(text.firstRange(of: "\"files\": ["))
            let tail = try #require(text.firstRange(of: "],\n  \"schema\""))
            let empty = text[..<head.upperBound] + text[tail.lowerBound...]
            for index in 1..<5_000 {
                let (first, last) = (index * 100, index * 100 + 99)
                func padded(_ number: Int) -> String { String(repeating: "0", count: 12 - String(number).count) + String(number) }
                let manifest = empty.replacing("\"first_block\": 0", with: "\"first_block\": \(first)")
                    .replacing("\"last_block\": 99", with: "\"last_block\": \(last)")
                try Data(manifest.utf8).write(to: URL(filePath: "\(manifests)/\(padded(first))_\(padded(last)).json"))
            }
            (sink, stream) = try await open(folder, store)
            let segments = try await stream.coverage()
            #expect(segments.map(\.first) == [0])
            #expect(segments.map(\.last.number) == [499_999])
            await sink.close()
        }
    }
}
