import SluiceCore
import SluiceFlow

/// The live view: what a run looks like on a terminal, as lines. Pure, so that it is tested without one.
public struct RunView: Sendable {
    private let width: Int
    private let style: Style

    public init(width: Int, style: Style) {
        // A screen full to the last column would wrap on some terminals.
        self.width = max(20, width - 1)
        self.style = style
    }

    /// All lines, each cut to the width.
    /// - Parameters:
    ///   - title: what runs, such as the configuration's path.
    ///   - uptime: seconds.
    ///   - hint: what to type next.
    public func lines(_ reports: [PipelineReport], title: String, uptime: Double, hint: String?) -> [String] {
        var lines = ["\(style.bold("sluice"))  \(title)  \(style.dim("up \(Amount.time(uptime))"))", ""]
        for report in reports { lines += pipeline(report) + [""] }
        if let hint { lines.append("\(style.dim("query:")) \(hint)") }
        return lines.map { Visible.cut($0, width) }
    }

    private func pipeline(_ report: PipelineReport) -> [String] {
        let now = report.snapshot
        var lines = ["\(badge(report.state)) \(style.bold(report.name))  \(style.dim("on \(report.network)"))"]
        if let bar = report.bar {
            let blocks = "\(Amount.grouped(bar.done)) of \(Amount.count(bar.total, "block"))"
            let eta = report.state == .done ? "" : "  ETA \(Amount.time(bar.eta(rate: report.blocksPerSecond)))"
            lines.append("  \(bar.bar(width: min(40, max(12, width - 50)))) \(bar.percent)%  \(blocks)\(eta)")
        }
        lines += wrapped(position(report), indent: "  ")
        lines += wrapped(rates(report), indent: "  ")
        let rows = now.rows.sorted { $0.key < $1.key }.map { "\($0.key) \(style.bold(Amount.grouped($0.value)))" }
        if !rows.isEmpty { lines += wrapped(["\(style.dim("rows"))"] + rows, indent: "  ") }
        for sink in report.sinks {
            let held = sink.holdsBack ? ", takes final blocks only" : ""
            let at = sink.durable.map { "at \(style.bold(Amount.grouped($0)))" } ?? "nothing stored yet"
            lines.append("  \(style.dim("sink")) \(sink.name) \(at)  \(style.dim("\(sink.type), \(sink.delivery)\(held)"))")
        }
        if let trouble = report.failure ?? now.trouble {
            lines += words("! \(trouble)").map { report.failure == nil ? style.yellow($0) : style.red($0) }
        }
        return lines
    }

    private func position(_ report: PipelineReport) -> [String] {
        let now = report.snapshot
        var parts: [String] = []
        parts.append("\(style.dim("head")) \(now.head.map { Amount.grouped($0.latest) } ?? "-")")
        parts.append("\(style.dim("position")) \(style.bold(now.emitted.map { Amount.grouped($0.number) } ?? "-"))")
        if report.range == nil {
            let lag = report.lag.map { "\(Amount.count($0, "block")), \(Amount.time(report.lagSeconds))" } ?? "-"
            parts.append("\(style.dim("lag")) \(lag)")
        }
        parts.append("\(style.dim("finalized")) \(now.head.map { Amount.grouped($0.finalized) } ?? "-")")
        return parts
    }

    private func rates(_ report: PipelineReport) -> [String] {
        let now = report.snapshot
        let deepest = now.reorganisations > 0 ? ", deepest \(Amount.count(UInt64(now.deepestReorganisation), "block"))" : ""
        return [
            "\(Amount.rate(report.blocksPerSecond)) blocks/s", "\(Amount.rate(report.rowsPerSecond)) rows/s",
            report.bytesPerSecond.map { "\(Amount.bytes($0))/s read" } ?? "- read",
            "\(Amount.count(UInt64(now.reorganisations), "reorganisation"))\(deepest)",
        ]
    }

