public import SluiceCore

/// What an aggregator needs of one bundle to go on, or back, after a restart.
public struct StoredBundle: Sendable, Hashable {
    public let block: BlockRef
    /// In the aggregator's own form.
    public let record: [UInt8]

    public init(block: BlockRef, record: [UInt8]) {
        self.block = block
        self.record = record
    }
}
