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
