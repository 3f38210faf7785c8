// The tables of Avalanche. Rows that come of blocks are sorted as blocks come, and told apart by their place in the chain: an `id` of 64 bits tells two
// rows apart only nearly always.
extension ClickHouseMigrations {
    static let chain = ClickHouseScript(
        2, "avalanche_chain", set: .avalanche,
        [
            .init(
                "chains", key: ["chain_id"],
                [
                    ("chain_id", .uint64), ("name", .text), ("description", .text), ("rpc_url", .text), ("ws_url", .text),
                    ("explorer_url", .text), ("vm_info", .json), ("native_token", .json), ("features", .json), ("status", .word),
                    ("created_at", .moment), ("updated_at", .moment),
                ]),
            .init(
                "blocks", key: ["chain_id", "block_number"], time: "timestamp",
                [
                    ("block_number", .uint64), ("chain_id", .uint64), ("block_hash", .text), ("parent_hash", .text),
                    ("timestamp", .seconds),
                    ("tx_count", .uint32), ("gas_used", .uint64), ("gas_limit", .uint64), ("base_fee_per_gas", .uint64),
                    ("tps_avg", .float32), ("tps_peak", .float32), ("created_at", .moment),
                ]),
            .init(
                "transactions", key: ["chain_id", "block_number", "tx_hash"], time: "block_timestamp",
                [
                    ("tx_hash", .text), ("block_number", .uint64), ("chain_id", .uint64), ("index_in_block", .uint32),
                    ("from_address", .text), ("to_address", .optionalText), ("value_raw", .uint256), ("gas", .uint64),
                    ("gas_price", .uint64), ("status", .uint8), ("tx_type", .uint8), ("block_timestamp", .seconds), ("created_at", .moment),
                ]),
            .init(
                "internal_transactions", key: ["chain_id", "block_number", "parent_tx_hash", "trace_id"], time: "block_timestamp",
                [
                    ("id", .id), ("parent_tx_hash", .text), ("trace_id", .text), ("from_address", .text), ("to_address", .optionalText),
                    ("value_raw", .uint256), ("call_type", .word), ("chain_id", .uint64), ("block_number", .uint64),
                    ("block_timestamp", .seconds), ("created_at", .moment),
                ]),
            .init(
                "logs", key: ["chain_id", "block_number", "tx_hash", "log_index"], time: "block_timestamp",
                [
                    ("id", .id), ("tx_hash", .text), ("log_index", .uint32), ("address", .text), ("topic0", .optionalText),
                    ("topic1", .optionalText), ("topic2", .optionalText), ("topic3", .optionalText), ("data", .text), ("removed", .uint8),
                    ("chain_id", .uint64), ("block_number", .uint64), ("block_timestamp", .seconds),
                ]),
        ])

    /// A table of transfers: `own` is what is moved; `batch` where one log moves several.
    private static func transfers(_ name: String, batch: Bool = false, _ own: [(String, ClickHouseSetTable.Kind)]) -> ClickHouseSetTable {
        ClickHouseSetTable(
            name, key: ["chain_id", "block_number", "tx_hash", "log_index"] + (batch ? ["batch_index"] : []), time: "block_timestamp",
            [("id", .id), ("tx_hash", .text), ("log_id", .logID), ("token_address", .text), ("from_address", .text), ("to_address", .text)]
                + own + (batch ? [("batch_index", .uint32)] : [])
                + [("chain_id", .uint64), ("block_number", .uint64), ("log_index", .uint32), ("block_timestamp", .seconds)])
    }

    static let transfers = ClickHouseScript(
        3, "avalanche_transfers", set: .avalanche,
        [
            .init(
                "tokens", key: ["chain_id", "token_address"],
                [
                    ("token_address", .text), ("chain_id", .uint64), ("name", .text), ("symbol", .text), ("decimals", .uint8),
                    ("logo_uri", .text), ("price_usd", .optionalPrice),
                ]),
            transfers("erc20_transfers", [("amount_raw", .uint256)]), transfers("erc721_transfers", [("token_id", .uint256)]),
            transfers("erc1155_transfers", batch: true, [("operator", .text), ("token_id", .uint256), ("amount_raw", .uint256)]),
        ])

    static let network = ClickHouseScript(
        4, "avalanche_network", set: .avalanche,
        [
            .init(
                "validators", key: ["chain_id", "node_id", "start_time"],
                [
                    ("node_id", .text), ("chain_id", .uint64), ("start_time", .uint64), ("end_time", .uint64),
                    ("stake_amount_raw", .uint256), ("uptime_percent", .float32),
                ]),
            .init(
                "delegators", key: ["id"],
                [
                    ("id", .text), ("delegator_addr", .text), ("node_id", .text), ("stake_amount_raw", .uint256), ("start_time", .uint64),
                    ("end_time", .uint64), ("reward_address", .text),
                ]),
            .init("subnets", key: ["subnet_id"], [("subnet_id", .text), ("chain_id", .uint64), ("created_at", .moment)]),
            .init(
                "blockchains", key: ["blockchain_id"],
                [("blockchain_id", .text), ("subnet_id", .text), ("vm_id", .text), ("name", .text), ("created_at", .moment)]),
            .init(
                "teleporter_tx", key: ["id"],
                [
                    ("id", .text), ("source_chain", .text), ("dest_chain", .text), ("asset_address", .text), ("amount_raw", .uint256),
                    ("sender", .text), ("recipient", .text), ("status", .word), ("created_at", .moment),
                ]),
        ])

    private static func daily(_ name: String, _ own: [(String, ClickHouseSetTable.Kind)]) -> ClickHouseSetTable {
        ClickHouseSetTable(name, key: ["chain_id", "day"], time: "day", [("chain_id", .uint64), ("day", .date)] + own)
    }

    static let metrics = ClickHouseScript(
        5, "avalanche_metrics", set: .avalanche,
        [
            daily("staking_metrics", [("validator_count", .uint64), ("delegator_count", .uint64), ("total_staked_raw", .uint256)]),
            daily(
                "activity_metrics",
                [
                    ("active_addresses", .uint64), ("active_senders", .uint64), ("tx_count", .uint64), ("new_addresses", .uint64),
                    ("unique_contracts", .uint64),
                ]),
            daily(
                "performance_metrics",
                [
                    ("tps_avg", .float64), ("tps_max", .float64), ("gps_avg", .float64), ("gps_max", .float64), ("block_time_ms", .float64),
                    ("latency_ms", .float64),
                ]),
            daily(
                "gas_metrics",
                [
                    ("gas_used_raw", .uint256), ("gas_price_avg", .float64), ("gas_price_max", .float64), ("fees_paid_raw", .uint256),
                    ("gas_limit_avg", .float64), ("gas_efficiency", .float64),
                ]),
            .init(
                "cumulative_metrics", key: ["chain_id"],
                [
                    ("chain_id", .uint64), ("total_tx", .uint64), ("total_addresses", .uint64), ("total_contracts", .uint64),
                    ("total_tokens", .uint64), ("total_gas_used_raw", .uint256), ("total_fees_raw", .uint256), ("updated_at", .moment),
                ]),
        ])
}
