import SluiceCore
import SluiceFormats

/// What is taken from the replies about a block, as read plans. Field names are those of the Ethereum JSON-RPC specification
/// (`ethereum/execution-apis`); what is unknown goes to `extra`, so that rollups and later forks lose nothing.
enum BlockPlans {
    private static func value(_ key: String, _ column: String, _ type: LogicalType, nullable: Bool = false) -> JSONKey {
        JSONKey(key, .value(column, type), nullable: nullable)
    }

    private static let headerKeys: [JSONKey] = [
        value("number", "number", .int64),
        value("hash", "hash", .fixedBytes(32)),
        value("parentHash", "parent_hash", .fixedBytes(32)),
        value("nonce", "nonce", .fixedBytes(8), nullable: true),
        value("sha3Uncles", "sha3_uncles", .fixedBytes(32), nullable: true),
        value("logsBloom", "logs_bloom", .fixedBytes(256), nullable: true),
        value("transactionsRoot", "transactions_root", .fixedBytes(32)),
        value("stateRoot", "state_root", .fixedBytes(32)),
        value("receiptsRoot", "receipts_root", .fixedBytes(32)),
        value("miner", "miner", .fixedBytes(20)),
        value("difficulty", "difficulty", .decimal, nullable: true),
        value("totalDifficulty", "total_difficulty", .decimal, nullable: true),
        value("size", "size", .int64, nullable: true),
        value("extraData", "extra_data", .bytes),
        value("gasLimit", "gas_limit", .int64),
        value("gasUsed", "gas_used", .int64),
        value("timestamp", "timestamp", .timestamp),
        value("baseFeePerGas", "base_fee_per_gas", .decimal, nullable: true),
        value("withdrawalsRoot", "withdrawals_root", .fixedBytes(32), nullable: true),
        value("blobGasUsed", "blob_gas_used", .int64, nullable: true),
        value("excessBlobGas", "excess_blob_gas", .int64, nullable: true),
        value("parentBeaconBlockRoot", "parent_beacon_block_root", .fixedBytes(32), nullable: true),
        value("requestsHash", "requests_hash", .fixedBytes(32), nullable: true),
        value("mixHash", "mix_hash", .fixedBytes(32), nullable: true),
        JSONKey("withdrawals", .rows(child: 1, count: nil), nullable: true),
        JSONKey("uncles", .skip),
    ]

    /// A block without its transactions: children 1 withdrawals.
    static let header = JSONPlan(
        name: "block", keys: headerKeys + [JSONKey("transactions", .count("transaction_count"))], extra: "extra")

    /// A block with its transactions: children 1 withdrawals, 2 transactions.
    static let block = JSONPlan(
        name: "block", keys: headerKeys + [JSONKey("transactions", .rows(child: 2, count: "transaction_count"))], extra: "extra")

    static let withdrawal = JSONPlan(
        name: "withdrawal",
        keys: [
            value("index", "index", .int64), value("validatorIndex", "validator_index", .int64),
            value("address", "address", .fixedBytes(20)), value("amount", "amount", .uint64),
        ])

    static let transaction = JSONPlan(
        name: "transaction",
        keys: [
            value("hash", "hash", .fixedBytes(32)),
            value("nonce", "nonce", .int64),
            value("blockHash", "block_hash", .fixedBytes(32)),
            value("blockNumber", "block_number", .int64),
            value("transactionIndex", "transaction_index", .int64),
            value("from", "from_address", .fixedBytes(20)),
            value("to", "to_address", .fixedBytes(20), nullable: true),
            value("value", "value", .uint256),
            value("gas", "gas", .int64),
            value("gasPrice", "gas_price", .decimal, nullable: true),
            value("input", "input", .bytes),
            value("maxFeePerGas", "max_fee_per_gas", .decimal, nullable: true),
            value("maxPriorityFeePerGas", "max_priority_fee_per_gas", .decimal, nullable: true),
            value("type", "transaction_type", .int64, nullable: true),
            value("maxFeePerBlobGas", "max_fee_per_blob_gas", .decimal, nullable: true),
            value("blobVersionedHashes", "blob_versioned_hashes", .json, nullable: true),
            value("accessList", "access_list", .json, nullable: true),
            value("authorizationList", "authorization_list", .json, nullable: true),
            // The signature proves the sender, whom the endpoint names; ethereum-etl keeps neither.
            JSONKey("v", .skip), JSONKey("r", .skip), JSONKey("s", .skip), JSONKey("yParity", .skip), JSONKey("chainId", .skip),
            JSONKey("blockTimestamp", .skip),
        ], extra: "extra")

    /// Children 1 logs.
    static let receipt = JSONPlan(
        name: "receipt",
        keys: [
            value("transactionHash", "transaction_hash", .fixedBytes(32)),
            value("transactionIndex", "transaction_index", .int64),
            value("blockHash", "block_hash", .fixedBytes(32)),
            value("blockNumber", "block_number", .int64),
            value("cumulativeGasUsed", "cumulative_gas_used", .int64),
            value("gasUsed", "gas_used", .int64),
            value("contractAddress", "contract_address", .fixedBytes(20), nullable: true),
            value("root", "root", .fixedBytes(32), nullable: true),
            value("status", "status", .int64, nullable: true),
            value("effectiveGasPrice", "effective_gas_price", .decimal, nullable: true),
            value("blobGasPrice", "blob_gas_price", .decimal, nullable: true),
            value("blobGasUsed", "blob_gas_used", .int64, nullable: true),
            value("logsBloom", "logs_bloom", .fixedBytes(256), nullable: true),
            value("from", "from_address", .fixedBytes(20), nullable: true),
            value("to", "to_address", .fixedBytes(20), nullable: true),
            value("type", "transaction_type", .int64, nullable: true),
            JSONKey("logs", .rows(child: 1, count: nil)),
        ], extra: "extra")

    static let log = JSONPlan(
        name: "log",
        keys: [
            value("address", "address", .fixedBytes(20)),
            JSONKey("topics", .spread(["topic0", "topic1", "topic2", "topic3"], width: 32)),
            value("data", "data", .bytes),
            value("blockHash", "block_hash", .fixedBytes(32)),
            value("blockNumber", "block_number", .int64),
            value("transactionHash", "transaction_hash", .fixedBytes(32)),
            value("transactionIndex", "transaction_index", .int64),
            value("logIndex", "log_index", .int64),
            value("removed", "removed", .bool, nullable: true),
            JSONKey("blockTimestamp", .skip),
        ], parent: "receipt", extra: "extra")
}
