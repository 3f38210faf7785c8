/// The tables of the set, their columns and what is in their key, as they were asked for: written down beside the program's own texts.
enum MigrationTables {
    static let avalanche: [String: (key: String, columns: String)] = [
        "chains": (
            "chain_id", "chain_id name description rpc_url ws_url explorer_url vm_info native_token features status created_at updated_at"
        ),
        "blocks": (
            "block_number",
            "block_number chain_id block_hash parent_hash timestamp tx_count gas_used gas_limit base_fee_per_gas tps_avg tps_peak created_at"
        ),
        "transactions": (
            "tx_hash",
            "tx_hash block_number chain_id index_in_block from_address to_address value_raw gas gas_price status tx_type created_at"
        ),
        "internal_transactions": (
            "trace_id", "id parent_tx_hash trace_id from_address to_address value_raw call_type created_at"
        ),
        "logs": ("log_index", "id tx_hash log_index address topic0 topic1 topic2 topic3 data removed"),
        "tokens": ("token_address", "token_address chain_id name symbol decimals logo_uri price_usd"),
        "erc20_transfers": ("log_index", "id tx_hash log_id token_address from_address to_address amount_raw"),
        "erc721_transfers": ("log_index", "id tx_hash log_id token_address from_address to_address token_id"),
        "erc1155_transfers": ("log_index", "id tx_hash log_id token_address operator from_address to_address token_id amount_raw"),
        "validators": ("node_id", "node_id chain_id start_time end_time stake_amount_raw uptime_percent"),
        "delegators": ("id", "id delegator_addr node_id stake_amount_raw start_time end_time reward_address"),
        "subnets": ("subnet_id", "subnet_id chain_id created_at"),
        "blockchains": ("blockchain_id", "blockchain_id subnet_id vm_id name created_at"),
        "teleporter_tx": ("id", "id source_chain dest_chain asset_address amount_raw sender recipient status created_at"),
        "staking_metrics": ("day", "chain_id day validator_count delegator_count total_staked_raw"),
        "activity_metrics": ("day", "chain_id day active_addresses active_senders tx_count new_addresses unique_contracts"),
        "performance_metrics": ("day", "chain_id day tps_avg tps_max gps_avg gps_max block_time_ms latency_ms"),
        "gas_metrics": (
            "day", "chain_id day gas_used_raw gas_price_avg gas_price_max fees_paid_raw gas_limit_avg gas_efficiency"
        ),
        "cumulative_metrics": (
            "chain_id",
            "chain_id total_tx total_addresses total_contracts total_tokens total_gas_used_raw total_fees_raw updated_at"
        ),
        "dex_factories": (
            "id", "id dex_name chain_id pool_count tx_count total_volume_usd total_fees_usd tvl_usd tvl_usd_untracked owner"
        ),
        "pools": (
            "pool_id", "pool_id dex_name chain_id token0 token1 fee_tier tvl_token0_raw tvl_token1_raw tvl_usd volume_usd"
        ),
        "dex_swaps": (
            "id", "id dex_name tx_hash block_timestamp sender origin recipient amount_usd sqrt_price_x96 tick log_index"
        ),
        "price_bundles": ("bundle_id", "bundle_id chain_id native_price_usd eth_price_usd block_timestamp"),
        "bridge_vaults": (
            "vault_id",
            "vault_id chain_id default_alien_deposit_fee default_alien_withdraw_fee default_native_deposit_fee default_native_withdraw_fee"
        ),
        "bridge_transactions": (
            "tx_id",
            "tx_id chain_id block_number event from_address to_address value_raw gas_sent_raw gas_price_raw gas_limit_raw timestamp log_index"
        ),
        "dex_tokens": (
            "token_address",
            "token_address dex_name activation_block vault_id blacklisted deposit_fee is_native total_supply_raw tvl_raw tvl_usd tx_count volume_raw volume_usd untracked_volume_usd fees_usd pool_count derived_native derived_eth tvl_usd_untracked"
        ),
        "raw_entities": ("id", "id entity_type deployment block_ts cursor data metadata"),
        "loaded_files": ("file_name", "file_name loaded_at"),
    ]

    /// Types that were asked for by name.
    static let types: [String: String] = [
        "blocks.block_number": "UInt64", "blocks.timestamp": "UInt64", "blocks.tx_count": "UInt32", "blocks.gas_used": "UInt64",
        "blocks.gas_limit": "UInt64", "blocks.base_fee_per_gas": "UInt64", "blocks.tps_avg": "Float32", "blocks.tps_peak": "Float32",
        "transactions.index_in_block": "UInt32", "transactions.value_raw": "UInt256", "transactions.gas": "UInt64",
        "transactions.gas_price": "UInt64", "transactions.status": "UInt8", "transactions.tx_type": "UInt8",
        "internal_transactions.id": "UInt64", "internal_transactions.value_raw": "UInt256", "logs.id": "UInt64",
        "logs.log_index": "UInt32", "logs.removed": "UInt8", "tokens.decimals": "UInt8", "tokens.price_usd": "Nullable(Decimal(38, 18))",
        "erc20_transfers.amount_raw": "UInt256", "erc721_transfers.token_id": "UInt256", "erc1155_transfers.token_id": "UInt256",
        "validators.start_time": "UInt64", "validators.end_time": "UInt64", "validators.stake_amount_raw": "UInt256",
        "validators.uptime_percent": "Float32", "teleporter_tx.amount_raw": "UInt256", "gas_metrics.day": "Date",
        "dex_swaps.sqrt_price_x96": "UInt256", "dex_swaps.tick": "Int64",
    ]
}
