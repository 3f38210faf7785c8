import FilesConnector
import Foundation
import Glibc
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// Rows that come to blocks which are there already.
@Suite struct FilesAmendTests {
    static let id = StreamID(pipeline: "p", chainID: 1)

    private func open(_ format: TextRows.Format, _ folder: String, blocksPerFile: UInt64 = 0) async throws -> (FilesSink, any SinkStream) {
        let sink = FilesSink(FilesSinkOptions(format, directory: folder, blocksPerFile: blocksPerFile))
        return (sink, try await sink.open(Self.id, tables: SmallChain.schemas))
    }

    /// The logs, a line a row: block, place, note.
    private func logs(_ format: TextRows.Format, _ folder: String) throws -> [String] {
        try TextReader.rows(format.rawValue, folder, "logs", ["block_number", "log_index", "note"]).map { row in
            row.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
        }
    }

    /// The same of blocks as they are read, with others in the place of some.
    private func expected(_ range: ClosedRange<UInt64>, _ instead: [UInt64: [String]]) -> [String] {
        range.flatMap { number in instead[number] ?? (0..<number % 3).map { "\(number) \($0)" } }
    }

    private func number(_ position: Position?) -> UInt64? { position?.number }

    @Test(
        "rows take the place of those at their places, in their order, wherever the block is by then, and no position moves",
        arguments: TextRows.Format.allCases, [0, 8] as [UInt64])
    func amended(_ format: TextRows.Format, blocksPerFile: UInt64) async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(format, folder, blocksPerFile: blocksPerFile)
            // Ends of blocks that are final are not kept.
            try await stream.finalized(blocksPerFile == 0 ? 0 : 12)
            _ = try await stream.write(SmallChain.batch(1...20))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(21...22))
            try await stream.amend([
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3], note: "a \"quoted\",\nnote"),
                SmallChain.amendment(1, places: [0, 4]), SmallChain.amendment(14, places: [1]), SmallChain.amendment(20, places: [0]),
                SmallChain.amendment(22, places: [0]), SmallChain.amendment(8, places: [0, 1], rows: []),
                SmallChain.amendment(10, places: [5], rows: []),
            ])
            #expect(number(try await stream.flush()) == 22)
            let now = expected(
                1...22,
                [
                    1: ["1 0 new", "1 4 new"], 5: ["5 0 new", "5 1", "5 7 new"], 6: ["6 3 a \"quoted\",\nnote"], 14: ["14 0", "14 1 new"],
                    20: ["20 0 new", "20 1"], 22: ["22 0 new"], 8: [],
                ])
            #expect(try logs(format, folder) == now)
            // Done twice it is done once; what follows is written behind it, and can be undone.
            try await stream.amend([SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(14, places: [1])])
            _ = try await stream.write(SmallChain.batch(23...26))
            #expect(number(try await stream.flush()) == 26)
            try await stream.rollback(to: SmallChain.position(23))
            #expect(try logs(format, folder) == now + expected(23...23, [:]))
            await sink.close()
            let (again, resumed) = try await open(format, folder, blocksPerFile: blocksPerFile)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...23)])
            try await resumed.amend([SmallChain.amendment(5, places: [0, 7], rows: [7], note: "other")])
            try await resumed.rollback(to: SmallChain.position(15))
            await again.close()
            #expect(
                try logs(format, folder)
                    == now.filter { (UInt64($0.prefix { $0 != " " }) ?? 0) <= 15 && !$0.hasPrefix("5 0") }
                    .map { $0 == "5 7 new" ? "5 7 other" : $0 })
            let hidden = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/logs/chain_id=1").filter { $0.hasPrefix(".") }
            #expect(hidden == [])
        }
    }

    @Test(
        "a block that is not held, or another of its number, is refused, and nothing is changed or lost by it",
        arguments: TextRows.Format.allCases)
    func refused(_ format: TextRows.Format) async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(format, folder)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(11...12))
            let good = SmallChain.amendment(5, places: [0])
            let cases: [(Amendment, SluiceError.Code)] = [
                (SmallChain.amendment(13, places: [0]), .blockNotHeld), (SmallChain.amendment(0, places: [0]), .blockNotHeld),
                (SmallChain.amendment(12, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
                // Of its logs there are none: the table of blocks tells.
                (SmallChain.amendment(6, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(11, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(5, places: [0], chainID: 5), .sinkOrder),
            ]
            for (wrong, code) in cases {
                let error = await #expect(throws: SluiceError.self) { try await stream.amend([good, wrong]) }
                #expect(error?.code == code, "\(wrong.block.number): \(String(describing: error))")
            }
            #expect(number(try await stream.flush()) == 12)
            try expectBlocks(format, folder, 1...12)
            await sink.close()
        }
    }

    @Test("a file that is older than a column takes rows without a value in it, and refuses others")
    func olderFile() async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(.csv, folder)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            await sink.close()
            var fields = SmallChain.logs.fields
            fields.insert(Field("extra", .int64, nullable: true, ""), at: 1)
            let wider = Schema(name: "logs", key: SmallChain.logs.key, doc: "", fields: fields)
            sink = FilesSink(FilesSinkOptions(.csv, directory: folder))
            stream = try await sink.open(Self.id, tables: [SmallChain.blocks, wider])
            func amendment(_ extra: Int64?) -> Amendment {
                let narrow = SmallChain.amendment(2, places: [0])
                var builder = ColumnBuilder(.int64)
                if let extra { builder.append(extra) } else { builder.appendNull() }
                var columns = narrow.rows.columns
                columns.insert(builder.finish(), at: 1)
                return Amendment(
                    chainID: 1, block: narrow.block, timestamp: narrow.timestamp, column: narrow.column, places: narrow.places,
                    rows: Table(schema: wider, columns: columns, rowCount: 1))
            }
            await #expect { try await stream.amend([amendment(7)]) } throws: {
                ($0 as? SluiceError)?.code == .amendUnsupported && "\($0)".contains("column extra")
            }
            try expectBlocks(.csv, folder, 1...5)
            try await stream.amend([amendment(nil)])
            await sink.close()
            #expect(try logs(.csv, folder) == expected(1...5, [2: ["2 0 new", "2 1"]]))
        }
    }

    @Test("a process that is killed leaves what was amended, or what was there", arguments: 1...6)
    func killed(_ round: Int) async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String, round = round as Int] in
                let format: TextRows.Format = round % 2 == 0 ? .csv : .jsonl
                let sink = FilesSink(FilesSinkOptions(format, directory: folder))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                _ = try await stream.write(SmallChain.batch(1...90))
                _ = try await stream.flush()
                try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "first") })
                // Somewhere in the middle of one of those that follow it ends.
                Thread.detachNewThread {
                    usleep(UInt32(20_000 + round * 9_000))
                    kill(getpid(), SIGKILL)
                }
                for round in 0... {
                    let note = String(repeating: "n", count: round % 50) + "\(round)"
                    try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: note) })
                }
            }
            let format: TextRows.Format = round % 2 == 0 ? .csv : .jsonl
            let (sink, stream) = try await open(format, folder)
            #expect(try await stream.coverage() == [SmallChain.segment(1...90)])
            _ = try await stream.write(SmallChain.batch(91...92))
            _ = try await stream.flush()
            await sink.close()
            let rows = try logs(format, folder)
            // All of one round.
            let note = try #require(rows.first { $0.hasPrefix("10 0 ") }?.dropFirst(5))
            let instead = (UInt64(10)...60).map { number in (number, (0..<3).map { "\(number) \($0) \(note)" }) }
            #expect(rows == expected(1...92, Dictionary(uniqueKeysWithValues: instead)), "\(note)")
        }
    }

    @Test("wherever the exchange was broken off, a start ends it or takes it back", arguments: TextRows.Format.allCases)
    func brokenOff(_ format: TextRows.Format) async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(format, folder)
            _ = try await stream.write(SmallChain.batch(1...9))
            _ = try await stream.flush()
            let (path, record) = ("\(folder)/logs/chain_id=1/logs_000000000001.\(format.rawValue)", "\(folder)/_positions/1.json")
            let (oldFile, oldRecord) = (try text(path), try text(record))
            try await stream.amend([SmallChain.amendment(5, places: [1, 2])])
            await sink.close()
            let (newFile, newRecord) = (try text(path), try text(record))
            let pending = newRecord.replacing(
                "]\n}", with: "],\n  \"exchanges\": [{\"first_block\": 1, \"table\": \"logs\"}]\n}")
            #expect(pending != newRecord)
            let staged = "\(folder)/logs/chain_id=1/.logs_000000000001.\(format.rawValue).next"
            let (old, new) = (expected(1...9, [:]), expected(1...9, [5: ["5 0", "5 1 new", "5 2 new"]]))
            for (file, told, waiting, rows) in [
                // Half made; made, and not told; told; in its place.
                (oldFile, oldRecord, String(newFile.prefix(90)), old), (oldFile, oldRecord, newFile, old), (oldFile, pending, newFile, new),
                (newFile, pending, nil, new),
            ] {
                try file.write(toFile: path, atomically: false, encoding: .utf8)
                try told.write(toFile: record, atomically: false, encoding: .utf8)
                try waiting?.write(toFile: staged, atomically: false, encoding: .utf8)
                (sink, stream) = try await open(format, folder)
                #expect(try await stream.coverage() == [SmallChain.segment(1...9)])
                await sink.close()
                #expect(try logs(format, folder) == rows)
                #expect(!FileManager.default.fileExists(atPath: staged))
                #expect(try !text(record).contains("exchanges"))
            }
        }
    }
}
