import FilesConnector
import Foundation
import Glibc
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// Failures that need a process of their own.
@Suite struct FilesFailureTests {
    static let id = StreamID(pipeline: "p", chainID: 1)

    @Test("a process that is killed while it writes and takes off leaves exactly the blocks of its record", arguments: 1...6)
    func killed(_ round: Int) async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String, round = round as Int] in
                let format: TextRows.Format = round % 2 == 0 ? .csv : .jsonl
                let sink = FilesSink(FilesSinkOptions(format, directory: folder, blocksPerFile: 25))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                Thread.detachNewThread {
                    usleep(UInt32(30_000 + round * 17_000))
                    kill(getpid(), SIGKILL)
                }
                var next: UInt64 = 1
                while true {
                    _ = try await stream.write(SmallChain.batch(next...next + 8))
                    _ = try await stream.flush()
                    next += 9
                    if next > 40 { try await stream.rollback(to: SmallChain.position(next - 31)) }
                    if next > 40 { next -= 30 }
                }
            }
            let format: TextRows.Format = round % 2 == 0 ? .csv : .jsonl
            let sink = FilesSink(FilesSinkOptions(format, directory: folder, blocksPerFile: 25))
            let stream = try await sink.open(Self.id, tables: SmallChain.schemas)
            let segment = try #require(try await stream.coverage().first)
            #expect(try await stream.coverage() == [SmallChain.segment(1...segment.last.number)])
            try expectBlocks(format, folder, 1...segment.last.number)
            await sink.close()
        }
    }

    @Test("a full disk is a pause: nothing is half there, and it goes on when there is room")
    func full() async throws {
        try await withFolder { folder in
            await #expect(processExitsWith: .success) { [folder = folder as String] in
                // The parent reads this: what an exit test prints is not kept.
                try await outcomeOfFullDisk("\(folder)/x").write(toFile: "\(folder)/outcome", atomically: true, encoding: .utf8)
            }
            #expect(try text("\(folder)/outcome") == "went on")
            try expectBlocks(.csv, "\(folder)/x", 1...(try #require(UInt64(try text("\(folder)/x/last")))))
        }
    }
}

/// Fills a file until it may grow no further, lifts the limit and goes on; says what was wrong, or `went on`.
private func outcomeOfFullDisk(_ folder: String) async -> String {
    signal(SIGXFSZ, SIG_IGN)
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    var limit = rlimit()
    getrlimit(resource, &limit)
    var small = rlimit(rlim_cur: 300_000, rlim_max: limit.rlim_max)
    do {
        let sink = FilesSink(FilesSinkOptions(.csv, directory: folder))
        let stream = try await sink.open(FilesFailureTests.id, tables: SmallChain.schemas)
        setrlimit(resource, &small)
        var failure: SluiceError?
        var first: UInt64 = 1
        while failure == nil && first < 200_000 {
            do {
                _ = try await stream.write(SmallChain.batch(first...first + 299))
                _ = try await stream.flush()
                first += 300
            } catch let error as SluiceError { failure = error }
        }
        setrlimit(resource, &limit)
        guard let failure, failure.class == .pause, failure.code == .filesFull else { return "failed as \(String(describing: failure))" }
        do {
            _ = try await stream.write(SmallChain.batch(first + 300...first + 301))
            return "took a batch behind rows that were lost"
        } catch let error as SluiceError where error.class == .retry {}
        guard let position = try await stream.coverage().last?.last else { return "no position" }
        guard position == SmallChain.position(first - 1) else { return "position \(position)" }
        let last = position.number + 10
        _ = try await stream.write(SmallChain.batch(first...last))
        guard try await stream.flush() == SmallChain.position(last) else { return "does not go on" }
        await sink.close()
        try "\(last)".write(toFile: "\(folder)/last", atomically: true, encoding: .utf8)
        return "went on"
    } catch { return "threw \(error)" }
}
