public import SluiceCore

/// Rows that a store refuses among batches which it was handed and are not durable: none of them is stored, and what is left of the batches is
/// to be tried again.
public struct HeldRefusal: Error {
    /// By the first block of the batch that holds them, then by table.
    private var places: [UInt64: [String: Set<Int>]] = [:]
    public private(set) var rows: [RefusedRow] = []

    public init() {}

    /// Adds one row.
    /// - Parameters:
    ///   - row: of `table`, which is one of the tables of a batch of the blocks `span`.
    ///   - reason: the store's.
    public mutating func add(_ row: Int, of table: Table, in span: Span, reason: SluiceError) {
        places[span.first, default: [:]][table.schema.name, default: []].insert(row)
        rows.append(RefusedRow(table, row, of: span, reason: reason.code, message: reason.message))
    }

    /// Batches without those rows.
    public func taken(from batches: [Batch]) -> [Batch] {
        batches.map { batch in places[batch.span.first].map(batch.without) ?? batch }
    }
}
