/// The tables of the sets and their columns, as they were asked for: written down beside the program's own texts. Each of the first set has
/// `id` and `timestamp` as well.
enum MigrationTables {
    static let networkMetrics: [String: String] = [
        "block_metrics": "block_number block_timestamp gas_used gas_limit transaction_count base_fee_per_gas difficulty",
        "gas_metrics":
            "gas_price_wei gas_price_gwei pending_transactions gas_price_p25 gas_price_p50 gas_price_p75 gas_price_p95",
        "mempool_metrics": "pending_count avg_gas_price_gwei min_gas_price_gwei max_gas_price_gwei",
        "network_health_scores":
            "overall_score gas_score congestion_score block_time_score calculation_version confidence_level health_status anomalies_detected recommendations gas_efficiency network_stability mev_fairness block_production mempool_health validator_performance",
        "mev_metrics":
            "block_number slot total_mev_revenue builder_pubkey proposer_fee_recipient gas_used gas_limit gas_utilization mev_gas_price_gwei relay_source block_hash parent_hash",
        "mev_boost_stats": "total_mev_revenue_eth average_block_value_eth block_count top_builder",
        "mev_block_analysis":
            "block_number slot value_eth gas_efficiency mev_intensity likely_mev_type builder_pubkey relay_source",
        "l2_network_metrics":
            "network chain_id block_number gas_price_wei gas_price_gwei transaction_count block_time l1_gas_price_gwei gas_savings_percent",
        "l2_transaction_costs":
            "network eth_transfer_cost_usd erc20_transfer_cost_usd uniswap_swap_cost_usd nft_mint_cost_usd",
        "l2_tvl_metrics": "network tvl_usd tvl_eth daily_tps market_share_percent",
        "ml_alerts": "alert_type severity metric_name metric_value predicted_value message",
    ]

    static let providerImports: [String: String] = [
        "eth_blocks":
            "id jsonrpc block_number basefeepergas blobgasused difficulty excessblobgas extradata gaslimit gasused hash logsbloom miner mixhash nonce number parentbeaconblockroot parenthash receiptsroot sha3uncles size stateroot timestamp totaldifficulty transactionsroot withdrawalsroot created_at",
        "eth_transactions":
            "hash block_number block_id blockhash chainid from_address to_address gas gasprice input maxfeepergas maxpriorityfeepergas nonce r s v yparity transactionindex type value",
        "eth_transaction_access_list": "id transaction_hash address storagekeys",
        "eth_withdrawals": "id block_number address amount index validatorindex",
        "eth_block_import_status": "id block_number",
        "s3_import_status": "data_source file_modified_date",
        "s3_to_db_import_status": "data_source file_modified_date",
        "provider_to_s3_import_status": "data_source symbol kline_open_time",
        "binance_ticker_metadata": "symbol",
        "binance_klines_prices": "symbol kline_open_time",
    ]

    /// Columns that an index must begin with, in order.
    static let indexes: [(table: String, columns: String)] =
        networkMetrics.keys.sorted().map { ($0, "timestamp") } + [
            ("block_metrics", "timestamp, block_number"), ("mev_metrics", "timestamp, block_number"), ("mev_metrics", "slot"),
            ("mev_metrics", "builder_pubkey"), ("mev_block_analysis", "slot"), ("mev_block_analysis", "builder_pubkey"),
            ("l2_network_metrics", "network, timestamp"), ("l2_transaction_costs", "network, timestamp"),
            ("l2_tvl_metrics", "network, timestamp"), ("eth_block_import_status", "block_number"),
        ]
}
