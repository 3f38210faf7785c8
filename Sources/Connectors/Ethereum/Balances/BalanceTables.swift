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

    /// What could not be read, on its way from the oracle to the register's pipe, which reports it. No sink ever sees it.
    static let faults = Schema(
        name: "account_balance_faults", key: [], doc: "One row an address or block that could not be read.",
        fields: [
            Field("reason", .string, "A stable code."),
            Field("row", .string, "What names it."),
            Field("message", .string, "What went wrong, in words."),
            Field("payload", .json, "What it was about."),
            Field("block_number", .int64, "Height of the block."),
            Field("block_hash", .fixedBytes(32), "Hash of the block."),
        ])

    /// What the oracle makes.
    public static let needs = [Need(balances.name), Need(faults.name)]
}
