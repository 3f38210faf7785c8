import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceFlow
import SluiceNet
import SluiceStore

extension Command {
    static let backtest = Command(
        name: "backtest", summary: "run a pipeline over a range of history by itself, beside the live one, and say what comes out",
        usage: "[-c FILE] PIPELINE --from A --to B [--into FILE.duckdb | --discard] [--json]",
        options: [
            .config, Option("--from", "A", "first block"), Option("--to", "B", "last block"),
            Option("--into", "FILE", "a new DuckDB file for the rows"),
            Option("--discard", nil, "count the rows and drop them (the default)"), .json, .quiet, .logLevel,
        ],
        operands: 1...1,
        examples: [
            "sluice backtest -c sluice.yaml transfers --from 19000000 --to 19000999",
            "sluice backtest -c sluice.yaml transfers --from 19000000 --to 19000999 --into backtest.duckdb",
        ]
    ) { arguments in
        guard let from = try arguments.number("--from"), let to = try arguments.number("--to") else {
            throw UsageError("backtest: --from and --to are needed")
        }
        guard from <= to else { throw UsageError("backtest: --from \(from) lies behind --to \(to)") }
        let file = arguments.string("--into")
        guard file == nil || !arguments.has("--discard") else { throw UsageError("backtest: --into and --discard exclude each other") }
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let name = arguments.operands[0]
        guard let pipeline = configuration.pipelines.first(where: { $0.name == name }),
            let network = configuration.network(pipeline.network)
        else {
            throw UsageError(
                "no pipeline is called \(name)", suggestion: Spelling.nearest(to: name, in: configuration.pipelines.map(\.name)))
        }
        if network.service != nil {
            throw UsageError(
                "\(name) reads a topic: each of its partitions counts its offsets by itself, so that no range means all",
                help: "sluice run reads it from where the sinks stand")
        }
        if let file { try BacktestRun.refuse(file, configuration) }
        return try await BacktestRun(
            pipeline: pipeline, network: network, range: from...to, file: file, isQuiet: arguments.has("--quiet")
        ).run(arguments)
    }
}

/// One run of `sluice backtest`. The state store and the configured sinks are not so much as opened.
private struct BacktestRun {
    let pipeline: PipelineSettings
    let network: NetworkSettings
    let range: ClosedRange<UInt64>
    let file: String?
    let isQuiet: Bool

    /// Rows of another run beside the new ones would be taken for them, and a configured sink is not ours to write.
    static func refuse(_ file: String, _ configuration: SluiceConfiguration) throws {
        let path = try canonical(file)
        for sink in configuration.sinks {
            guard let own = sink.options.string(ifSet: "path"), try canonical(own) == path else { continue }
            throw SluiceError(
                SluiceError.Code("backtest_into_sink"), .config, "\(file) is where the sink \(sink.name) stores",
                mend: "give --into a file of its own")
        }
        var info = stat()
        guard lstat(file, &info) == 0 else { return }
        throw SluiceError(
            SluiceError.Code("backtest_exists"), .config, "\(file) is there already",
            mend: "give --into another name, or remove the file if it is an old backtest")
    }

    /// The same path for the same place, whether there is a file or not.
    private static func canonical(_ path: String) throws -> String {
        let path = try PartialFile.absolute(path)
        guard let folder = realpath(Folder.parent(of: path), nil) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + (path.split(separator: "/").last ?? "")
    }

    func run(_ arguments: Arguments) async throws -> ExitCode {
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let screen = Output.isTerminal && !isQuiet ? Screen() : nil
        let log = try Logging.log(arguments, screen: screen)
        let registry = try Catalog.registry()
        let http = try HTTPClient(userAgent: "sluice/\(Version.text)")
        defer { http.shutdown() }
        let reading = Catalog.reading(
            network, http: http, recent: MemoryRecentBlocks(), time: .live, random: SeededRandom(seed: .random(in: 0 ... .max)), log: log)
        let sink = file.map { Catalog.file($0) }
        let definition = PipelineDefinition(
            name: pipeline.name, chainID: network.chainID, registers: Catalog.registers(of: pipeline),
            start: range.lowerBound)
        let backtest = Backtest(
            definition, range: range, into: sink, registry: registry, time: .live, log: log,
            identities: ComponentIdentities(network: network.kind, type: .backtest, random: SeededRandom(seed: .random(in: 0 ... .max))),
            makeOracle: reading.oracles)
        let outcome = await watched(backtest, on: screen, until: stop)
        await sink?.close()
        // Where nothing came there is no reason to be told next time that the file is there already.
        if let file, outcome.blocks == 0 { unlink(file) }
        let endpoints = reading.endpoints()
        let report = BacktestReport(
            pipeline: pipeline.name,
            pids: try pipeline.registers.map { "\(try registry.pipelinePID(of: $0, network: network.kind, type: .backtest))" },
            network: network.name, chainID: network.chainID, range: range, outcome: outcome,
            traffic: BacktestReport.Traffic(
                requests: endpoints.reduce(0) { $0 + $1.requests }, calls: endpoints.reduce(0) { $0 + $1.calls },
                bytes: backtest.progress.snapshot.receivedBytes),
            file: outcome.blocks == 0 ? nil : file,
            components: Dictionary(
                try outcome.components.map { component in
                    (component.register, "\(try registry.componentPID(of: component.register, network: network.kind, type: .backtest))")
                }, uniquingKeysWith: { first, _ in first }))
        if arguments.has("--json") {
            Output.line(report.json.pretty())
        } else {
            Output.line(report.lines(style: Output.outputStyle).joined(separator: "\n"))
        }
        switch outcome.end {
        case .completed: return .success
        case .left: return watcher.exitCode
        case .failed(let error): throw error
        }
    }

    /// Shows how far it is while it runs.
    private func watched(_ backtest: Backtest, on screen: Screen?, until stop: StopSignal) async -> Backtest.Outcome {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await show(backtest.progress, on: screen) }
            let outcome = await backtest.run(until: stop)
            group.cancelAll()
            await group.waitForAll()
            screen?.clear()
            return outcome
        }
    }

    private func show(_ progress: PipelineProgress, on screen: Screen?) async {
        let began = ContinuousClock.now
        var window = RateWindow()
        var tick = 0
        while !Task.isCancelled, !isQuiet {
            let now = progress.snapshot
            let elapsed = (ContinuousClock.now - began).seconds
            window.add([Double(now.blocks), Double(now.rows.values.reduce(0, +)), Double(now.receivedBytes)], at: elapsed)
            let report = PipelineReport(
                name: pipeline.name, network: "\(network.name) (chain \(network.chainID))",
                state: PipelineReport.runningState(now, bounded: true), snapshot: now, sinks: [], range: range,
                blockSeconds: network.blockTime.seconds, now: Double(StateStore.systemClock()) / 1e6, rates: window.rates, failure: nil)
            if let screen {
                screen.draw(
                    RunView(width: Output.width, style: Output.style).lines([report], title: "backtest", uptime: elapsed, hint: nil))
            } else if tick > 0, tick.isMultiple(of: 20) {
                Output.note(RunView.line(report))
            }
            tick += 1
            try? await Task.sleep(for: .milliseconds(500))
        }
    }
}
