public import SluiceCore

/// The tables of a chain block. Names and order are those of the ethereum-etl tables in their Postgres form (a real timestamp, one
/// column a topic), followed by what Sluice adds. Prices are `decimal`, amounts `uint256`, counts `int64`: see
/// `docs/adr/0002-amounts-and-bytes-in-sql.md`.
public enum EthereumTables {
    /// One row a block.
    public static let blocks = Schema(
        name: "blocks", key: ["chain_id", "hash"], doc: "One row a block.",
        fields: [
            Field("number", .int64, "Height of the block."),
            Field("hash", .fixedBytes(32), "Hash of the block."),
            Field("parent_hash", .fixedBytes(32), "Hash of the block before."),
            Field("nonce", .fixedBytes(8), nullable: true, "Proof-of-work nonce; zero since the Merge."),
            Field("sha3_uncles", .fixedBytes(32), nullable: true, "Hash of the list of uncles."),
            Field("logs_bloom", .fixedBytes(256), nullable: true, "Bloom filter over the addresses and topics of all logs."),
            Field("transactions_root", .fixedBytes(32), "Root of the trie of transactions."),
            Field("state_root", .fixedBytes(32), "Root of the state trie after the block."),
            Field("receipts_root", .fixedBytes(32), "Root of the trie of receipts."),
            Field("miner", .fixedBytes(20), "Who receives the priority fees."),
            Field("difficulty", .decimal, nullable: true, "Difficulty; zero since the Merge."),
            Field("total_difficulty", .decimal, nullable: true, "Difficulty of the chain up to here, where the endpoint still tells."),
            Field("size", .int64, nullable: true, "Size of the block in bytes."),
            Field("extra_data", .bytes, "What the producer wrote into the block."),
            Field("gas_limit", .int64, "Most gas that the block may use."),
            Field("gas_used", .int64, "Gas that its transactions used."),
            Field("timestamp", .timestamp, "When the block was made (UTC)."),
            Field("transaction_count", .int64, "Number of transactions."),
            Field("base_fee_per_gas", .decimal, nullable: true, "Wei per gas that is burnt; since London."),
            Field("withdrawals_root", .fixedBytes(32), nullable: true, "Root of the trie of withdrawals; since Shanghai."),
            Field("blob_gas_used", .int64, nullable: true, "Blob gas used; since Cancun."),
            Field("excess_blob_gas", .int64, nullable: true, "Blob gas above target so far; since Cancun."),
            Field("parent_beacon_block_root", .fixedBytes(32), nullable: true, "Root of the parent beacon block; since Cancun."),
            Field("requests_hash", .fixedBytes(32), nullable: true, "Hash of the execution requests; since Prague."),
            Field("mix_hash", .fixedBytes(32), nullable: true, "Mix hash; the beacon chain's randomness since the Merge."),
            Field("extra", .json, nullable: true, content: .patterned, "Fields that no column takes (rollups, later forks), as they came."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])

    /// One row a transaction, with the fields of its receipt.
    public static let transactions = Schema(
        name: "transactions", key: ["chain_id", "block_hash", "transaction_index"], doc: "One row a transaction, with its receipt.",
        fields: [
            Field("hash", .fixedBytes(32), "Hash of the transaction."),
            Field("nonce", .int64, "How many transactions the sender had made before."),
            Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
            Field("block_number", .int64, "Height of the block."),
            Field("transaction_index", .int64, "Place in the block, from 0."),
            Field("from_address", .fixedBytes(20), "Sender."),
            Field("to_address", .fixedBytes(20), nullable: true, content: .repeating, "Receiver; null when a contract is created."),
            Field("value", .uint256, "Wei transferred."),
            Field("gas", .int64, "Most gas that it may use."),
            Field("gas_price", .decimal, nullable: true, "Wei per gas as stated, or as paid."),
            Field("input", .bytes, content: .patterned, "Data sent along."),
            Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
            Field("max_fee_per_gas", .decimal, nullable: true, "Most wei per gas that the sender pays; since London."),
            Field("max_priority_fee_per_gas", .decimal, nullable: true, "Most wei per gas for the producer; since London."),
            Field("transaction_type", .int64, nullable: true, "Type: 0 to 4 on Ethereum, others on rollups."),
            Field("max_fee_per_blob_gas", .decimal, nullable: true, "Most wei per blob gas; type 3."),
            Field("blob_versioned_hashes", .json, nullable: true, content: .patterned, "Hashes of the blobs; type 3."),
            Field("receipt_cumulative_gas_used", .int64, "Gas used in the block up to and with this transaction."),
            Field("receipt_gas_used", .int64, "Gas used by this transaction."),
            Field("receipt_contract_address", .fixedBytes(20), nullable: true, "The contract that was created."),
            Field("receipt_root", .fixedBytes(32), nullable: true, "State root after the transaction; before Byzantium."),
            Field("receipt_status", .int64, nullable: true, "1 success, 0 failure; since Byzantium."),
            Field("receipt_effective_gas_price", .decimal, nullable: true, "Wei per gas that was paid."),
            Field("receipt_blob_gas_price", .decimal, nullable: true, "Wei per blob gas that was paid."),
            Field("receipt_blob_gas_used", .int64, nullable: true, "Blob gas used."),
            Field("access_list", .json, nullable: true, content: .patterned, "Addresses and slots announced; types 1 to 4."),
            Field("authorization_list", .json, nullable: true, content: .patterned, "Delegations; type 4."),
            Field("extra", .json, nullable: true, content: .patterned, "Fields of the transaction that no column takes, as they came."),
            Field("receipt_extra", .json, nullable: true, content: .patterned, "Fields of the receipt that no column takes, as they came."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])

    /// One row a log.
    public static let logs = Schema(
        name: "logs", key: ["chain_id", "block_hash", "log_index"], doc: "One row an event that a contract logged.",
        fields: [
            Field("log_index", .int64, "Place in the block, from 0."),
            Field("transaction_hash", .fixedBytes(32), content: .repeating, "Hash of the transaction."),
            Field("transaction_index", .int64, "Place of the transaction in the block."),
            Field("address", .fixedBytes(20), content: .repeating, "Contract that logged."),
            Field("data", .bytes, content: .patterned, "Arguments that are not indexed."),
            Field(
                "topic0", .fixedBytes(32), nullable: true, content: .repeating,
                "First topic: hash of the event's signature, unless anonymous."),
            Field("topic1", .fixedBytes(32), nullable: true, "Second topic."),
            Field("topic2", .fixedBytes(32), nullable: true, content: .repeating, "Third topic."),
            Field("topic3", .fixedBytes(32), nullable: true, content: .repeating, "Fourth topic."),
            Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
            Field("block_number", .int64, "Height of the block."),
            Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
            Field("extra", .json, nullable: true, content: .patterned, "Fields that no column takes, as they came."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])

    /// One row a withdrawal from the beacon chain.
    public static let withdrawals = Schema(
        name: "withdrawals", key: ["chain_id", "block_hash", "index"], doc: "One row a withdrawal from the beacon chain; since Shanghai.",
        fields: [
            Field("index", .int64, "Number of the withdrawal, over the whole chain."),
            Field("validator_index", .int64, "Validator that withdraws."),
            Field("address", .fixedBytes(20), content: .repeating, "Receiver."),
            Field("amount", .uint64, "Gwei."),
            Field("block_timestamp", .timestamp, "When the block was made (UTC)."),
            Field("block_number", .int64, "Height of the block."),
            Field("block_hash", .fixedBytes(32), content: .repeating, "Hash of the block."),
            Field("chain_id", .int64, "Chain id of the network."),
        ])

    /// What the oracle itself makes.
    public static let all = [blocks, transactions, logs, withdrawals]
}
