import SluiceCore

/// Passes tables of the oracle on as they are.
struct TablePipe: Pipe {
    let schemas: [Schema]

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        try schemas.map { schema in
            guard let table = batch.table(schema.name) else {
                throw SluiceError(
                    .missingTable, .fatal, "blocks \(batch.span.first)...\(batch.span.last.number) came without the table \(schema.name)")
            }
            return table
        }
    }
}

extension SluiceError.Code {
    /// A component was handed a batch without a table that it asked for.
    static let missingTable = SluiceError.Code("missing_table")
}
