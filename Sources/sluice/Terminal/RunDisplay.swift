import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore

/// Shows how the pipelines of a run are doing, and keeps the status that other processes read.
actor RunDisplay {
    /// How one pipeline is doing.
    struct Moment: Sendable {
        let name: String
        let snapshot: PipelineProgress.Snapshot
        /// Nil: to be seen from the snapshot.
        let state: PipelineReport.State?
        let failure: String?
    }

    private let pipelines: [String]
    private let moments: @Sendable () async -> [Moment]
    private let configuration: SluiceConfiguration
    private let path: String
    private let range: ClosedRange<UInt64>?
    private let quiet: Bool
    private let screen: Screen?
    private let style: Style
    private let began = ContinuousClock.now
    private let started = StateStore.systemClock()
    private var windows: [String: RateWindow] = [:]

    /// - Parameters:
    ///   - pipelines: those that are shown, by name.
    ///   - screen: where the live view is drawn; nil for plain lines.
    ///   - moments: asked for how they are doing.
    init(
        _ configuration: SluiceConfiguration, pipelines: [String], path: String, range: ClosedRange<UInt64>?, quiet: Bool,
        screen: Screen?, moments: @escaping @Sendable () async -> [Moment]
    ) {
        self.pipelines = pipelines
        self.moments = moments
        self.configuration = configuration
        self.path = path
        self.range = range
        self.quiet = quiet
        self.screen = quiet ? nil : screen
        style = Output.style
    }

    /// Shows until cancelled: half-second frames on a terminal, a line every ten seconds elsewhere; the status about once a second.
    func show(_ store: StateStore) async {
        var tick = 0
        while !Task.isCancelled {
            let reports = await reports(sampling: true)
            if let screen {
                screen.draw(view(reports))
            } else if !quiet, tick > 0, tick.isMultiple(of: 20) {
                for report in reports { Output.note(RunView.line(report)) }
            }
            // A store that refuses must not end the run for the sake of its display; the pipelines meet it themselves.
            if tick.isMultiple(of: 2) { try? await write(reports, to: store) }
            tick += 1
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Shows the end and stores it.
    func finish(_ store: StateStore) async {
        let reports = await reports(sampling: false).map { report in
            var report = report
            if ![.done, .error, .paused].contains(report.state) { report.state = .stopped }
            return report
        }
        try? await write(reports, to: store)
        screen?.clear()
        guard !quiet else { return }
        for report in reports { if let failure = report.failure { Output.note("\(report.name): \(Visible.safe(failure))") } }
        let places = usedSinks.compactMap { sink in sink.options.string(ifSet: "path").map { (sink.name, $0) } }
        for line in RunView.summary(reports, seconds: elapsed, places: places, style: style) {
            Output.note(Visible.cut(line, Output.width))
        }
        if let hint { Output.note("query: \(hint)") }
    }

    private var elapsed: Double { (ContinuousClock.now - began).seconds }

    private var shown: [PipelineSettings] { configuration.pipelines.filter { pipelines.contains($0.name) } }

    private var usedSinks: [SinkSettings] {
        let names = Set(shown.flatMap(\.sinks))
        return configuration.sinks.filter { names.contains($0.name) }
    }

    /// What to type next, when there is something to query.
    private var hint: String? {
        guard usedSinks.contains(where: { $0.type == "duckdb" }) else { return nil }
        let tables = shown.flatMap { Catalog.registers(of: $0) }.flatMap(\.schemas)
        guard let table = tables.first(where: { $0.name == "blocks" }) ?? tables.first, let number = table.blockNumberField else {
            return nil
        }
        return "sluice query -c \(path) \"SELECT count(*), max(\(number)) FROM \(table.name)\""
    }

    private func view(_ reports: [PipelineReport]) -> [String] {
        RunView(width: Output.width, style: style).lines(reports, title: path, uptime: elapsed, hint: hint)
    }

    private func reports(sampling: Bool) async -> [PipelineReport] {
        await moments().compactMap { moment in
            let (name, now) = (moment.name, moment.snapshot)
            guard let settings = configuration.pipelines.first(where: { $0.name == name }) else { return nil }
            let networks = settings.networks.compactMap { configuration.network($0) }
            guard let network = networks.first else { return nil }
            if sampling {
                let rows = Double(now.rows.values.reduce(0, +))
                windows[name, default: RateWindow()].add([Double(now.blocks), rows, Double(now.receivedBytes)], at: elapsed)
            }
            let sinks = settings.sinks.compactMap { name -> PipelineReport.SinkReport? in
                guard let sink = configuration.sink(name), let kind = Catalog.sink(sink.type) else { return nil }
                return PipelineReport.SinkReport(
                    name: name, type: sink.type, delivery: kind.delivery.rawValue, holdsBack: kind.holdsBack(sink.options),
                    durable: now.durable[name]?.number)
            }
            return PipelineReport(
                name: name, network: networks.map { "\($0.name) (chain \($0.chainID))" }.joined(separator: " + "),
                state: moment.state ?? PipelineReport.runningState(now, bounded: range != nil), snapshot: now, sinks: sinks, range: range,
                blockSeconds: network.blockTime.seconds, now: Double(StateStore.systemClock()) / 1e6, rates: windows[name]?.rates,
                failure: moment.failure)
        }
    }

    private func write(_ reports: [PipelineReport], to store: StateStore) async throws {
        for report in reports {
            guard let settings = configuration.pipelines.first(where: { $0.name == report.name }),
                let network = configuration.network(settings.network)
            else { continue }
            let now = report.snapshot
            try await store.setStatus(
                RunStatus(
                    pipeline: report.name, chainID: network.chainID,
                    state: report.state == .done ? "stopped" : report.state.rawValue, message: report.failure ?? now.trouble,
                    head: now.head?.latest, finalized: now.head?.finalized, position: report.durable, reorgs: UInt64(now.reorganisations),
                    deepestReorg: UInt64(now.deepestReorganisation), rows: now.rows.mapValues { UInt64(max(0, $0)) }, started: started))
        }
    }
}

extension RunDisplay.Moment {
    /// How a pipeline is doing by what its manager says.
    init(_ view: PipelineView) {
        name = view.request.name
        snapshot = view.progress
        failure = view.failure.map { "\($0)" }
        // What follows one network is at the head when its blocks are; bundles have no head of their own.
        let isCombined = view.request.synchronization != nil
        state =
            switch view.state {
            case .paused: .paused
            case .stopped: .done
            case .error: .error
            case .backfill: isCombined ? (snapshot.trouble == nil ? .backfill : .waiting) : nil
            case .live: isCombined ? (snapshot.trouble == nil ? .live : .waiting) : nil
            }
    }
}
