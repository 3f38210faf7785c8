/// Blocks of several streams that belong together.
///
/// Bundles are a chain of their own: each has a number, a hash that covers its blocks and the bundle before, and the greatest time of
/// its blocks. What is made of a bundle is a batch of one such block, which sinks store, undo and resume as any other.
public struct Bundle: Sendable {
    /// 1 for the first: like every chain this one has a block before it that can be rolled back to, number 0.
    public let number: UInt64
    public let hash: Hash32
    public let parentHash: Hash32
    /// Seconds since 1970: the greatest of its blocks.
    public let timestamp: UInt64
    /// The blocks of each stream in ascending order, each a batch of its own; in the order of the streams.
    public let inputs: [[Batch]]
    /// Whether the wait for a stream was given up.
    public let isPartial: Bool

    public init(number: UInt64, hash: Hash32, parentHash: Hash32, timestamp: UInt64, inputs: [[Batch]], isPartial: Bool) {
        self.number = number
        self.hash = hash
        self.parentHash = parentHash
        self.timestamp = timestamp
        self.inputs = inputs
        self.isPartial = isPartial
    }

    /// The bundle as a block of its chain.
    public var ref: BlockRef { BlockRef(number: number, hash: hash) }

    /// The span of the batch that is made of it.
    public var span: Span {
        Span(number, parentHash: parentHash, block: BlockStamp(hash: hash, timestamp: timestamp))
    }
}

/// Makes tables out of blocks of several streams. Called from one task at a time.
///
/// Its tables carry `bundle_number` (`int64`, never null) and `chain_id`. What it remembers is lost with the process: one that needs
/// more than the bundle that it is given must be able to go on from a store of its own.
public protocol Aggregator: Sendable {
    /// Tables that come out.
    var schemas: [Schema] { get }
    var policy: SynchronizationPolicy { get }
    /// The tables made of one bundle, in the order of `schemas`.
    mutating func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table]
    /// Undoes what the aggregator remembers of the bundles behind a number; of all when it is nil. Most remember nothing.
    mutating func rollback(toBundle number: UInt64?)
}

extension Aggregator {
    public mutating func rollback(toBundle number: UInt64?) {}
}

/// Keeps the records of bundles across restarts.
public protocol BundleRecords: Sendable {
    /// Called before what was made of the bundles is sent on, so that whatever a store ends up with, its record is there. That of a bundle
    /// that was undone stays beside the one that takes its place: a store may hold either when the process ends.
    func remember(_ records: [BundleRecord]) async throws
    /// The bundles up to a number will never be undone. Records below it may be forgotten once every store has made it durable; its
    /// own record stays: streams go on from there.
    func finalize(throughBundle number: UInt64) async throws
}
