import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceStore

extension Command {
    static let status = Command(
        name: "status", summary: "say how far every pipeline is, also while sluice run works", usage: "[-c FILE] [--json]",
        options: [.config, .json], examples: ["sluice status -c sluice.yaml", "sluice status -c sluice.yaml --json"]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let store = try await StateStore.openReadOnly(configuration.state)
        let statuses = try await store.statuses()
        var held = try await store.allSegments().map {
            HeldSegment(pipeline: $0.pipeline, sink: $0.sink, first: $0.segment.first, last: $0.segment.last.number)
        }
        await store.close()
        for sink in configuration.sinks where sink.type == "duckdb" {
            let path = sink.options.string("path")
            guard access(path, F_OK) == 0 else { continue }
            held += try await Blocking.run { try segments(in: path, sink: sink.name) }
        }
        let now = StateStore.systemClock()
        let reports = configuration.pipelines.map { pipeline in
            PipelineStatus(
                name: pipeline.name, network: pipeline.network, status: statuses.first { $0.pipeline == pipeline.name },
                sinks: pipeline.sinks.map { sink in
                    (sink, held.filter { $0.sink == sink && $0.pipeline == pipeline.name }.sorted { $0.first < $1.first })
                },
                now: now)
        }
        if arguments.has("--json") {
            Output.line(JSON.members(["pipelines": .array(reports.map(\.json))]).pretty())
        } else {
            Output.line(reports.map { $0.lines(Output.outputStyle).joined(separator: "\n") }.joined(separator: "\n\n"))
        }
        return .success
    }

    /// A DuckDB sink keeps its segments with its rows.
    private static func segments(in path: String, sink: String) throws -> [HeldSegment] {
        var found: [HeldSegment] = []
        do {
            try QuerySource(path: path).run("SELECT stream, first, number FROM sluice.segments", columns: { _ in }) { rows in
                for row in rows {
                    guard let stream = row[0].text, let first = row[1].uint64, let last = row[2].uint64 else { continue }
                    found.append(HeldSegment(pipeline: stream, sink: sink, first: first, last: last))
                }
            }
        } catch let error as SluiceError {
            // The rest of the status is still worth showing.
            Output.note("warning: \(path): \(error.message)")
        }
        return found
    }
}

/// A run of blocks that a sink holds.
struct HeldSegment: Sendable {
    let pipeline: String
    let sink: String
    let first: UInt64
    let last: UInt64
}

/// One pipeline as `sluice status` shows it.
private struct PipelineStatus {
    let name: String
    let network: String
    let status: RunStatus?
    let sinks: [(name: String, segments: [HeldSegment])]
    /// Microseconds since 1970.
    let now: Int64

    /// Seconds since the last sign of life.
    private var age: Double? { status.map { Double(max(0, now - $0.updated)) / 1e6 } }

    /// The state as it was last written; a run that was killed could not say so.
    private var state: String {
        guard let status else { return "never run" }
        let isOver = status.state == "stopped" || status.state == "error"
        return isOver || (age ?? 0) < 10 ? status.state : "not running"
    }

    private var lag: UInt64? {
        guard let head = status?.head, let position = status?.position else { return nil }
        return head - min(head, position)
    }

    private static func gaps(_ segments: [HeldSegment]) -> [ClosedRange<UInt64>] {
        zip(segments, segments.dropFirst()).compactMap { $0.last + 1 < $1.first ? ($0.last + 1)...($1.first - 1) : nil }
    }

    var json: JSON {
        .members([
            "pipeline": .string(name), "network": .string(network), "state": .string(state), "message": .text(status?.message),
            "chain_id": .integer(status?.chainID), "head": .integer(status?.head), "finalized": .integer(status?.finalized),
            "position": .integer(status?.position), "lag_blocks": .integer(lag), "reorganisations": .integer(status?.reorgs),
            "deepest_reorganisation": .integer(status?.deepestReorg),
            "rows": .object((status?.rows ?? [:]).sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) }),
            "updated_seconds_ago": age.map { .number(Amount.fixed($0, 1)) } ?? .null,
            "sinks": .array(
                sinks.map { sink in
                    .members([
                        "sink": .string(sink.name),
                        "segments": .array(sink.segments.map { .members(["first": .integer($0.first), "last": .integer($0.last)]) }),
                        "gaps": .array(
                            Self.gaps(sink.segments).map { .members(["first": .integer($0.lowerBound), "last": .integer($0.upperBound)]) }),
                    ])
                }),
        ])
    }

    func lines(_ style: Style) -> [String] {
        var lines = ["\(style.bold(name))  \(state)  \(style.dim("on \(network)" + (age.map { ", \(Amount.time($0)) ago" } ?? "")))"]
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
            let runs = sink.segments.map { "\(Amount.grouped($0.first)) to \(Amount.grouped($0.last))" }
            lines.append("  sink \(sink.name): " + (runs.isEmpty ? "nothing stored" : "blocks " + runs.joined(separator: ", ")))
            for gap in Self.gaps(sink.segments) {
                lines.append(
                    "    \(style.yellow("gap")) \(Amount.grouped(gap.lowerBound)) to \(Amount.grouped(gap.upperBound)): sluice backfill --from \(gap.lowerBound) --to \(gap.upperBound) \(name) fills it"
                )
            }
        }
        return lines
    }
}
