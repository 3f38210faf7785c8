import DuckDBConnector
import Foundation
import Glibc
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

/// Failures that need a process of their own.
@Suite struct DuckDBFailureTests {
    static let id = StreamID(pipeline: "p", chainID: 1)

    @Test("a process killed with rows in an open transaction leaves rows and position of the last commit")
    func killed() async throws {
        try await withFolder { folder in
            let path = "\(folder)/x.duckdb"
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                let sink = DuckDBSink(DuckDBSinkOptions(path: path, commitRows: 400, stageBytes: 1_000))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                for first in stride(from: 1, to: 1_000, by: 7) as StrideTo<UInt64> {
                    _ = try await stream.write(SmallChain.batch(first...first + 6))
                }
                kill(getpid(), SIGKILL)
            }
            let sink = DuckDBSink(DuckDBSinkOptions(path: path))
            let stream = try await sink.open(Self.id, tables: SmallChain.schemas)
            let position = try #require(try await stream.coverage().last?.last)
            #expect(position == SmallChain.position(position.number))
            await sink.close()
            let session = try DuckDBDatabase(path: path, readOnly: true).connect()
            // 143 batches of 7 blocks and about 7 logs: a commit every 29 of them, and 27 that were not committed.
            #expect(position.number == 812)
            #expect(try session.rows("SELECT count(*), max(number) FROM blocks") == [[.int(812), .int(812)]])
            #expect(try session.rows("SELECT count(*), max(block_number) FROM logs") == [[.int(813), .int(812)]])
        }
    }

    @Test("a full disk is a pause: nothing is half written, and it goes on when there is room")
    func full() async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .success) { [folder = folder as String] in
                // The parent reads this: what an exit test prints is not kept.
                let outcome = await outcomeOfFullDisk("\(folder)/x.duckdb")
                try outcome.write(toFile: "\(folder)/outcome", atomically: true, encoding: .utf8)
            }
            let outcome = try String(contentsOfFile: "\(folder)/outcome", encoding: .utf8)
            #expect(outcome == "went on")
        }
    }

    @Test("a folder that cannot be made is a pause that names it")
    func noFolder() async throws {
        let sink = DuckDBSink(DuckDBSinkOptions(path: "/dev/null/x.duckdb"))
        let error = await #expect(throws: SluiceError.self) { try await sink.open(Self.id, tables: SmallChain.schemas) }
        #expect(error?.class == .pause)
        #expect(error?.message.contains("/dev/null") == true)
        await sink.close()
    }
}

/// Fills a file until it may grow no further, lifts the limit and goes on; says what was wrong, or `went on`.
private func outcomeOfFullDisk(_ path: String) async -> String {
    signal(SIGXFSZ, SIG_IGN)
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    var limit = rlimit()
    getrlimit(resource, &limit)
    var small = rlimit(rlim_cur: 1_000_000, rlim_max: limit.rlim_max)
    do {
        let sink = DuckDBSink(DuckDBSinkOptions(path: path, stageBytes: 20_000))
        let stream = try await sink.open(DuckDBFailureTests.id, tables: SmallChain.schemas)
        setrlimit(resource, &small)
        var failure: SluiceError?
        var first: UInt64 = 1
        while failure == nil && first < 200_000 {
            do {
                _ = try await stream.write(SmallChain.batch(first...first + 999))
                _ = try await stream.flush()
                first += 1_000
            } catch let error as SluiceError { failure = error }
        }
        setrlimit(resource, &limit)
        guard let failure, failure.class == .pause, failure.code == .duckdbFull else { return "failed as \(failure.debugDescription)" }
        do {
            _ = try await stream.write(SmallChain.batch(first + 1_000...first + 1_001))
            return "took a batch behind rows that were lost"
        } catch let error as SluiceError where error.class == .retry {}
        guard let position = try await stream.coverage().last?.last else { return "no position" }
        guard position == SmallChain.position(first - 1) else { return "position \(position)" }
        let last = position.number + 10
        _ = try await stream.write(SmallChain.batch(first...last))
        guard try await stream.flush() == SmallChain.position(last) else { return "does not go on" }
        await sink.close()
        let found = try DuckDBDatabase(path: path, readOnly: true).connect().rows("SELECT count(*), max(number) FROM blocks")
        return found == [[.int(Int64(last)), .int(Int64(last))]] ? "went on" : "has \(found)"
    } catch { return "threw \(error)" }
}
