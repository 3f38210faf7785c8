public import SluiceCore

/// What is known about a chain, so that a configuration needs an endpoint only.
public struct NetworkPreset: Sendable, Hashable {
    public let name: String
    public let chainID: UInt64
    /// What identifiers call it.
    public let kind: NetworkKind
    /// Between two blocks, as the chain aims for.
    public let blockTime: Duration
    /// Blocks behind the head that count as final where the endpoint does not say (no `finalized` tag).
    public let finalityDepth: UInt64
    /// Whether the hash of a header can be recomputed from its fields as Ethereum does it. False where the chain hashes
    /// fields that JSON-RPC does not show, or hashes in another way, or did so for a part of its history.
    public let verifiesHeaderHash: Bool

    private init(_ name: String, _ chainID: UInt64, _ kind: NetworkKind, blockTime: Duration, finality: UInt64, verifies: Bool) {
        self.name = name
        self.chainID = chainID
        self.kind = kind
        self.blockTime = blockTime
        self.finalityDepth = finality
        self.verifiesHeaderHash = verifies
    }

    /// All of them. Finality depths are on the safe side: two epochs where the chain has Ethereum's consensus, the time a
    /// rollup takes to be final on Ethereum, and some dozens of blocks where finality is quick. The
    /// simulated chain is one like Ethereum.
    public static let all: [NetworkPreset] = [
        NetworkPreset("ethereum", 1, .layer1, blockTime: .seconds(12), finality: 65, verifies: true),
        NetworkPreset("sepolia", 11_155_111, .layer1, blockTime: .seconds(12), finality: 65, verifies: true),
        NetworkPreset("holesky", 17_000, .layer1, blockTime: .seconds(12), finality: 65, verifies: true),
        NetworkPreset("hoodi", 560_048, .layer1, blockTime: .seconds(12), finality: 65, verifies: true),
        NetworkPreset("base", 8453, .layer2, blockTime: .seconds(2), finality: 900, verifies: true),
        NetworkPreset("optimism", 10, .layer2, blockTime: .seconds(2), finality: 900, verifies: true),
        NetworkPreset("arbitrum", 42_161, .layer2, blockTime: .milliseconds(250), finality: 4800, verifies: false),
        NetworkPreset("polygon", 137, .otherLayer1, blockTime: .seconds(2), finality: 256, verifies: false),
        NetworkPreset("zksync", 324, .layer2, blockTime: .seconds(1), finality: 3600, verifies: false),
        NetworkPreset("scroll", 534_352, .layer2, blockTime: .seconds(3), finality: 1200, verifies: false),
        NetworkPreset("avalanche-c", 43_114, .otherLayer1, blockTime: .seconds(2), finality: 12, verifies: false),
        NetworkPreset("gnosis", 100, .otherLayer1, blockTime: .seconds(5), finality: 65, verifies: false),
        NetworkPreset("bsc", 56, .otherLayer1, blockTime: .milliseconds(750), finality: 32, verifies: false),
        NetworkPreset("simulated", 1337, .layer1, blockTime: .seconds(1), finality: 64, verifies: true),
    ]

    /// The preset of a name; nil when there is none.
    public static func named(_ name: String) -> NetworkPreset? { all.first { $0.name == name } }
    /// The preset of a chain; nil when there is none.
    public static func of(chainID: UInt64) -> NetworkPreset? { all.first { $0.chainID == chainID } }
}
