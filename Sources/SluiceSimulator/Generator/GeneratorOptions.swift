/// The shape of a generated chain. The same options give the same blocks.
public struct GeneratorOptions: Sendable {
    public var seed: UInt64
    public var chainID: UInt64 = 1
    /// Number of the first block there is.
    public var first: UInt64 = 20_000_000
    /// Blocks that exist at the start, the first among them.
    public var history = 32
    /// Steps that the chain has grown already beyond its history: with as many as ``Simulator/steps`` said at the end of an earlier run,
    /// the same chain goes on where that one stopped.
    public var resume = 0
    /// Real time from block to block; nil when only `advance` makes blocks.
    public var blockTime: Duration?
    /// The chain stops to grow by itself at this number; nil for never.
    public var until: UInt64?
    /// Seconds since 1970 of the first block, and from block to block as the headers say.
    public var firstTimestamp: UInt64 = 1_700_000_000
    public var blockSeconds: UInt64 = 12
    public var transactions: ClosedRange<Int> = 8...40
    /// Logs of a transaction that calls a contract.
    public var logs: ClosedRange<Int> = 0...4
    /// A reorganisation every so many blocks on average, by the seed; nil for none.
    public var reorgEvery: Int?
    public var reorgDepth: ClosedRange<Int> = 1...3
    /// How far `safe` and `finalized` lie behind the head.
    public var safeDepth: UInt64 = 8
    public var finalizedDepth: UInt64 = 16
    /// Rendered blocks, and orphans that are still known by hash, that are kept in memory.
    public var window = 256

    public init(seed: UInt64) { self.seed = seed }

    /// The accounts that take part in the chain, 20 bytes each: they send, receive and are paid. Each has a million ether before the first
    /// block, and nobody else has anything.
    public var accounts: [[UInt8]] { BlockGenerator(self).accounts }
}
