import SluiceCommand
import SluiceCore
import SluiceFlow
import Testing

@Suite struct LiveTests {
    private func snapshot(head: UInt64 = 120, position: UInt64? = 118, trouble: String? = nil) -> PipelineProgress.Snapshot {
        var now = PipelineProgress.Snapshot()
        now.head = ChainHead(latest: head, finalized: 100)
        now.emitted = position.map { Position(number: $0, hash: .zero) }
        now.blocks = 18
        now.rows = ["logs": 1234, "blocks": 18]
        now.reorganisations = 2
        now.deepestReorganisation = 3
        now.trouble = trouble
        return now
    }

    private func report(
        _ snapshot: PipelineProgress.Snapshot, state: PipelineReport.State = .live, range: ClosedRange<UInt64>? = nil, now: Double = 1000,
        failure: String? = nil
    ) -> PipelineReport {
        PipelineReport(
            name: "main", network: "ethereum (chain 1)", state: state, snapshot: snapshot,
            sinks: [
                .init(name: "warehouse", type: "duckdb", delivery: "exactly_once", holdsBack: false, durable: 117),
                .init(name: "lake", type: "parquet", delivery: "effectively_once", holdsBack: true, durable: 99),
            ], range: range, blockSeconds: 12, now: now, rates: [2, 150, 2_500_000], failure: failure)
    }

    @Test("the moving average looks back over its window only")
    func window() {
        var window = RateWindow(seconds: 10)
        #expect(window.rates == nil)
        for second in 0...5 { window.add([Double(second) * 100], at: Double(second)) }
        #expect(window.rates == [100])
        for second in 6...30 { window.add([500 + Double(second - 5) * 10], at: Double(second)) }
        #expect(window.rates == [10])
        // Rows that were undone: the average begins anew rather than going below zero.
        window.add([5], at: 31)
        #expect(window.rates == nil)
        window.add([15], at: 33)
        #expect(window.rates == [5])
    }

    @Test(
        "a bar is full at the end only",
        arguments: [
            (0, 10, 0, "[--------]"), (5, 10, 50, "[####----]"), (999, 1000, 99, "[#######-]"), (10, 10, 100, "[########]"),
            (20, 10, 100, "[########]"),
        ]
            as [(UInt64, UInt64, Int, String)])
    func bar(_ done: UInt64, _ total: UInt64, _ percent: Int, _ text: String) {
        let bar = ProgressBar(done: done, total: total)
        #expect(bar.percent == percent)
        #expect(bar.bar(width: 10) == text)
    }

    @Test("the time to the end follows the rate, and is unknown without one")
    func eta() {
        #expect(ProgressBar(done: 40, total: 100).eta(rate: 30) == 2)
        #expect(ProgressBar(done: 40, total: 100).eta(rate: 0) == nil)
        #expect(ProgressBar(done: 40, total: 100).eta(rate: nil) == nil)
        #expect(ProgressBar(done: 100, total: 100).eta(rate: nil) == 0)
    }

    @Test("what a pipeline is doing follows from what it has reached")
    func states() {
        #expect(PipelineReport.runningState(PipelineProgress.Snapshot(), bounded: false) == .starting)
        #expect(PipelineReport.runningState(snapshot(position: nil), bounded: false) == .starting)
        #expect(PipelineReport.runningState(snapshot(position: 118), bounded: false) == .live)
        #expect(PipelineReport.runningState(snapshot(position: 50), bounded: false) == .backfill)
        #expect(PipelineReport.runningState(snapshot(position: 118), bounded: true) == .backfill)
        #expect(PipelineReport.runningState(snapshot(trouble: "down"), bounded: false) == .waiting)
    }

    @Test("the lag is told by the block's age, unless the chain has times of its own")
    func lag() {
        var now = snapshot()
        now.emittedTimestamp = 970
        #expect(report(now).lag == 2)
        #expect(report(now).lagSeconds == 30)
        now.emittedTimestamp = 1_700_000_000
        #expect(report(now, now: 1_800_000_000).lagSeconds == 24)
    }

    @Test("the durable position is that of the sink that is behind")
    func durable() { #expect(report(snapshot()).durable == 99) }

    @Test("a backfill's bar counts what was there before as done")
    func progress() throws {
        let bar = try #require(report(snapshot(position: 109), range: 100...119).bar)
        #expect(bar.done == 10)
        #expect(bar.total == 20)
        #expect(report(snapshot(position: 50), range: 100...119).bar?.done == 0)
        #expect(report(snapshot(position: nil), state: .done, range: 100...119).bar?.percent == 100)
    }

    @Test("the live view shows everything, and no line is wider than the terminal", arguments: [30, 60, 100, 200])
    func view(_ width: Int) {
        let trouble = "reading ethereum: every endpoint refuses, and this text is long enough to need more than a line on any terminal"
        let lines = RunView(width: width, style: Style(isColoured: true))
            .lines(
                [report(snapshot(trouble: trouble), state: .waiting, range: 100...119)], title: "x.yaml", uptime: 61,
                hint: "sluice query -c x.yaml \"SELECT 1\"")
        #expect(lines.allSatisfy { Visible.width($0) <= width - 1 })
        let text = RunView(width: 200, style: .plain)
            .lines([report(snapshot())], title: "x.yaml", uptime: 61, hint: "sluice query").joined(separator: "\n")
        for part in [
            "live main", "head 120", "position 118", "lag 2 blocks", "finalized 100", "2.0 blocks/s", "150 rows/s", "2.5 MB/s read",
            "2 reorganisations, deepest 3 blocks", "logs 1,234", "warehouse at 117", "lake at 99",
            "effectively_once, takes final blocks only",
            "query: sluice query", "up 1m 01s",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(!text.contains("\u{1B}"))
    }

    @Test("a plain line and the summary say the same without a terminal")
    func plain() {
        let line = RunView.line(report(snapshot(), state: .error, failure: "it\nbroke"))
        #expect(line.contains("main: error"))
        #expect(line.contains("! it\\nbroke"))
        let summary = RunView.summary(
            [report(snapshot(), state: .done)], seconds: 9, places: [("warehouse", "data/x.duckdb")], style: .plain)
        #expect(summary.contains { $0.contains("main") && $0.contains("1,252") && $0.contains("2.0") })
        #expect(summary.contains("data: warehouse in data/x.duckdb"))
    }
}
