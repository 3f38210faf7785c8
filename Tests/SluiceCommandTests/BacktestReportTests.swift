import Foundation
import SluiceCommand
import SluiceCore
import SluiceFlow
import SluiceTelemetry
import Testing

@Suite struct BacktestReportTests {
    /// A range of blocks without a table, of which two rows could not be read.
    private struct EmptyOracle: Oracle {
        func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {}
        func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
            let blocks = range.map { _ in BlockStamp(hash: .zero, timestamp: 0) }
            try await egress.send(
                .batch(Batch(chainID: 1, span: Span(first: range.lowerBound, parentHash: .zero, blocks: blocks), tables: [])))
        }
        func head() async throws -> ChainHead { ChainHead(latest: 1000, finalized: 900) }
        func settle(_ position: Position, finalized: UInt64?) async throws -> Position { position }
    }

    private struct LetterPipe: SluiceCore.Pipe {
        let schemas: [Schema] = []
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            report.filter("dull", rows: 3)
            report.deadLetters = (1...2).map { row in
                DeadLetter(
                    register: "geth_block", row: "log \(row)", block: batch.span.last, reason: "abi_malformed", message: "odd\u{1B}[2J",
                    payload: "{}")
            }
            return []
        }
    }

    private static func report() async throws -> BacktestReport {
        let register = Register(name: "geth_block", number: .gethBlock, doc: "", schemas: [], maker: .oracle { LetterPipe() })
        let time = TimeSource(now: { .zero }, sleep: { try await Task.sleep(for: $0) })
        let outcome = await Backtest(
            PipelineDefinition(name: "main", chainID: 1, registers: [register], start: 10), range: 10...19,
            registry: try Registry([register]), time: time, log: .disabled
        ) { _, _ in EmptyOracle() }.run(until: StopSignal())
        return BacktestReport(
            pipeline: "main", pids: ["backtest::x"], network: "ethereum", chainID: 1, range: 10...19, outcome: outcome,
            traffic: .init(requests: 1, calls: 20, bytes: 1500), file: nil, components: ["geth_block": "layer1:backtest:oracle:geth_block"])
    }

    @Test("the report names what came out, what was left out and what could not be read")
    func text() async throws {
        let lines = try await Self.report().lines(style: .plain)
        #expect(
            lines == [
                "backtest main  done  on ethereum (chain 1)",
                "  backtest::x",
                "  blocks 10 to 19",
                "  10 blocks in 0.0s, - blocks/s, 1.5 kB read by 20 calls in 1 request",
                "  rows were counted and dropped",
                "",
                "component                          in  out  filtered  dead letters",
                "---------------------------------  --  ---  --------  ------------",
                "layer1:backtest:oracle:geth_block   0    0         3             2",
                "",
                "filtered",
                "  geth_block: dull 3",
                "",
                "dead letters  abi_malformed 2  (not kept)",
                "  block 19, geth_block, log 1: abi_malformed: odd\\u{1b}[2J",
                "  block 19, geth_block, log 2: abi_malformed: odd\\u{1b}[2J",
            ])
    }

    @Test("JSON of it can be read")
    func json() async throws {
        let text = try await Self.report().json.pretty()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["blocks"] as? Int == 10 && object["state"] as? String == "done")
        #expect((object["dead_letters"] as? [String: Any])?["count"] as? Int == 2)
    }
}
