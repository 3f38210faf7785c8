public import SluiceCore

/// The tables of token transfers. ERC-20 keeps the names of ethereum-etl's `token_transfers`.
public enum TransferTables {
    private static let place = [
        Field("transaction_hash", .fixedBytes(32), content: .repeating, "Hash of the transaction."),
        Field("log_index", .int64, "Place of the log in the block."),
        Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
        Field("block_number", .int64, "Height of the block."),
        Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
        Field("chain_id", .int64, "Chain id of the network."),
    ]
    private static let parties = [
        Field("from_address", .fixedBytes(20), "Sender; zero when minted."),
        Field("to_address", .fixedBytes(20), content: .repeating, "Receiver; zero when burnt."),
    ]
    private static let token = [Field("token_address", .fixedBytes(20), content: .repeating, "Contract of the token.")]

    /// `Transfer(address,address,uint256)` with the amount in the data.
    public static let erc20 = Schema(
        name: "erc20_transfers", key: ["chain_id", "block_hash", "log_index"], doc: "One row an ERC-20 transfer.",
        fields: token + parties + [Field("value", .uint256, "Amount, in the token's smallest unit.")] + place)

    /// `Transfer(address,address,uint256)` with the token's id as a topic.
    public static let erc721 = Schema(
        name: "erc721_transfers", key: ["chain_id", "block_hash", "log_index"], doc: "One row an ERC-721 transfer.",
        fields: token + parties + [Field("token_id", .uint256, "Id of the token.")] + place)

    /// `TransferSingle` and `TransferBatch`; one row an item of a batch.
    public static let erc1155 = Schema(
        name: "erc1155_transfers", key: ["chain_id", "block_hash", "log_index", "batch_index"],
        doc: "One row an item of an ERC-1155 transfer.",
        fields: token + [Field("operator_address", .fixedBytes(20), content: .repeating, "Who made the transfer.")] + parties + [
            Field("token_id", .uint256, "Id of the token."),
            Field("value", .uint256, "Amount of it."),
            Field("batch_index", .int64, "Place in the batch, from 0; 0 for a single transfer."),
        ] + place)
}
