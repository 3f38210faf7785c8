import EthereumConnector
import SluiceCore
import SluiceSimulator
import SluiceStore
import SluiceTelemetry
import Testing

@testable import SluiceFlow

/// A layer 1 with a block each 12 seconds, and a layer 2 with one each 2 seconds, from the same second on; and a manager over both.
struct TwoLayers: Sendable {
    let one: DocumentNode
    let two: DocumentNode
    private let store: StateStore

    /// The number of the first block of each.
    var first: Int64 { 20_000_000 }

    static func run(blocks: (Int, Int), _ body: (TwoLayers) async throws -> Void) async throws {
        let folder = TemporaryFolder()
        let store = try await StateStore.open(folder.path + "/state")
        try await DocumentNode.run(chainID: 1, history: blocks.0) { one in
            try await DocumentNode.run(chainID: 10, seed: 8, history: blocks.1, blockSeconds: 2) { two in
                try await body(TwoLayers(one: one, two: two, store: store))
            }
        }
        await store.close()
    }

    func manager(_ sinks: [String: any Sink]) throws -> EtlManager {
        EtlManager(
            EtlManager.Surroundings(
                registry: try Registry(DocumentNode.registers),
                networks: [
                    "one": EtlManager.Network(kind: .layer1, chainID: 1, hub: try one.hub()),
                    "two": EtlManager.Network(kind: .layer2, chainID: 10, hub: try two.hub(kind: .layer2)),
                ], sinks: sinks, shelf: MemoryShelf(), store: store, log: .disabled), random: SeededRandom(seed: 3))
    }

    /// The blocks of both, combined.
    func request(_ name: String, _ policy: SynchronizationPolicy?, sinks: [String]) -> PipelineRequest {
        PipelineRequest(
            name: name,
            streams: [.init(network: "one", start: UInt64(first)), .init(network: "two", start: UInt64(first))],
            registers: ["block_bundles"], synchronization: policy, sinks: sinks.map { .init($0) })
    }
}
