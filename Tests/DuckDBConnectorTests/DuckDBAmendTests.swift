import DuckDBConnector
import Foundation
import Glibc
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

/// Rows that come to blocks which are there already.
@Suite struct DuckDBAmendTests {
    static let id = StreamID(pipeline: "p", chainID: 1)

    private func open(_ folder: String) async throws -> (DuckDBSink, any SinkStream) {
        let sink = DuckDBSink(DuckDBSinkOptions(path: "\(folder)/x.duckdb", stageBytes: 1_500))
        return (sink, try await sink.open(Self.id, tables: SmallChain.schemas))
    }

    /// The logs of a chain, a line a row: block, place, note.
    private func logs(_ folder: String, chain: Int = 1) throws -> [String] {
        try DuckDBDatabase(path: "\(folder)/x.duckdb", readOnly: true).connect().rows(
            """
            SELECT concat_ws(' ', block_number, log_index, note) FROM logs WHERE chain_id = \(chain) ORDER BY block_number, log_index, note
            """
        ).compactMap { $0[0].text }
    }

    /// The same of blocks as they are read, with others in the place of some.
    private func expected(_ range: ClosedRange<UInt64>, _ instead: [UInt64: [String]]) -> [String] {
        range.flatMap { number in instead[number] ?? (0..<number % 3).map { "\(number) \($0)" } }
    }

