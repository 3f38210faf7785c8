/// Rows of one schema, in columns.
public struct Table: Sendable {
    public let schema: Schema
    public let columns: [Column]
    public let rowCount: Int

    /// Columns in the order of the schema's fields, each of `rowCount` rows.
    public init(schema: Schema, columns: [Column], rowCount: Int) {
        precondition(columns.count == schema.fields.count, "\(schema.name): \(columns.count) columns for \(schema.fields.count) fields")
        for (column, field) in zip(columns, schema.fields) {
            precondition(
                column.type == field.type && column.count == rowCount,
                "\(schema.name).\(field.name): \(column.count) rows of \(column.type.name), not \(rowCount) of \(field.type.name)")
        }
        self.schema = schema
        self.columns = columns
        self.rowCount = rowCount
    }

    /// The column of a field; nil when there is none of that name.
    public func column(_ field: String) -> Column? { schema.index(of: field).map { columns[$0] } }

    /// Bytes of memory the table holds.
    public var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }
}
