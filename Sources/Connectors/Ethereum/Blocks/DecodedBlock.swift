public import SluiceCore

/// One block that was read, checked and turned into tables.
public struct DecodedBlock: Sendable {
    public let ref: BlockRef
    public let parentHash: Hash32
    /// Seconds since 1970.
    public let timestamp: UInt64
    /// The wanted tables, in the order of `EthereumTables.all`.
    public let tables: [Table]
    /// Bytes of JSON it came from.
    public let byteCount: Int

    /// The same blocks as one batch, in order; they must follow each other.
    static func batch(_ blocks: [DecodedBlock], chainID: UInt64) -> Batch? {
        guard let first = blocks.first else { return nil }
        let tables = first.tables.indices.map { index in Table.concatenated(blocks.map { $0.tables[index] }) }
        let stamps = blocks.map { BlockStamp(hash: $0.ref.hash, timestamp: $0.timestamp) }
        return Batch(chainID: chainID, span: Span(first: first.ref.number, parentHash: first.parentHash, blocks: stamps), tables: tables)
    }
}
