// What subgraphs tell of exchanges and bridges, and what was taken of files and entities.
extension ClickHouseMigrations {
    static let exchanges = ClickHouseScript(
        6, "avalanche_exchanges", set: .avalanche,
        [
            .init(
                "dex_factories", key: ["dex_name", "id"],
                [
                    ("id", .text), ("dex_name", .word), ("chain_id", .uint64), ("pool_count", .uint64), ("tx_count", .uint64),
                    ("total_volume_usd", .float64), ("total_fees_usd", .float64), ("tvl_usd", .float64), ("tvl_usd_untracked", .float64),
                    ("owner", .text),
                ]),
            .init(
                "pools", key: ["dex_name", "pool_id"],
                [
                    ("pool_id", .text), ("dex_name", .word), ("chain_id", .uint64), ("token0", .text), ("token1", .text),
                    ("fee_tier", .uint32), ("tvl_token0_raw", .uint256), ("tvl_token1_raw", .uint256), ("tvl_usd", .float64),
                    ("volume_usd", .float64),
                ]),
            .init(
                "dex_swaps", key: ["dex_name", "id"], time: "block_timestamp",
                [
                    ("id", .text), ("dex_name", .word), ("tx_hash", .text), ("block_timestamp", .seconds), ("sender", .text),
                    ("origin", .text), ("recipient", .text), ("amount_usd", .float64), ("sqrt_price_x96", .uint256), ("tick", .int64),
                    ("log_index", .uint32),
                ]),
            .init(
                "price_bundles", key: ["chain_id", "bundle_id", "block_timestamp"], time: "block_timestamp",
                [
                    ("bundle_id", .text), ("chain_id", .uint64), ("native_price_usd", .float64), ("eth_price_usd", .float64),
                    ("block_timestamp", .seconds),
                ]),
            .init(
                "bridge_vaults", key: ["chain_id", "vault_id"],
                [
                    ("vault_id", .text), ("chain_id", .uint64), ("default_alien_deposit_fee", .uint256),
                    ("default_alien_withdraw_fee", .uint256), ("default_native_deposit_fee", .uint256),
                    ("default_native_withdraw_fee", .uint256),
                ]),
            .init(
                "bridge_transactions", key: ["chain_id", "tx_id", "log_index"], time: "timestamp",
                [
                    ("tx_id", .text), ("chain_id", .uint64), ("block_number", .uint64), ("event", .word), ("from_address", .text),
                    ("to_address", .text), ("value_raw", .uint256), ("gas_sent_raw", .uint256), ("gas_price_raw", .uint256),
                    ("gas_limit_raw", .uint256), ("timestamp", .seconds), ("log_index", .uint32),
                ]),
            .init(
                "dex_tokens", key: ["token_address", "dex_name"],
                [
                    ("token_address", .text), ("dex_name", .word), ("activation_block", .uint64), ("vault_id", .text),
                    ("blacklisted", .uint8),
                    ("deposit_fee", .uint256), ("is_native", .uint8), ("total_supply_raw", .uint256), ("tvl_raw", .uint256),
                    ("tvl_usd", .float64), ("tx_count", .uint64), ("volume_raw", .uint256), ("volume_usd", .float64),
                    ("untracked_volume_usd", .float64), ("fees_usd", .float64), ("pool_count", .uint64), ("derived_native", .float64),
                    ("derived_eth", .float64), ("tvl_usd_untracked", .float64),
                ]),
        ])

    static let entities = ClickHouseScript(
        7, "avalanche_entities", set: .avalanche,
        [
            .init(
                "raw_entities", key: ["deployment", "entity_type", "id", "block_ts"], time: "block_ts",
                [
                    ("id", .text), ("entity_type", .word), ("deployment", .text), ("block_ts", .seconds), ("cursor", .text),
                    ("data", .json),
                    ("metadata", .json),
                ]),
            .init("loaded_files", key: ["file_name"], [("file_name", .text), ("loaded_at", .moment)]),
        ])
}
