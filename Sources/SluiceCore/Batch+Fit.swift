// What every sink makes sure of before it takes anything of a stream.

extension StreamID {
    /// A stream was used that nobody opened, or that is closed.
    public var isNotOpen: SluiceError { SluiceError(.sinkOrder, .fatal, "stream \(self) is not open") }
}

extension Batch {
    /// Makes sure that a batch is of a stream, and that its tables are those that it was opened with.
    /// - Throws: `code` (class `fatal`) for another chain, or a table of another shape; the same of class `data` for a null where none may be.
    public func requireFit(
        _ id: StreamID, _ schemas: some Sequence<Schema>, code: SluiceError.Code = .sinkOrder
    ) throws(SluiceError) {
        if chainID != id.chainID { throw SluiceError(code, .fatal, "a batch of chain \(chainID) for stream \(id)") }
        for table in tables { try table.requireFit(id, schemas, code: code) }
    }
}

extension Table {
    /// The same of one table.
    public func requireFit(
        _ id: StreamID, _ schemas: some Sequence<Schema>, code: SluiceError.Code = .sinkOrder
    ) throws(SluiceError) {
        guard schemas.contains(schema) else {
            throw SluiceError(code, .fatal, "a batch of \(id) has a table \(schema.name) of another shape than was opened")
        }
        if let field = unexpectedNull { throw SluiceError(code, .data, "a null in \(schema.name).\(field), which allows none") }
    }
}
