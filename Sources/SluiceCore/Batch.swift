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
    public func table(_ name: String) -> Table? { index(of: name).map { tables[$0] } }

    /// The rows of the table of a name; 0 when the batch does not carry it.
    public func rowCount(of name: String) -> Int { index(of: name).map { tables[$0].rowCount } ?? 0 }

    // By index: these are asked of every batch at every step, and a loop over elements copies them.
    private func index(of name: String) -> Int? {
        for index in tables.indices where tables[index].schema.isNamed(name) { return index }
        return nil
    }

    public var rowCount: Int {
        var count = 0
        for index in tables.indices { count += tables[index].rowCount }
        return count
    }

    /// Bytes of memory the batch holds.
    public var byteCount: Int {
        var count = 0
        for index in tables.indices { count += tables[index].byteCount }
        return count
    }
}

/// What an edge carries, in order.
public enum Transit: Sendable {
    case batch(Batch)
    /// Everything behind this position is orphaned and must be undone.
    case rollback(to: Position)
    /// Nothing up to this block number will ever be undone.
    case finalized(UInt64)
}
