public import SluiceCore

/// A pipeline that combines streams, as it is asked for.
public struct AggregateDefinition: Sendable {
    /// One of its streams: where it is read, and from which block on.
    public struct Stream: Sendable {
        /// What the configuration calls the network.
        public let network: String
        public let chainID: UInt64
        public let hub: Hub
        /// The first block; nil for the head.
        public let start: UInt64?

        public init(network: String, chainID: UInt64, hub: Hub, start: UInt64?) {
            self.network = network
            self.chainID = chainID
            self.hub = hub
            self.start = start
        }
    }

    public let name: String
    /// What is made.
    public let register: Register
    /// What each stream brings: the register's dependencies.
    public let parts: [Register]
    public let policy: SynchronizationPolicy
    /// At least one.
    public let streams: [Stream]

    /// - Throws: `wrong_component`, `unknown_register` (class `config`), and what the aggregator throws: it is made once to find out.
    public init(name: String, register: Register, registry: Registry, policy: SynchronizationPolicy, streams: [Stream]) throws {
        self.name = name
        self.register = register
        self.policy = policy
        self.streams = streams
        parts = try register.dependencies.map { try registry.register($0) }
        try policy.check(streams: streams.count)
        _ = try makeAggregator()
    }

    /// The chain that its batches carry: that of the first stream.
    public var chainID: UInt64 { streams[0].chainID }

    func makeAggregator() throws -> any Aggregator {
        try register.makeAggregator(streams.map { AggregatedStream(network: $0.network, chainID: $0.chainID) }, policy)
    }

    /// A stream as a pipeline of its own.
    func definition(of stream: Int) -> PipelineDefinition {
        PipelineDefinition(
            name: "\(name) stream \(stream + 1)", chainID: streams[stream].chainID, registers: parts, start: streams[stream].start)
    }
}

extension SynchronizationPolicy {
    /// Whether the same chains give the same bundles whenever they are read.
    var isRepeatable: Bool {
        // A wait that is given up depends on the clock.
        guard case .wait = timeout else { return false }
        switch self {
        case .alignedByHeight, .alignedByTime, .window: return true
        case .onUpdate, .latestOfEach: return false
        }
    }
}
