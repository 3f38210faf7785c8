public import SluiceCore

extension RefusedRow {
    /// A row of a table as it is refused, with all that it holds.
    /// - Parameters:
    ///   - span: the blocks that the table's rows are of.
    ///   - reason: a stable code.
    ///   - message: the store's words.
    public init(_ table: Table, _ row: Int, of span: Span, reason: SluiceError.Code, message: String) {
        let number = table.blockNumber(row) ?? span.last.number
        let known = span.first <= number && number <= span.last.number
        self.init(
            table, row, block: BlockRef(number: known ? number : span.last.number, hash: known ? span.hash(number) : span.last.hash),
            reason: reason, message: message)
    }

    /// The same of a table whose rows are of one block.
    public init(_ table: Table, _ row: Int, block: BlockRef, reason: SluiceError.Code, message: String) {
        var text = TextRows(.jsonl)
        text.append(table, rows: row..<row + 1)
        let payload = text.take { String(decoding: $0.dropLast(), as: UTF8.self) }
        self.init(
            table: table.schema.name, row: table.rowName(row), block: block, reason: reason.rawValue, message: message, payload: payload)
    }
}
