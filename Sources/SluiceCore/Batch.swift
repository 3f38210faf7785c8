/// What flows along an edge: the tables of one span of one network.
public struct Batch: Sendable {
    public let chainID: UInt64
    public let span: Span
    /// One table a name; a table without rows in this span may be there, empty.
    public let tables: [Table]

    public init(chainID: UInt64, span: Span, tables: [Table]) {
        self.chainID = chainID
        self.span = span
        self.tables = tables
    }

    /// The table of a name; nil when the batch does not carry it.
    public func table(_ name: String) -> Table? { tables.first { $0.schema.name == name } }

    public var rowCount: Int { tables.reduce(0) { $0 + $1.rowCount } }
    /// Bytes of memory the batch holds.
    public var byteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }
}

/// What an edge carries, in order.
public enum Transit: Sendable {
    case batch(Batch)
    /// Everything behind this position is orphaned and must be undone.
    case rollback(to: Position)
    /// Nothing up to this block number will ever be undone.
    case finalized(UInt64)
}
