public import SluiceCore

extension Schema {
    /// The block number's field, or a `config` error: without it rows cannot be undone.
    public func requiredBlockNumberField() throws -> String {
        guard let field = blockNumberField else {
            throw SluiceError(
                .duckdbSQL, .config,
                "table \(name) has no block_number (or number) that is a whole number and never null, "
                    + "so its rows could not be undone")
        }
        return field
    }
}

extension Table {
    /// Nil when all is well: no null where the schema allows none. Otherwise the field at fault.
    public var unexpectedNull: String? {
        zip(schema.fields, columns).first { !$0.nullable && $1.nullCount > 0 }?.0.name
    }
}