    @Test("rows take the place of those at their places, wherever the block is by then, and no position moves")
    func amended() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            // One that is staged, and one that is held.
            _ = try await stream.write(SmallChain.batch(11...20))
            _ = try await stream.write(SmallChain.batch(21...22))
            try await stream.amend([
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3]),
                SmallChain.amendment(14, places: [1]), SmallChain.amendment(22, places: [0]),
                SmallChain.amendment(8, places: [0, 1], rows: []),
            ])
            let now = expected(
                1...22, [5: ["5 0 new", "5 1", "5 7 new"], 6: ["6 3 new"], 14: ["14 0", "14 1 new"], 22: ["22 0 new"], 8: []])
            #expect(try await stream.coverage() == [SmallChain.segment(1...22)])
            // What was taken before is durable with it, and that is told once.
            #expect(try await stream.flush() == SmallChain.position(22))
            #expect(try await stream.flush() == nil)
            // Done twice it is done once; by other rows it is replaced.
            try await stream.amend([SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3])])
            _ = try await stream.write(SmallChain.batch(23...23))
            #expect(try await stream.flush() == SmallChain.position(23))
            await sink.close()
            #expect(try logs(folder) == now + expected(23...23, [:]))
            let (again, resumed) = try await open(folder)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...23)])
            try await resumed.amend([SmallChain.amendment(5, places: [0, 7], rows: [7], note: "other")])
            await again.close()
            #expect(try logs(folder).filter { $0.hasPrefix("5 ") } == ["5 1", "5 7 other"])
        }
    }

    @Test("a block that is not held, or another of its number, is refused, and nothing is changed or lost by it")
    func refused() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            let other = try await sink.open(StreamID(pipeline: "q", chainID: 5), tables: SmallChain.schemas)
            _ = try await other.write(SmallChain.batch(5...5, chainID: 5))
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(11...12))
            let good = SmallChain.amendment(5, places: [0])
            let cases: [(Amendment, SluiceError.Code)] = [
                (SmallChain.amendment(13, places: [0]), .blockNotHeld), (SmallChain.amendment(0, places: [0]), .blockNotHeld),
                // The last of the segment, one with rows of its own, and one that only waits.
                (SmallChain.amendment(12, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(11, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(5, places: [0], chainID: 5), .sinkOrder),
            ]
            for (wrong, code) in cases {
                let error = await #expect(throws: SluiceError.self) { try await stream.amend([good, wrong]) }
                #expect(error?.code == code, "\(wrong.block.number): \(String(describing: error))")
                if code != .sinkOrder { #expect(error?.class == .data && error?.message.contains("x.duckdb") == true) }
            }
            _ = try await stream.write(SmallChain.batch(13...13))
            #expect(try await stream.flush() == SmallChain.position(13))
            await sink.close()
            #expect(try logs(folder) == expected(1...13, [:]))
            #expect(try logs(folder, chain: 5) == ["5 0", "5 1"])
        }
    }

    @Test("another stream's rows of the same blocks are let alone, and its own are committed with it")
    func neighbours() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            let other = try await sink.open(StreamID(pipeline: "q", chainID: 5), tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...8))
            _ = try await other.write(SmallChain.batch(1...8, chainID: 5))
            try await stream.amend([SmallChain.amendment(5, places: [0, 1])])
            #expect(try await other.flush() == SmallChain.position(8))
            await sink.close()
            #expect(try logs(folder) == expected(1...8, [5: ["5 0 new", "5 1 new"]]))
            #expect(try logs(folder, chain: 5) == expected(1...8, [:]))
        }
    }

    @Test("a rollback takes away what was added with its block")
    func rollback() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(1...10))
            try await stream.amend([SmallChain.amendment(6, places: [4]), SmallChain.amendment(9, places: [4])])
            try await stream.rollback(to: SmallChain.position(7))
            await sink.close()
            #expect(try logs(folder) == expected(1...7, [6: ["6 4 new"]]))
        }
    }

    @Test("a process that is killed leaves what was amended, or what was there")
    func killed() async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String] in
                let sink = DuckDBSink(DuckDBSinkOptions(path: "\(folder)/x.duckdb"))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                _ = try await stream.write(SmallChain.batch(1...90))
                try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "first") })
                // Somewhere in the middle of one of those that follow it ends.
                Thread.detachNewThread {
                    usleep(60_000)
                    kill(getpid(), SIGKILL)
                }
                for round in 0... {
                    try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "\(round)") })
                }
            }
            let (sink, stream) = try await open(folder)
            #expect(try await stream.coverage() == [SmallChain.segment(1...90)])
            await sink.close()
            let rows = try logs(folder)
            // All of one round.
            let notes = Set(rows.map { $0.split(separator: " ").dropFirst(2).joined() }).subtracting([""])
            let note = try #require(notes.first)
            let instead = (UInt64(10)...60).map { number in (number, (0..<3).map { "\(number) \($0) \(note)" }) }
            #expect(rows == expected(1...90, Dictionary(uniqueKeysWithValues: instead)), "\(notes)")
        }
    }

    @Test("a full disk is a pause: nothing is half amended, and it can be done again when there is room")
    func full() async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .success) { [folder = folder as String] in
                let outcome = await outcomeOfFullAmend("\(folder)/x.duckdb")
                try outcome.write(toFile: "\(folder)/outcome", atomically: true, encoding: .utf8)
            }
            let (outcome, rows) = (try String(contentsOfFile: "\(folder)/outcome", encoding: .utf8), try logs(folder))
            #expect(outcome == "went on")
            #expect(rows.count == 30 + 3_000)
        }
    }
}

/// Amends a file that may grow no further, lifts the limit and does it again; says what was wrong, or `went on`.
private func outcomeOfFullAmend(_ path: String) async -> String {
    signal(SIGXFSZ, SIG_IGN)
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    var limit = rlimit()
    getrlimit(resource, &limit)
    do {
        let sink = DuckDBSink(DuckDBSinkOptions(path: path))
        let stream = try await sink.open(DuckDBAmendTests.id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...30))
        _ = try await stream.flush()
        let amendment = SmallChain.amendment(3, places: Set(10..<3_010), note: String(repeating: "long ", count: 400))
        var small = rlimit(rlim_cur: 400_000, rlim_max: limit.rlim_max)
        setrlimit(resource, &small)
        var failure: SluiceError?
        do { try await stream.amend([amendment]) } catch let error as SluiceError { failure = error }
        setrlimit(resource, &limit)
        guard let failure, failure.class == .pause else { return "failed as \(failure?.debugDescription ?? "nothing")" }
        guard try await stream.coverage() == [SmallChain.segment(1...30)] else { return "lost blocks" }
        try await stream.amend([amendment])
        _ = try await stream.write(SmallChain.batch(31...31, logs: SmallChain.logs))
        await sink.close()
        return "went on"
    } catch { return "threw \(error)" }
}
