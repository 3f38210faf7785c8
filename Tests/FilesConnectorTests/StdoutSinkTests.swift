import FilesConnector
import Foundation
import Glibc
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Synchronization
import Testing

@Suite struct StdoutSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private final class Positions: SegmentStore {
        let segments = Mutex<[StreamID: [Segment]]>([:])
        func load(_ stream: StreamID) -> [Segment] { segments.withLock { $0[stream] ?? [] } }
        func save(_ segments: [Segment], of stream: StreamID) { self.segments.withLock { $0[stream] = segments } }
    }

    /// What is printed into a file while `body` runs.
    private func printed(_ body: (Int32) async throws -> Void) async throws -> [String] {
        let path = FileManager.default.temporaryDirectory.appending(path: "sluice-printed-\(UUID().uuidString)").path
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        defer {
            close(file)
            unlink(path)
        }
        try await body(file)
        return try text(path).split(separator: "\n").map(String.init)
    }

    @Test("lines name their table, a later run goes on behind them, and one that is not to prints them anew")
    func lines() async throws {
        let positions = Positions()
        var last: [String] = []
        for (resumes, batch, expected) in [(true, 1...3, 6), (true, 4...5, 5), (false, 1...2, 5)] as [(Bool, ClosedRange<UInt64>, Int)] {
            last = try await printed { descriptor in
                let sink = StdoutSink(StdoutSinkOptions(resumes: resumes), segments: positions, descriptor: descriptor)
                let stream = try await sink.open(id, tables: SmallChain.schemas)
                #expect(try await stream.coverage() == (resumes && batch.lowerBound > 1 ? [SmallChain.segment(1...3)] : []))
                #expect(try await stream.write(SmallChain.batch(batch)) == SmallChain.position(batch.upperBound))
                await #expect { _ = try await stream.write(SmallChain.batch(batch)) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
            }
            #expect(last.count == expected)
        }
        #expect(positions.load(id) == [SmallChain.segment(1...5)])
        let members = try last.map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
        #expect(members.map { $0["table"] as? String } == ["blocks", "blocks", "logs", "logs", "logs"])
        #expect(members.last?["block_number"] as? Int == 2 && members[1]["hash"] as? String == SmallChain.hash(2).description)
    }

    @Test("CSV is one table, with its columns first; two are refused")
    func csv() async throws {
        let lines = try await printed { descriptor in
            let sink = StdoutSink(StdoutSinkOptions(.csv), segments: Positions(), descriptor: descriptor)
            await #expect { _ = try await sink.open(id, tables: SmallChain.schemas) } throws: { ($0 as? SluiceError)?.class == .config }
            let stream = try await sink.open(id, tables: [SmallChain.blocks])
            let batch = SmallChain.batch(1...2)
            _ = try await stream.write(Batch(chainID: 1, span: batch.span, tables: [batch.tables[0]]))
        }
        #expect(lines.first == "chain_id,number,hash,timestamp,base_fee")
        #expect(lines.dropFirst().map { $0.split(separator: ",", omittingEmptySubsequences: false).count } == [5, 5])
        #expect(lines.last?.hasSuffix(",2023-11-14T22:13:44.000000Z,\(UInt256.max)") == true)
    }

    @Test("when nobody reads any more that is a pause, and nothing counts as printed")
    func closed() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        close(ends[0])
        defer { close(ends[1]) }
        let positions = Positions()
        let sink = StdoutSink(StdoutSinkOptions(), segments: positions, descriptor: ends[1])
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        await #expect { _ = try await stream.write(SmallChain.batch(1...3)) } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("broken pipe")
        }
        #expect(try await stream.coverage() == [] && positions.load(id) == [])
    }
}
