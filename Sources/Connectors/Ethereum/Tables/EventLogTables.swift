public import SluiceCore

/// The table of logs that were decoded by their contracts' ABI.
public enum EventLogTables {
    /// One row a log that an address and event were named for.
    public static let eventLogs = Schema(
        name: "event_logs", key: ["chain_id", "block_hash", "log_index"], doc: "One row a log of an event that was asked for, decoded.",
        fields: [
            Field("log_index", .int64, "Place of the log in the block."),
            Field("transaction_hash", .fixedBytes(32), content: .repeating, "Hash of the transaction."),
            Field("transaction_index", .int64, "Place of the transaction in the block."),
            Field("address", .fixedBytes(20), content: .repeating, "Contract that logged."),
            Field("event", .string, content: .repeating, "Name of the event."),
            Field("signature", .string, content: .repeating, "Its canonical signature, such as Transfer(address,address,uint256)."),
            Field("arguments", .json, content: .patterned, "Its arguments: by name, or in order where not all have one; integers as text."),
            Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
            Field("block_number", .int64, "Height of the block."),
            Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])
}
