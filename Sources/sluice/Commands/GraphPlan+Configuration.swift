import SluiceCatalog
import SluiceConfig
import SluiceCore
import SluiceFlow

extension GraphPlan {
    /// The graph of a configuration.
    init(_ configuration: SluiceConfiguration) throws {
        try self.init(
            registry: try Catalog.registry(),
            networks: configuration.networks.map { network in
                Network(
                    name: network.name, chainID: network.chainID, kind: network.kind,
                    endpoints: network.endpoints.map { $0.url.description })
            },
            pipelines: configuration.pipelines.map { pipeline in
                Pipeline(
                    name: pipeline.name, networks: pipeline.networks, registers: pipeline.registers, policy: pipeline.synchronization,
                    sinks: pipeline.sinks)
            },
            sinks: configuration.sinks.compactMap { sink in
                Catalog.sink(sink.type).map { kind in
                    Sink(name: sink.name, type: sink.type, delivery: kind.delivery, holdsBack: kind.holdsBack(sink.options))
                }
            })
    }
}
