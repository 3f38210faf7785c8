public import SluiceCore

/// The whole configuration, typed and checked.
public struct SluiceConfiguration: Sendable {
    /// Path of the state file, relative to the working directory.
    public let state: String
    public let networks: [NetworkSettings]
    public let sinks: [SinkSettings]
    public let pipelines: [PipelineSettings]
    /// How many pipelines there may be at a time.
    public let maxPipelines: Int
    /// Where pipelines keep what they share; nil for the state file.
    public let sharedState: SharedStateSettings?

    /// The network of a name; nil when there is none.
    public func network(_ name: String) -> NetworkSettings? { networks.first { $0.name == name } }
    /// The sink of a name; nil when there is none.
    public func sink(_ name: String) -> SinkSettings? { sinks.first { $0.name == name } }
}

/// How far what a network's endpoints say is checked.
public enum Verification: String, Sendable, CaseIterable {
    /// Header hashes are recomputed, and parents must match.
    case full
    /// Parents must match.
    case links
}

/// One chain and the endpoints that serve it.
public struct NetworkSettings: Sendable {
    public let name: String
    public let chainID: UInt64
    /// What identifiers call it.
    public let kind: NetworkKind
    public let blockTime: Duration
    /// Blocks behind the head that count as final where the endpoint does not say.
    public let finalityDepth: UInt64
    public let pollInterval: Duration
    public let requestTimeout: Duration
    public let connectTimeout: Duration
    /// Bytes of one response at most.
    public let maxResponse: Int
    /// Bytes of responses held at a time.
    public let memoryBudget: Int
    public let verify: Verification
    public let retryAttempts: Int
    public let retryBudget: Duration
    /// In order of preference; at least one for a chain.
    public let endpoints: [EndpointSettings]
    /// What it is when it is no chain; nil for one.
    public let service: ServiceSettings?

    /// The same network with one of its endpoints alone, to look at each for itself.
    public func only(_ endpoint: EndpointSettings) -> NetworkSettings {
        NetworkSettings(
            name: name, chainID: chainID, kind: kind, blockTime: blockTime, finalityDepth: finalityDepth, pollInterval: pollInterval,
            requestTimeout: requestTimeout, connectTimeout: connectTimeout, maxResponse: maxResponse, memoryBudget: memoryBudget,
            verify: verify,
            retryAttempts: 1, retryBudget: requestTimeout, endpoints: [endpoint], service: service)
    }
}

/// A network that is not read by JSON-RPC.
public struct ServiceSettings: Sendable {
    /// The `type:`.
    public let type: String
    /// What the connector's own spec declares.
    public let options: ConfigObject
}

/// One JSON-RPC endpoint and how hard it may be used.
public struct EndpointSettings: Sendable {
    public let url: ConfigURL
    public let headers: [(name: String, value: Secret)]
    /// Nil: found out while running.
    public let requestsPerSecond: Double?
    public let computeUnitsPerSecond: Double?
    public let maxInFlight: Int
    /// Calls in one JSON-RPC batch; 1 means no batches.
    public let maxBatch: Int
}

/// One store.
public struct SinkSettings: Sendable {
    public let name: String
    /// The `type:`.
    public let type: String
    /// What the connector's own spec declares.
    public let options: ConfigObject
}

/// One pipeline: what is asked for, of which network, into which sinks.
public struct PipelineSettings: Sendable {
    public enum Start: Sendable, Hashable {
        case block(UInt64)
        /// The head when the pipeline runs for the first time.
        case latest

        /// The number of the block; nil for the head.
        public var block: UInt64? { if case .block(let number) = self { number } else { nil } }
    }

    /// A network that it reads.
    public struct Stream: Sendable, Hashable {
        public let network: String
        public let start: Start
    }

    /// A sink that it loads.
    public struct SinkUse: Sendable, Hashable {
        public let sink: String
        public let whenFull: WhenFull
    }

    public let name: String
    /// One; those that it combines when there is a synchronization.
    public let streams: [Stream]
    /// How streams are combined; nil for a pipeline of one network.
    public let synchronization: SynchronizationPolicy?
    /// At least one.
    public let registers: [String]
    /// Those of them that were told more than their name.
    public let configured: [ConfiguredRegister]
    /// At least one.
    public let uses: [SinkUse]

    /// The names of its sinks.
    public var sinks: [String] { uses.map(\.sink) }
    /// The names of the networks that it reads.
    public var networks: [String] { streams.map(\.network) }
    /// The network that it reads, or the first of those that it combines.
    public var network: String { streams[0].network }
    /// Where it begins there.
    public var start: Start { streams[0].start }
}