    private func badge(_ state: PipelineReport.State) -> String {
        switch state {
        case .live, .done: style.green("● \(state.rawValue)")
        case .starting, .backfill: style.blue("● \(state.rawValue)")
        case .waiting: style.yellow("● waiting for the upstream")
        case .paused: style.yellow("○ paused")
        case .stopped: style.dim("○ stopped")
        case .error: style.red("✗ error")
        }
    }

    /// Parts on as few lines as the width allows.
    private func wrapped(_ parts: [String], indent: String) -> [String] {
        var lines: [String] = []
        var line = indent
        for part in parts {
            let gap = line == indent || line.hasSuffix("  ") ? "" : "  "
            if line != indent, Visible.width(line + gap + part) > width {
                lines.append(line)
                line = indent + "  " + part
            } else {
                line += gap + part
            }
        }
        return lines + [line]
    }

    private func words(_ text: String) -> [String] {
        var lines: [String] = []
        var line = "  "
        for word in Visible.safe(text).split(separator: " ") {
            if Visible.width(line) + 1 + word.count > width, line != "  " {
                lines.append(line)
                line = "    "
            }
            line += (line.hasSuffix(" ") ? "" : " ") + word
        }
        return lines.count < 4 ? lines + [line] : Array(lines.prefix(4))
    }

    // MARK: - Without a terminal

    /// One plain line, for logs.
    public static func line(_ report: PipelineReport) -> String {
        let now = report.snapshot
        var parts = ["\(report.name): \(report.state.rawValue)"]
        if let bar = report.bar {
            let eta = Amount.time(bar.eta(rate: report.blocksPerSecond))
            parts.append("\(bar.percent)% (\(Amount.grouped(bar.done)) of \(Amount.count(bar.total, "block")), ETA \(eta))")
        }
        parts.append(
            "position \(now.emitted.map { Amount.grouped($0.number) } ?? "-") of \(now.head.map { Amount.grouped($0.latest) } ?? "-")")
        if report.range == nil, let lag = report.lag {
            parts.append("lag \(Amount.count(lag, "block")) (\(Amount.time(report.lagSeconds)))")
        }
        parts.append("\(Amount.rate(report.blocksPerSecond)) blocks/s")
        parts.append("\(Amount.rate(report.rowsPerSecond)) rows/s")
        parts.append("\(Amount.grouped(report.rowCount)) rows")
        if now.reorganisations > 0 { parts.append("\(Amount.count(UInt64(now.reorganisations), "reorganisation"))") }
        for sink in report.sinks { parts.append("\(sink.name) at \(sink.durable.map { Amount.grouped($0) } ?? "-")") }
        if let trouble = report.failure ?? now.trouble { parts.append("! \(Visible.safe(trouble))") }
        return parts.joined(separator: ", ")
    }

    /// The end of a run: what was read, how fast, and where it is.
    public static func summary(_ reports: [PipelineReport], seconds: Double, places: [(sink: String, place: String)], style: Style)
        -> [String]
    {
        var table = TextTable(["pipeline", "state", "blocks", "rows", "time", "blocks/s", "through"], right: [2, 3, 4, 5, 6])
        var rows = TextTable(["table", "rows"], right: [1])
        var byTable: [String: Int] = [:]
        for report in reports {
            let now = report.snapshot
            table.add([
                report.name, report.state.rawValue, Amount.grouped(now.blocks), Amount.grouped(report.rowCount), Amount.time(seconds),
                Amount.rate(seconds > 0 ? Double(now.blocks) / seconds : nil), report.durable.map { Amount.grouped($0) } ?? "-",
            ])
            byTable.merge(now.rows) { $0 + $1 }
        }
        for (name, count) in byTable.sorted(by: { $0.key < $1.key }) { rows.add([name, Amount.grouped(count)]) }
        var lines = table.lines(style: style)
        if !rows.isEmpty { lines += [""] + rows.lines(style: style) }
        if !places.isEmpty { lines += [""] + places.map { "data: \($0.sink) in \($0.place)" } }
        return lines
    }
}
