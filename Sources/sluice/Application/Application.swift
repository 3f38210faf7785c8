import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceNet
import SluiceStore
import SluiceTelemetry

/// A configuration brought to life: the state store, the sinks and the pipelines that a command runs.
struct Application: Sendable {
    let configuration: SluiceConfiguration
    let store: StateStore
    let http: HTTPClient
    let sinks: [String: any Sink]
    let runners: [PipelineRunner]
    let stop: StopSignal
    let log: Log

    /// Opens the state store and makes every component; connects to nothing yet. Throws what the configuration or the store throws.
    static func open(_ configuration: SluiceConfiguration, stop: StopSignal, log: Log) async throws -> Application {
        let registry = try Catalog.registry()
        let store = try await StateStore.open(configuration.state)
        let http = try HTTPClient(userAgent: "sluice/\(Version.text)")
        var sinks: [String: any Sink] = [:]
        for settings in configuration.sinks {
            sinks[settings.name] = Catalog.sink(settings.type)?.make(settings.name, settings.options, store)
        }
        let runners = try configuration.pipelines.compactMap { pipeline -> PipelineRunner? in
            guard let network = configuration.network(pipeline.network) else { return nil }
            let registers = try pipeline.registers.map { try registry.register($0) }
            let progress = PipelineProgress()
            let recent = StoredRecentBlocks(store: store, stream: StreamID(pipeline: pipeline.name, chainID: network.chainID))
            let oracle = Catalog.oracle(
                network, registers: registers, http: http, recent: recent, time: .live, random: SeededRandom(seed: .random(in: 0 ... .max)),
                log: log, observe: { progress.note($0) })
            var start: UInt64?
            if case .block(let number) = pipeline.start { start = number }
            return PipelineRunner(
                definition: PipelineDefinition(name: pipeline.name, chainID: network.chainID, registers: registers, start: start),
                oracle: oracle, sinks: pipeline.sinks.compactMap { name in sinks[name].map { (name, $0) } }, progress: progress, stop: stop,
                time: .live, log: log)
        }
        return Application(configuration: configuration, store: store, http: http, sinks: sinks, runners: runners, stop: stop, log: log)
    }

    /// Closes the sinks, the connections and the store.
    func close() async {
        for sink in sinks.values { await sink.close() }
        http.shutdown()
        await store.close()
    }
}
