import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceNet
import SluiceStore
import SluiceTelemetry

/// A configuration brought to life: the state store, the sinks, a hub for every network, and the pipelines that a command runs.
struct Application: Sendable {
    let configuration: SluiceConfiguration
    let store: StateStore
    let http: HTTPClient
    let sinks: [String: any Sink]
    /// By the network's name.
    let hubs: [String: Hub]
    let log: Log

    /// Opens the state store and makes every component; connects to nothing yet. Throws what the configuration or the store throws.
    static func open(_ configuration: SluiceConfiguration, log: Log) async throws -> Application {
        let registry = try Catalog.registry()
        let store = try await StateStore.open(configuration.state)
        let http = try HTTPClient(userAgent: "sluice/\(Version.text)")
        var sinks: [String: any Sink] = [:]
        for settings in configuration.sinks {
            sinks[settings.name] = Catalog.sink(settings.type)?.make(settings.name, settings.options, store)
        }
        var hubs: [String: Hub] = [:]
        for network in configuration.networks {
            let recent = StoredRecentBlocks(store: store, stream: StreamID(pipeline: "network \(network.name)", chainID: network.chainID))
            hubs[network.name] = Hub(
                Hub.Surroundings(
                    registry: registry, journal: StoredJournal(store: store), recent: recent, time: .live, log: log,
                    makeOracle: Catalog.oracles(
                        network, http: http, recent: recent, time: .live, random: SeededRandom(seed: .random(in: 0 ... .max)), log: log)))
        }
        return Application(configuration: configuration, store: store, http: http, sinks: sinks, hubs: hubs, log: log)
    }

    /// A pipeline as the configuration has it, ready to join its network's hub.
    func branch(_ pipeline: PipelineSettings, goal: Branch.Goal) -> Branch? {
        guard let network = configuration.network(pipeline.network) else { return nil }
        var start: UInt64?
        if case .block(let number) = pipeline.start { start = number }
        let definition = PipelineDefinition(
            name: pipeline.name, chainID: network.chainID, registers: Catalog.registers(of: pipeline), start: start)
        return Branch(
            definition, goal: goal, sinks: pipeline.sinks.compactMap { name in sinks[name].map { SinkAttachment(name, $0) } },
            progress: PipelineProgress())
    }

    /// Closes the sinks, the connections and the store.
    func close() async {
        for sink in sinks.values { await sink.close() }
        http.shutdown()
        await store.close()
    }
}
