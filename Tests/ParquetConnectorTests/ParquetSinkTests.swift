import Foundation
import ParquetConnector
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Synchronization
import Testing

/// Segments in memory, as the state store would keep them.
final class MemorySegments: SegmentStore {
    private let all: Mutex<[StreamID: [Segment]]>
    init(_ all: [StreamID: [Segment]] = [:]) { self.all = Mutex(all) }
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}

@Suite struct ParquetSinkTests {
    let id = StreamID(pipeline: "p", chainID: 1)

    private func options(_ folder: String) -> ParquetSinkOptions {
        ParquetSinkOptions(directory: "\(folder)/lake", blocksPerFile: 100, rowGroupRows: 2_048)
    }

    /// Paths below the lake, with the bytes of each file.
    private func files(_ folder: String, manifests: Bool = true) throws -> [String: Data] {
        let root = "\(folder)/lake"
        var found: [String: Data] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: root)
        where path.hasSuffix(".parquet") || (manifests && path.hasSuffix(".json")) {
            found[path] = try Data(contentsOf: URL(filePath: "\(root)/\(path)"))
        }
        return found
    }

    private func numbers(_ folder: String, _ table: String = "blocks", _ field: String = "number") throws -> [UInt64] {
        let session = try DuckDBDatabase(path: nil).connect()
        return try session.rows("SELECT \(field) FROM read_parquet('\(folder)/lake/\(table)/**/*.parquet') ORDER BY 1").compactMap {
            $0[0].uint64
        }
    }

    /// Writes blocks `range` in batches of `size`, and ends the stream.
    private func fill(_ folder: String, _ range: ClosedRange<UInt64>, size: UInt64, segments store: MemorySegments = MemorySegments())
        async throws
    {
        let sink = ParquetSink(options(folder), segments: store)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        for first in stride(from: range.lowerBound, through: range.upperBound, by: Int(size)) {
            _ = try await stream.write(SmallChain.batch(first...min(range.upperBound, first + size - 1)))
        }
        _ = try await stream.finish()
        #expect(try await stream.flush() == nil)
        #expect(store.load(id).last?.last == SmallChain.position(range.upperBound))
        await sink.close()
    }

    @Test("a chain's files have one writer: a second one is refused, with who it is, until the first has closed")
    func oneWriter() async throws {
        try await withFolder { folder in
            let (one, two) = (
                ParquetSink(options(folder), segments: MemorySegments()), ParquetSink(options(folder), segments: MemorySegments())
            )
            let stream = try await one.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...30))
            let error = await #expect(throws: SluiceError.self) { _ = try await two.open(id, tables: SmallChain.schemas) }
            #expect(error?.class == .pause && error?.message.contains("another sink of this process") == true)
            // Another chain in the same folder is its own.
            _ = try await two.open(StreamID(pipeline: "p", chainID: 5), tables: SmallChain.schemas)
            await two.close()
            // The file that was open meanwhile is whole.
            _ = try await stream.finish()
            await one.close()
            #expect(try numbers(folder) == Array(1...30))
            let fresh = ParquetSink(options(folder), segments: MemorySegments())
            #expect(try await fresh.open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...30)])
            await fresh.close()
        }
    }

    @Test("a writer in another process is named")
    func otherProcess() async throws {
        try await withFolder { folder in
            let sink = ParquetSink(options(folder), segments: MemorySegments())
            _ = try await sink.open(id, tables: SmallChain.schemas)
            await sink.close()
            let script = """
                import fcntl, os, sys
                file = open(sys.argv[1], "r+")
                fcntl.flock(file, fcntl.LOCK_EX)
                file.truncate(0)
                os.pwrite(file.fileno(), f"{os.getpid()}\\n".encode(), 0)
                print(os.getpid(), flush=True)
                sys.stdin.read()
                """
            let other = Process()
            let (input, output) = (Pipe(), Pipe())
            other.executableURL = URL(filePath: "/usr/bin/env")
            other.arguments = ["python3", "-c", script, "\(folder)/lake/_temporary/1.lock"]
            (other.standardInput, other.standardOutput) = (input, output)
            try other.run()
            let pid = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).trimmingCharacters(in: .newlines)
            let error = await #expect(throws: SluiceError.self) { _ = try await sink.open(id, tables: SmallChain.schemas) }
            #expect(error?.message.contains("by process \(pid)") == true)
            try input.fileHandleForWriting.close()
            other.waitUntilExit()
            _ = try await sink.open(id, tables: SmallChain.schemas)
            await sink.close()
        }
    }

    @Test("files end at multiples of their blocks and where the date changes; each span has a manifest")
    func layout() async throws {
        try await withFolder { folder in
            // Block n is at 1,700,000,000 + 12 n, and 1,700,006,400 is midnight: block 534 is the first of 2023-11-15.
            try await fill(folder, 450...620, size: 30)
            let expected = [
                ("2023-11-14", "000000000450_000000000499"), ("2023-11-14", "000000000500_000000000533"),
                ("2023-11-15", "000000000534_000000000599"), ("2023-11-15", "000000000600_000000000620"),
            ]
            let names = Set(
                expected.flatMap { day, span in
                    ["blocks", "logs"].map { "\($0)/chain_id=1/date=\(day)/\($0)_\(span).parquet" } + ["_manifests/1/\(span).json"]
                })
            #expect(Set(try files(folder).keys) == names)
            #expect(try numbers(folder) == Array(450...620))
            #expect(try numbers(folder, "logs", "block_number") == (450...620).flatMap { Array(repeating: $0, count: Int($0 % 3)) })
            let text = try #require(try files(folder)["_manifests/1/000000000534_000000000599.json"])
            let json = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
            #expect(json["stream"] as? String == "p")
            #expect(json["first_block"] as? Int == 534)
            #expect(json["last_block"] as? Int == 599)
            #expect(json["last_hash"] as? String == SmallChain.hash(599).description)
            let entries = try #require(json["files"] as? [[String: Any]])
            #expect(entries.map { $0["rows"] as? Int } == [66, (534...599).reduce(0) { $0 + $1 % 3 }])
            let whole = try files(folder)
            let sizes = entries.map { whole[$0["path"] as? String ?? ""]?.count }
            #expect(entries.map { $0["bytes"] as? Int } == sizes)
        }
    }

    @Test("the same blocks make the same bytes, however they came in batches", arguments: [1, 7, 100, 333] as [UInt64])
    func deterministic(size: UInt64) async throws {
        try await withFolder { folder in
            try await fill("\(folder)/a", 1...700, size: 50)
            try await fill("\(folder)/b", 1...700, size: size)
            let (a, b) = (try files("\(folder)/a"), try files("\(folder)/b"))
            #expect(a.count == 27)
            #expect(a == b)
        }
    }

    @Test("a stream that ends early goes on in a new file; one that is cut off writes its open file again")
    func resume() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            try await fill(folder, 1...130, size: 20, segments: store)
            let sink = ParquetSink(options(folder), segments: store)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try await stream.coverage() == [SmallChain.segment(1...130)])
            #expect(try await stream.write(SmallChain.batch(131...250)) == SmallChain.position(199))
            #expect(try await stream.flush() == nil)
            // Gone without a word, as after a crash.
            await sink.close()
            let again = ParquetSink(options(folder), segments: store)
            let resumed = try await again.open(id, tables: SmallChain.schemas)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...199)])
            _ = try await resumed.write(SmallChain.batch(200...299))
            await again.close()
            #expect(try numbers(folder) == Array(1...299))
            // What ended early is one with what followed it.
            #expect(try files(folder)["blocks/chain_id=1/date=2023-11-14/blocks_000000000100_000000000199.parquet"] != nil)
        }
    }

    @Test("opened again, a stream starts from what is durable, and its old self is refused")
    func reopen() async throws {
        try await withFolder { folder in
            let sink = ParquetSink(options(folder), segments: MemorySegments())
            let old = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await old.write(SmallChain.batch(1...150))
            let new = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try await new.coverage() == [SmallChain.segment(1...99)])
            await #expect(throws: SluiceError.self) { try await old.write(SmallChain.batch(151...151)) }
            _ = try await new.write(SmallChain.batch(100...199))
            await sink.close()
            #expect(try numbers(folder) == Array(1...199))
        }
    }

    @Test("files that no manifest names are removed and written again with the same bytes")
    func leftovers() async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            try await fill(folder, 1...199, size: 50, segments: store)
            let whole = try files(folder)
            // As after a crash between the last rename and the manifest, and one in the middle of a file.
            try FileManager.default.removeItem(atPath: "\(folder)/lake/_manifests/1/000000000100_000000000199.json")
            store.save([SmallChain.segment(1...99)], of: id)
            try Data("half".utf8).write(to: URL(filePath: "\(folder)/lake/_temporary/1/blocks.parquet"))
            let sink = ParquetSink(options(folder), segments: store)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try await stream.coverage() == [SmallChain.segment(1...99)])
            #expect(try numbers(folder) == Array(1...99))
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/lake/_temporary/1") == [])
            _ = try await stream.write(SmallChain.batch(100...199))
            await sink.close()
            #expect(try files(folder) == whole)
        }
    }

    @Test("a manifest that was written counts, though the position was not saved")
    func unsavedPosition() async throws {
        try await withFolder { folder in
            try await fill(folder, 1...199, size: 50)
            for stored in [[], [SmallChain.segment(1...99)]] {
                let store = MemorySegments([id: stored])
                let sink = ParquetSink(options(folder), segments: store)
                #expect(try await sink.open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...199)])
                #expect(store.load(id) == [SmallChain.segment(1...199)])
                await sink.close()
            }
        }
    }

    @Test("a folder that lacks what the position says, or is another pipeline's, is left alone")
    func foreign() async throws {
        try await withFolder { folder in
            try await fill(folder, 1...299, size: 50)
            let before = try files(folder)
            var sink = ParquetSink(options(folder), segments: MemorySegments([id: [SmallChain.segment(1...5000)]]))
            await #expect(throws: SluiceError.self) { try await sink.open(id, tables: SmallChain.schemas) }
            sink = ParquetSink(options(folder), segments: MemorySegments())
            let error = await #expect(throws: SluiceError.self) {
                try await sink.open(StreamID(pipeline: "q", chainID: 1), tables: SmallChain.schemas)
            }
            #expect(error?.message.contains("pipeline p") == true)
            #expect(try files(folder) == before)
            // Without its manifests, the folder might be anything.
            try FileManager.default.removeItem(atPath: "\(folder)/lake/_manifests")
            sink = ParquetSink(options(folder), segments: MemorySegments())
            await #expect(throws: SluiceError.self) { try await sink.open(id, tables: SmallChain.schemas) }
            #expect(try files(folder) == before.filter { $0.key.hasSuffix(".parquet") })
        }
    }

    @Test("a rollback drops whole spans and cuts the one around its position", arguments: [0, 30, 99, 100, 150, 199, 230, 250] as [UInt64])
    func rollback(target: UInt64) async throws {
        try await withFolder { folder in
            let store = MemorySegments()
            let sink = ParquetSink(options(folder), segments: store)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...250))
            try await stream.rollback(to: SmallChain.position(target))
            // Blocks 200 to 250 are in open files; what is not undone of them is not durable by that.
            let left = target == 0 ? [] : [SmallChain.segment(1...(target == 250 ? 199 : target))]
            #expect(try await stream.coverage() == (target == 0 ? [] : [SmallChain.segment(1...target)]))
            #expect(store.load(id) == left)
            #expect(try target == 0 || numbers(folder) == Array(1...(left.last?.last.number ?? 0)))
            _ = try await stream.write(SmallChain.batch(target + 1...300, fork: 1, parentFork: 0))
            _ = try await stream.finish()
            await sink.close()
            #expect(try numbers(folder) == Array(1...300))
            let session = try DuckDBDatabase(path: nil).connect()
            let hashes = try session.rows("SELECT hash FROM read_parquet('\(folder)/lake/blocks/**/*.parquet') ORDER BY number").map {
                $0[0]
            }
            #expect(hashes == (1...300).map { .blob(SmallChain.hash($0, fork: $0 > target ? 1 : 0).bytes) })
            let again = ParquetSink(options(folder), segments: store)
            #expect(try await again.open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...300, fork: 1)])
            await again.close()
        }
    }

    @Test("a failing write gives the open files up, and goes on from the position")
    func failing() async throws {
        try await withFolder { folder in
            let sink = ParquetSink(options(folder), segments: MemorySegments())
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...120))
            // Where the table's files should go there is a file now.
            let lake = "\(folder)/lake"
            try FileManager.default.moveItem(atPath: "\(lake)/logs", toPath: "\(lake)/kept")
            try Data().write(to: URL(filePath: "\(lake)/logs"))
            let error = await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(121...199)) }
            #expect(error?.class == .pause)
            try FileManager.default.removeItem(atPath: "\(lake)/logs")
            try FileManager.default.moveItem(atPath: "\(lake)/kept", toPath: "\(lake)/logs")
            let lost = await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(200...200)) }
            #expect(lost?.class == .retry)
            #expect(try await stream.coverage() == [SmallChain.segment(1...99)])
            _ = try await stream.write(SmallChain.batch(100...199))
            await sink.close()
            #expect(try numbers(folder) == Array(1...199))
        }
    }
}
