public import SluiceCore

extension Schema {
    /// The field that says which block a row belongs to: `block_number`, or `number` in a table of blocks. Nil when there is none.
    public var blockNumberField: String? { field("block_number", .uint64) ?? field("number", .uint64) }

    /// The field with the block's time: `block_timestamp`, or `timestamp` in a table of blocks. Nil when there is none.
    public var blockTimeField: String? { field("block_timestamp", .timestamp) ?? field("timestamp", .timestamp) }

    private func field(_ name: String, _ type: LogicalType) -> String? {
        fields.contains { $0.name == name && $0.type == type && !$0.nullable } ? name : nil
    }

    /// The block number's field, or a `config` error: without it rows cannot be undone.
    public func requiredBlockNumberField() throws -> String {
        guard let field = blockNumberField else {
            throw SluiceError(
                .duckdbSQL, .config, "table \(name) has no block_number (or number) of type uint64, so its rows could not be undone")
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
