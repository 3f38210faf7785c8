/// Rows of one schema, in columns.
public struct Table: Sendable {
    public let schema: Schema
    public let columns: [Column]
    public let rowCount: Int
    /// Bytes of memory the table holds.
    public let byteCount: Int

    /// Columns in the order of the schema's fields, each of `rowCount` rows.
    public init(schema: Schema, columns: [Column], rowCount: Int) {
        precondition(columns.count == schema.fields.count, "\(schema.name): \(columns.count) columns for \(schema.fields.count) fields")
        var byteCount = 0
        // By index: this is done for every table of every batch, and a loop over elements copies them.
        for index in columns.indices {
            precondition(
                columns[index].type == schema.fields[index].type && columns[index].count == rowCount,
                Self.misfit(schema, index, columns[index], rowCount: rowCount))
            byteCount += columns[index].byteCount
        }
        self.schema = schema
        self.columns = columns
        self.rowCount = rowCount
        self.byteCount = byteCount
    }

    private static func misfit(_ schema: Schema, _ index: Int, _ column: Column, rowCount: Int) -> String {
        let field = schema.fields[index]
        return "\(schema.name).\(field.name): \(column.count) rows of \(column.type.name), not \(rowCount) of \(field.type.name)"
    }

    /// The column of a field; nil when there is none of that name.
    public func column(_ field: String) -> Column? { schema.index(of: field).map { columns[$0] } }
}
