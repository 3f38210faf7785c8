/// What a simulator serves and how.
public struct SimulatorOptions: Sendable {
    /// Where the blocks come from.
    public enum Source: Sendable {
        case replay(ReplayOptions)
        case generated(GeneratorOptions)
    }

    public var source: Source
    /// An IPv4 address; loopback unless there is a reason.
    public var host = "127.0.0.1"
    /// 0 takes any that is free.
    public var port: UInt16 = 0
    public var rpc = RPCOptions()
    public var faults = FaultOptions()
    /// Told the number of each block when an answer names it as the head, or one behind it, for the first time; before that answer is
    /// sent. The history that the first answer finds is not told. It must not block.
    public var onHead: (@Sendable (UInt64) -> Void)?

    public init(_ source: Source) { self.source = source }
}

/// What the node can do.
public struct RPCOptions: Sendable {
    /// Methods that this node does not have: -32601.
    public var disabledMethods: Set<String> = []
    /// Whether `finalized` and `safe` are understood.
    public var hasFinalityTags = true
    /// Whether batches are taken, and how many calls at most.
    public var hasBatches = true
    public var maxBatch = 1000
    /// Limits of `eth_getLogs`: more results are refused with -32005, a longer range with -32602.
    public var maxLogResults = 10_000
    public var maxLogBlocks: UInt64 = 10_000
    /// How many of the newest blocks have state that can be asked for (`eth_getBalance`); nil: all, as an archive has.
    public var stateBlocks: UInt64?
    /// Whether a block can be given as an object with its hash (EIP-1898).
    public var hasBlockHashParameters = true
    /// Whether the state of a block is gone as soon as it is orphaned.
    public var forgetsOrphans = false
    /// Addresses, lower case with `0x`, whose balance is always answered with an error.
    public var refusedBalances: Set<String> = []
    public var clientVersion = "sluice-simulator/1"

    public init() {}
}

/// What happened so far.
public struct SimulatorStatistics: Sendable, Equatable {
    /// HTTP requests with a body that reached the handler.
    public var requests = 0
    /// JSON-RPC calls by method; what is no call counts as `invalid`.
    public var calls: [String: Int] = [:]
    /// By the kind's name; `rate_limited` counts the 429 of the rate limit.
    public var faults: [String: Int] = [:]
    /// Bytes sent, heads included.
    public var bytesSent = 0
    public var connections = 0

    public init() {}
}
