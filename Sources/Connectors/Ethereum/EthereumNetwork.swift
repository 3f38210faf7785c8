public import SluiceNet

/// A network that speaks Ethereum JSON-RPC: where it is, how it behaves, and what it may cost.
public struct EthereumNetwork: Sendable {
    public var name: String
    public var chainID: UInt64
    public var endpoints: [EndpointConfiguration]
    /// How often the head is asked for at the tip.
    public var pollInterval: Duration
    /// Blocks behind the head that count as final where the network does not say.
    public var finalityDepth: UInt64
    /// Whether hashes and blooms are computed anew.
    public var verifiesHeaderHash: Bool
    public var limits: HTTPLimits
    public var retry: RetryPolicy
    /// Bytes of replies and rows that may be on their way at once.
    public var memoryBudget: Int

    public init(
        name: String, chainID: UInt64, endpoints: [EndpointConfiguration], pollInterval: Duration, finalityDepth: UInt64,
        verifiesHeaderHash: Bool, limits: HTTPLimits = HTTPLimits(), retry: RetryPolicy = RetryPolicy(), memoryBudget: Int = 32 << 20
    ) {
        self.name = name
        self.chainID = chainID
        self.endpoints = endpoints
        self.pollInterval = pollInterval
        self.finalityDepth = finalityDepth
        self.verifiesHeaderHash = verifiesHeaderHash
        self.limits = limits
        self.retry = retry
        self.memoryBudget = memoryBudget
    }
}
