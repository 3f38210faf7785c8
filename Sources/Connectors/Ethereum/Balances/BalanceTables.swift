public import SluiceCore

/// The tables of native balances.
public enum BalanceTables {
    /// One row an address and sampled block.
    public static let balances = Schema(
        name: "account_balances", key: ["chain_id", "block_hash", "address"],
        doc: "One row an address and sampled block: what the address has in the chain's own coin.",
        fields: [
            Field("address", .fixedBytes(20), content: .repeating, "The account."),
            Field("balance", .uint256, "Wei that it has after the block."),
            Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
            Field("block_number", .int64, "Height of the block."),
            Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])

    /// The same rows on their way from the oracle to the pipes of all pipelines that ask for balances, and among them what could not be
    /// read, which the pipes report. No sink ever sees this form.
    static let read = Schema(
        name: balances.name, key: [], doc: "Balances, who asked for them, and what could not be read.",
        fields: balances.fields.map { Field($0.name, $0.type, nullable: true, $0.doc) } + [
            Field("pipeline", .string, "Who asked."),
            Field("reason", .string, nullable: true, "A stable code; null in a row that was read."),
            Field("row", .string, nullable: true, "What names it."),
            Field("message", .string, nullable: true, "What went wrong, in words."),
            Field("payload", .json, nullable: true, "What it was about."),
        ])
}
