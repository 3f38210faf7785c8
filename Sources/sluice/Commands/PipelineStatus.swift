import SluiceCommand
import SluiceConfig
import SluiceFlow
import SluiceStore

/// One pipeline as `sluice status` shows it.
struct PipelineStatus: Sendable {
    let settings: PipelineSettings
    let status: RunStatus?
    /// Of open dead letters.
    let letters: [DeadLetterCount]
    /// Microseconds since 1970.
    let now: Int64
    var sinks: [SinkCoverage] = []
    /// Whether it reads a service whose parts count by themselves: its sinks are those of the parts.
    var hasParts = false

    init(settings: PipelineSettings, status: RunStatus?, letters: [DeadLetterCount], now: Int64) {
        self.settings = settings
        self.status = status
        self.letters = letters
        self.now = now
    }

    /// Seconds since the last sign of life.
    private var age: Double? { status.map { Double(max(0, now - $0.updated)) / 1e6 } }

    /// Whether a process says that it runs the pipeline, and has said so lately.
    var isAlive: Bool {
        guard let status, status.state != "stopped", status.state != "error" else { return false }
        return (age ?? 0) < 10
    }

    /// The state as it was last written; a run that was killed could not say so.
    var state: String {
        guard let status else { return "never run" }
        return isAlive || status.state == "stopped" || status.state == "error" ? status.state : "not running"
    }

    private var lag: UInt64? {
        guard let head = status?.head, let position = status?.position else { return nil }
        return head - min(head, position)
    }

    /// What its sinks lack.
    var gaps: [Gap] {
        if hasParts { return sinks.flatMap { Gap.list(start: nil, end: nil, sinks: [$0]) } }
        let start = settings.synchronization == nil ? settings.start.block : nil
        // A head that was seen long ago may lie behind what the sinks hold by now.
        let highest = sinks.flatMap(\.held).map(\.last).max()
        return Gap.list(start: start, end: [status?.head, highest].compactMap { $0 }.max(), sinks: sinks)
    }

    var json: JSON {
        let gaps = gaps
        return .members([
            "pipeline": .string(settings.name), "network": .string(settings.network), "state": .string(state),
            "message": .text(status?.message), "chain_id": .integer(status?.chainID), "head": .integer(status?.head),
            "finalized": .integer(status?.finalized), "position": .integer(status?.position), "lag_blocks": .integer(lag),
            "reorganisations": .integer(status?.reorgs), "deepest_reorganisation": .integer(status?.deepestReorg),
            "rows": .object((status?.rows ?? [:]).sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) }),
            "updated_seconds_ago": age.map { .number(Amount.fixed($0, 1)) } ?? .null,
            "dead_letters": .members([
                "open": .integer(letters.reduce(0) { $0 + $1.count }),
                "reasons": .object(letters.map { JSON.Member($0.reason, .integer($0.count)) }),
            ]),
            "gaps": .array(
                gaps.map { gap in
                    .members([
                        "first": .integer(gap.first), "last": .integer(gap.last), "blocks": .integer(gap.count),
                        "kind": .string(gap.kind.rawValue), "sinks": .array(gap.sinks.map { .string($0) }),
                        "since": .text(gap.since.map(DeadLetterView.time)),
                    ])
                }),
            "sinks": .array(
                sinks.map { sink in
                    .members([
                        "sink": .string(sink.sink),
                        "segments": .array(sink.held.map { .members(["first": .integer($0.first), "last": .integer($0.last)]) }),
                        "gaps": .array(
                            gaps.filter { $0.kind == .hole && $0.sinks.contains(sink.sink) }
                                .map { .members(["first": .integer($0.first), "last": .integer($0.last)]) }),
                    ])
                }),
        ])
    }

    func lines(_ style: Style) -> [String] {
        let place = style.dim("on \(settings.network)" + (age.map { ", \(Amount.time($0)) ago" } ?? ""))
        var lines = ["\(style.bold(settings.name))  \(state)  \(place)"]
        if let status {
            func shown(_ number: UInt64?) -> String { number.map { Amount.grouped($0) } ?? "-" }
            lines.append(
                "  head \(shown(status.head))  position \(shown(status.position))  lag \(lag.map { Amount.count($0, "block") } ?? "-")  finalized \(shown(status.finalized))"
            )
            let deepest = status.reorgs > 0 ? ", deepest \(Amount.count(status.deepestReorg, "block"))" : ""
            lines.append("  \(Amount.count(status.reorgs, "reorganisation"))\(deepest)")
            if !status.rows.isEmpty {
                let rows = status.rows.sorted { $0.key < $1.key }.map { "\($0.key) \(Amount.grouped($0.value))" }
                lines.append("  rows of the last run: " + rows.joined(separator: ", "))
            }
            if let message = status.message { lines.append("  ! \(Visible.safe(message))") }
        }
        for sink in sinks {
            let runs = sink.held.map { "\(Amount.grouped($0.first)) to \(Amount.grouped($0.last))" }
            lines.append(
                "  sink \(sink.sink): "
                    + (runs.isEmpty ? "nothing stored" : (hasParts ? "offsets " : "blocks ") + runs.joined(separator: ", ")))
        }
        // What lies ahead is the lag; a hole is what somebody must know of.
        for gap in gaps where gap.kind == .hole {
            let known = gap.since.map { ", known for \(Amount.time(Double(max(0, now - $0)) / 1e6))" } ?? ""
            lines.append(
                "  \(style.yellow("gap")) \(Amount.grouped(gap.first)) to \(Amount.grouped(gap.last)) in \(gap.sinks.joined(separator: ", "))\(known): "
                    + (hasParts
                        ? "the topic had deleted them" : "sluice backfill --from \(gap.first) --to \(gap.last) \(settings.name) fills it")
            )
        }
        if !letters.isEmpty {
            let reasons = letters.sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
                .map { "\(Visible.cut(Visible.safe($0.reason), 40)) \(Amount.grouped($0.count))" }
            lines.append(
                "  \(style.yellow("dead letters")) \(reasons.joined(separator: ", ")): sluice dlq list --pipeline \(settings.name) shows them"
            )
        }
        return lines
    }
}
