import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceFlow
import SluiceStore

extension Command {
    static let status = Command(
        name: "status", summary: "say how far every pipeline is and what is missing, also while sluice run works",
        usage: "[-c FILE] [--json]", options: [.config, .json],
        examples: ["sluice status -c sluice.yaml", "sluice status -c sluice.yaml --json"]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let complete = try await PipelineStatus.all(of: configuration, readsStores: true)
        if arguments.has("--json") {
            Output.line(JSON.members(["pipelines": .array(complete.map(\.json))]).pretty())
        } else {
            Output.line(complete.map { $0.lines(Output.outputStyle).joined(separator: "\n") }.joined(separator: "\n\n"))
        }
        return .success
    }
}

extension PipelineStatus {
    /// All pipelines of a configuration.
    /// - Parameter readsStores: whether sinks of which no running process tells are asked themselves; else only the state file is read.
    static func all(of configuration: SluiceConfiguration, readsStores: Bool) async throws -> [PipelineStatus] {
        let store = try await StateStore.openReadOnly(configuration.state)
        let statuses = try await store.statuses()
        let letters = try await store.deadLetterCounts(DeadLetterFilter(state: .open))
        var holdings = Holdings(segments: try await store.allSegments(), told: try await store.coverage())
        await store.close()
        let now = StateStore.systemClock()
        let reports = configuration.pipelines.map { pipeline in
            PipelineStatus(
                settings: pipeline, status: statuses.first { $0.pipeline == pipeline.name },
                letters: letters.filter { $0.pipeline == pipeline.name }, now: now)
        }
        // A run that is alive has told what its sinks hold: their files are left alone.
        let silent = Set(
            reports.filter { report in
                !report.isAlive || report.settings.sinks.contains { holdings.told(report.settings.name, $0).isEmpty }
            }.flatMap(\.settings.sinks))
        // A process that has the state file is about to open them, if it has not told yet what they hold: it must not find them taken.
        let isFree = StateStore.isFree(configuration.state)
        for sink in configuration.sinks where readsStores && isFree && sink.type == "duckdb" && silent.contains(sink.name) {
            let path = sink.options.string("path")
            guard access(path, F_OK) == 0 else { continue }
            holdings.add(try await Blocking.run { try stored(in: path) }, sink: sink.name)
        }
        return reports.map { report in
            var report = report
            if configuration.network(report.settings.network)?.service != nil {
                report.sinks = holdings.parts(of: report.settings.name)
                report.hasParts = true
                return report
            }
            report.sinks = report.settings.sinks.map { name in
                let holdsBack = configuration.sink(name).flatMap { Catalog.sink($0.type)?.holdsBack($0.options) } ?? false
                return holdings.coverage(
                    of: report.settings.name, sink: name, holdsBack: holdsBack, finalized: report.status?.finalized)
            }
            return report
        }
    }

    /// A DuckDB sink keeps its segments with its rows: the runs of blocks by pipeline. Nil when the file cannot be read now.
    private static func stored(in path: String) throws -> [(pipeline: String, held: HeldBlocks)]? {
        var found: [(pipeline: String, held: HeldBlocks)] = []
        do {
            try QuerySource(path: path).run("SELECT stream, first, number FROM sluice.segments", columns: { _ in }) { rows in
                for row in rows {
                    guard let stream = row[0].text, let first = row[1].uint64, let last = row[2].uint64 else { continue }
                    found.append((stream, HeldBlocks(first: first, last: last)))
                }
            }
        } catch let error as SluiceError {
            // The rest of the status is still worth showing.
            Output.note("warning: \(path): \(error.message)")
            return nil
        }
        return found
    }
}

/// What the sinks hold, from all who can tell.
private struct Holdings {
    /// What sinks without transactions keep in the state file, and what was read from the stores themselves.
    private var own: [Key: [HeldBlocks]] = [:]
    /// What the last run told now and then.
    private var told: [Key: [HeldBlocks]] = [:]
    /// Sinks that have answered for themselves.
    private var answered: Set<String> = []

    private struct Key: Hashable {
        let pipeline: String
        let sink: String
    }

    init(segments: [SegmentRecord], told: [CoverageRecord]) {
        for record in segments {
            own[Key(pipeline: record.pipeline, sink: record.sink), default: []]
                .append(HeldBlocks(first: record.segment.first, last: record.segment.last.number))
        }
        for record in told {
            self.told[Key(pipeline: record.pipeline, sink: record.sink), default: []]
                .append(HeldBlocks(first: record.first, last: record.last, since: record.since))
        }
    }

    /// Adds what a store says of itself.
    mutating func add(_ found: [(pipeline: String, held: HeldBlocks)]?, sink: String) {
        guard let found else { return }
        answered.insert(sink)
        for (pipeline, held) in found { own[Key(pipeline: pipeline, sink: sink), default: []].append(held) }
    }

    func told(_ pipeline: String, _ sink: String) -> [HeldBlocks] { told[Key(pipeline: pipeline, sink: sink)] ?? [] }

    /// What sinks hold of the parts of a service, by its own numbers each: only the run knows them.
    func parts(of pipeline: String) -> [SinkCoverage] {
        told.filter { $0.key.pipeline == pipeline && $0.key.sink.contains(" ") }.sorted { $0.key.sink < $1.key.sink }
            .map { SinkCoverage(sink: $0.key.sink, held: $0.value.sorted { $0.first < $1.first }) }
    }

    /// What a sink holds: by its own word where there is one, else by what the run told.
    /// - Parameters:
    ///   - holdsBack: whether it takes only what is final.
    ///   - finalized: the last final block, where it is known.
    func coverage(of pipeline: String, sink: String, holdsBack: Bool, finalized: UInt64?) -> SinkCoverage {
        let key = Key(pipeline: pipeline, sink: sink)
        let told = told[key] ?? []
        var held = told
        if let own = own[key] ?? (answered.contains(sink) ? [] : nil) {
            // Only the run knows since when a run of blocks is there.
            held = own.map { block in HeldBlocks(first: block.first, last: block.last, since: told.first { $0.first == block.first }?.since)
            }
        }
        held.sort { $0.first < $1.first }
        let reach = holdsBack ? max(finalized ?? 0, held.last?.last ?? 0) : nil
        return SinkCoverage(sink: sink, held: held, reach: reach)
    }
}
