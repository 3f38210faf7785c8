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
    /// What the state file holds of the shared state: all of it, unless several processes share it.
    let own: StoredState
    let state: OpenedState
    let http: HTTPClient
    let sinks: [String: any Sink]
    /// By the network's name.
    let hubs: [String: Hub]
    /// Networks that are read in parts, by name.
    let shared: [String: SharedNetwork]
    let log: Log

    /// Opens the state store and makes every component; connects to nothing yet. Throws what the configuration or the store throws.
    static func open(_ configuration: SluiceConfiguration, log: Log) async throws -> Application {
        let registry = try Catalog.registry()
        let store = try await StateStore.open(configuration.state)
        let own = try await StoredState.open(store)
        let state = try await Catalog.state(of: configuration, log: log) { own }
        let http = try HTTPClient(userAgent: "sluice/\(Version.text)")
        var sinks: [String: any Sink] = [:]
        for settings in configuration.sinks {
            sinks[settings.name] = Catalog.sink(settings.type)?.make(settings.name, settings.options, store)
        }
        var hubs: [String: Hub] = [:]
        var shared: [String: SharedNetwork] = [:]
        for network in configuration.networks {
            let identities = ComponentIdentities(
                network: network.kind, type: .live, random: SeededRandom(seed: .random(in: 0 ... .max)))
            if let service = network.service, let connector = Catalog.service(network) {
                shared[network.name] = SharedNetwork(
                    source: connector.make(network.name, service.options), registry: registry, journal: StoredJournal(store: store),
                    time: .live, log: log, identities: identities)
                continue
            }
            let recent = StoredRecentBlocks(store: store, stream: StreamID(pipeline: "network \(network.name)", chainID: network.chainID))
            hubs[network.name] = Hub(
                Hub.Surroundings(
                    registry: registry, journal: StoredJournal(store: store), recent: recent, time: .live, log: log,
                    identities: identities,
                    makeOracle: Catalog.oracles(
                        network, http: http, recent: recent, time: .live, random: SeededRandom(seed: .random(in: 0 ... .max)), log: log)))
        }
        return Application(
            configuration: configuration, store: store, own: own, state: state, http: http, sinks: sinks, hubs: hubs, shared: shared,
            log: log)
    }

    /// A pipeline as the configuration has it, ready to join its network's hub. Nil for one that combines streams or
    /// reads a service: which of their blocks would be meant cannot be said.
    func branch(_ pipeline: PipelineSettings, goal: Branch.Goal) -> Branch? {
        guard pipeline.synchronization == nil, let network = configuration.network(pipeline.network), network.service == nil else {
            return nil
        }
        let definition = PipelineDefinition(
            name: pipeline.name, chainID: network.chainID, registers: Catalog.registers(of: pipeline), start: pipeline.start.block,
            state: state.reader)
        return Branch(
            definition, goal: goal,
            sinks: pipeline.uses.compactMap { use in
                sinks[use.sink].map {
                    SinkAttachment(use.sink, $0, policy: use.whenFull.policy(folder: "\(spillFolder)/\(pipeline.name)/\(use.sink)"))
                }
            }, progress: PipelineProgress())
    }

    /// Who runs the pipelines of the configuration: each as it is asked for, up to a last block when there is one.
    func manager(until: UInt64?) throws -> EtlManager {
        var networks: [String: EtlManager.Network] = [:]
        for network in configuration.networks {
            if let shared = shared[network.name] {
                networks[network.name] = EtlManager.Network(kind: network.kind, chainID: network.chainID, shared: shared)
            }
            guard let hub = hubs[network.name] else { continue }
            networks[network.name] = EtlManager.Network(kind: network.kind, chainID: network.chainID, hub: hub)
        }
        let pipelines = configuration.pipelines
        return EtlManager(
            EtlManager.Surroundings(
                registry: try Catalog.registry(), networks: networks, sinks: sinks,
                startup: Dictionary(
                    configuration.sinks.map { ($0.name, SinkConnector.startup(of: $0.options)) }, uniquingKeysWith: { first, _ in first }),
                shelf: StoredPipelines(store: store), store: store,
                state: state.state, reader: state.reader,
                registers: { request in
                    pipelines.first { $0.name == request.name }.map(Catalog.registers) ?? request.registers.compactMap(Catalog.register)
                }, spillFolder: spillFolder, until: until, limit: configuration.maxPipelines, log: log),
            random: SystemRandomNumberGenerator())
    }

    /// The pipelines of the configuration, as the manager is asked for them.
    var requests: [PipelineRequest] {
        configuration.pipelines.map { pipeline in
            PipelineRequest(
                name: pipeline.name,
                streams: pipeline.streams.map { PipelineRequest.Stream(network: $0.network, start: $0.start.block) },
                registers: pipeline.registers, synchronization: pipeline.synchronization,
                options: Dictionary(
                    pipeline.configured.map { ($0.register.name, $0.summary.joined(separator: "\n")) },
                    uniquingKeysWith: { first, _ in first }),
                sinks: pipeline.uses.map { PipelineRequest.SinkUse($0.sink, whenFull: $0.whenFull) })
        }
    }

    /// Where edges keep what waits on disk.
    private var spillFolder: String { configuration.state + ".spill" }

    /// Closes the sinks, the connections and the store.
    func close() async {
        for sink in sinks.values { await sink.close() }
        http.shutdown()
        await state.close()
        await store.close()
    }
}
