import FilesConnector
import Foundation
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

@testable import FilesConnector

@Suite struct FilesSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private func open(_ options: FilesSinkOptions) async throws -> (FilesSink, any SinkStream) {
        let sink = FilesSink(options)
        do { return (sink, try await sink.open(id, tables: SmallChain.schemas)) } catch {
            await sink.close()
            throw error
        }
    }

    @Test("rows and position land together, and a new sink goes on from there", arguments: TextRows.Format.allCases)
    func positions(_ format: TextRows.Format) async throws {
        try await withFolder { folder in
            let options = FilesSinkOptions(format, directory: folder + "/x", commitRows: 20)
            var (sink, stream) = try await open(options)
            #expect(try await stream.coverage() == [])
            #expect(try await stream.write(SmallChain.batch(1...6)) == nil)
            #expect(try await stream.flush() == SmallChain.position(6))
            #expect(try await stream.flush() == nil)
            #expect(try await stream.write(SmallChain.batch(7...11)) == nil)
            // A step that is full is stored, and told once.
            #expect(try await stream.write(SmallChain.batch(12...20)) == SmallChain.position(20))
            #expect(try await stream.write(SmallChain.batch(21...22)) == nil)
            await sink.close()
            try expectBlocks(format, folder + "/x", 1...20)
            (sink, stream) = try await open(options)
            #expect(try await stream.coverage() == [SmallChain.segment(1...20)])
            _ = try await stream.write(SmallChain.batch(21...24))
            #expect(try await stream.finish() == SmallChain.position(24))
            await sink.close()
            try expectBlocks(format, folder + "/x", 1...24)
        }
    }

    @Test(
        "a rollback leaves exactly what is up to its position: held, stored, of known ends and of those to be found, across files",
        arguments: TextRows.Format.allCases, [0, 40] as [UInt64])
    func rollback(_ format: TextRows.Format, finalized: UInt64) async throws {
        try await withFolder { folder in
            let options = FilesSinkOptions(format, directory: folder, blocksPerFile: finalized == 0 ? 0 : 16)
            var (sink, stream) = try await open(options)
            try await stream.finalized(finalized)
            _ = try await stream.write(SmallChain.batch(1...40))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(41...44))
            _ = try await stream.write(SmallChain.batch(45...50))
            // In the middle of what is held.
            try await stream.rollback(to: SmallChain.position(47))
            #expect(try await stream.coverage() == [SmallChain.segment(1...47)])
            try expectBlocks(format, folder, 1...47)
            try await stream.rollback(to: SmallChain.position(43))
            try expectBlocks(format, folder, 1...43)
            // In the middle of a step, twice, and by a process that has not written it.
            try await stream.rollback(to: SmallChain.position(29))
            await sink.close()
            (sink, stream) = try await open(options)
            try expectBlocks(format, folder, 1...29)
            try await stream.rollback(to: SmallChain.position(20))
            _ = try await stream.write(SmallChain.batch(21...33, fork: 1, parentFork: 0))
            _ = try await stream.flush()
            #expect(try await stream.coverage() == [SmallChain.segment(1...33, fork: 1)])
            try expectBlocks(format, folder, 1...33, fork: 1, from: 21)
            try await stream.rollback(to: SmallChain.position(0))
            #expect(try await stream.coverage() == [])
            try expectBlocks(format, folder)
            _ = try await stream.write(SmallChain.batch(1...3))
            _ = try await stream.flush()
            try expectBlocks(format, folder, 1...3)
            await sink.close()
        }
    }

    @Test("a backfill below has files of its own, survives a restart, and becomes one with what it meets")
    func segments() async throws {
        try await withFolder { folder in
            let options = FilesSinkOptions(.csv, directory: folder)
            var (sink, stream) = try await open(options)
            _ = try await stream.write(SmallChain.batch(50...60))
            _ = try await stream.write(SmallChain.batch(10...20))
            #expect(try await stream.flush() == SmallChain.position(20))
            _ = try await stream.write(SmallChain.batch(61...65))
            #expect(try await stream.flush() == SmallChain.position(65))
            await sink.close()
            (sink, stream) = try await open(options)
            #expect(try await stream.coverage() == [SmallChain.segment(10...20), SmallChain.segment(50...65)])
            try expectBlocks(.csv, folder, 10...20, 50...65)
            // Others stay when one is cut.
            try await stream.rollback(to: SmallChain.position(15))
            #expect(try await stream.coverage() == [SmallChain.segment(10...15), SmallChain.segment(50...65)])
            for range in [16...35, 36...49] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
            _ = try await stream.flush()
            #expect(try await stream.coverage() == [SmallChain.segment(10...65)])
            try expectBlocks(.csv, folder, 10...65)
            // What was built on a block goes with it.
            try await stream.rollback(to: SmallChain.position(30))
            try expectBlocks(.csv, folder, 10...30)
            await sink.close()
        }
    }

    @Test("what is there, and what does not descend from it, is refused, and nothing is lost by it")
    func refused() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(FilesSinkOptions(.jsonl, directory: folder))
            _ = try await stream.write(SmallChain.batch(1...5))
            for batch in [SmallChain.batch(5...6), SmallChain.batch(6...7, fork: 1), SmallChain.batch(0...2)] {
                await #expect { _ = try await stream.write(batch) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
            }
            _ = try await stream.write(SmallChain.batch(6...7))
            #expect(try await stream.flush() == SmallChain.position(7))
            try expectBlocks(.jsonl, folder, 1...7)
            // A second writer, of this process or another.
            await #expect { _ = try await open(FilesSinkOptions(.jsonl, directory: folder)) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("another process writes")
            }
            await sink.close()
        }
    }

    @Test("a column that is new begins new files; one that is gone, a table that joins, another pipeline and another format are refused")
    func migration() async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(FilesSinkOptions(.csv, directory: folder))
            _ = try await stream.write(SmallChain.batch(1...3))
            _ = try await stream.flush()
            await sink.close()
            let wider = Schema(
                name: "logs", key: SmallChain.logs.key, doc: "",
                fields: SmallChain.logs.fields + [Field("extra", .json, nullable: true, "")])
            sink = FilesSink(FilesSinkOptions(.csv, directory: folder))
            // Also when the tables come in another order.
            stream = try await sink.open(id, tables: [wider, SmallChain.blocks])
            _ = try await stream.write(SmallChain.batch(4...8, logs: wider))
            _ = try await stream.flush()
            await sink.close()
            try expectBlocks(.csv, folder, 1...8)
            #expect(try TextReader.rows("csv", folder, "logs", ["extra"]).count == 9)
            let cases: [(StreamID, TextRows.Format, [Schema], String)] = [
                (id, .csv, SmallChain.schemas, "column extra json"), (id, .csv, [wider], "no longer asks for table blocks"),
                (id, .jsonl, [wider, SmallChain.blocks], "as csv"),
                (StreamID(pipeline: "q", chainID: 1), .csv, [wider, SmallChain.blocks], "as pipeline p wrote it"),
            ]
            for (id, format, tables, said) in cases {
                let sink = FilesSink(FilesSinkOptions(format, directory: folder))
                await #expect { _ = try await sink.open(id, tables: tables) } throws: {
                    ($0 as? SluiceError)?.class == .pause && "\($0)".contains(said)
                }
                await sink.close()
            }
        }
    }

    @Test("a file that is gone, cut or of somebody else is a pause that names it, and it goes on when that is mended")
    func meddled() async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(FilesSinkOptions(.csv, directory: folder))
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            let path = "\(folder)/logs/chain_id=1/logs_000000000001.csv"
            let whole = try text(path)
            for (content, said) in [(nil, "is gone"), (String(whole.dropLast(9)), "something else has changed it")] {
                try FileManager.default.removeItem(atPath: path)
                try content?.write(toFile: path, atomically: false, encoding: .utf8)
                _ = try await stream.write(SmallChain.batch(6...8))
                for _ in 1...2 {
                    await #expect { _ = try await stream.flush() } throws: {
                        "\($0)".contains(said) && "\($0)".contains(path) || ($0 as? SluiceError)?.code == .filesReopen
                    }
                }
                await #expect { _ = try await stream.coverage() } throws: { ($0 as? SluiceError)?.class == .pause }
                try whole.write(toFile: path, atomically: false, encoding: .utf8)
                #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
            }
            _ = try await stream.write(SmallChain.batch(6...8))
            #expect(try await stream.flush() == SmallChain.position(8))
            await sink.close()
            try expectBlocks(.csv, folder, 1...8)
            try "".write(toFile: "\(folder)/logs/chain_id=1/logs_000000000099.csv", atomically: false, encoding: .utf8)
            await #expect { _ = try await open(FilesSinkOptions(.csv, directory: folder)) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("logs_000000000099.csv")
            }
            try FileManager.default.removeItem(atPath: "\(folder)/logs/chain_id=1/logs_000000000099.csv")
            (sink, stream) = try await open(FilesSinkOptions(.csv, directory: folder))
            #expect(try await stream.coverage() == [SmallChain.segment(1...8)])
            await sink.close()
            await #expect { _ = try await open(FilesSinkOptions(.csv, directory: "/dev/null/x")) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("/dev/null")
            }
        }
    }
}
