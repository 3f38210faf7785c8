// The tables of what is measured of networks. Each has an id, the chain, the block at which it was measured, by which rows are undone, and the moment
// that it is about (the time of the block or slot, or when it was asked). The moment is in the key: a server that cuts tables by time wants that. A
// measurement that is loaded again is the same row.
extension PostgresMigrations {
    static let networkMetrics = PostgresScript(
        2, "network_metrics", set: .networkMetrics, blocksAndFees + relays + rollupNetworks + alerts)

    static let networkMetricsRollups = PostgresScript(
        3, "network_metrics_rollups", set: .networkMetrics, PostgresTableSet.metricsRollups.map { .rollup($0) })

    /// - Parameters:
    ///   - chain: the column's default; nil: rows must say it.
    ///   - columns: what is special about the table.
    ///   - key: what tells rows apart, without the moment.
    ///   - indexes: name and columns of further ones.
    private static func table(
        _ name: String, chain: Int? = 1, key: [String], indexes: [(name: String, columns: String)] = [], _ columns: [String]
    ) -> [PostgresStep] {
        let common = [
            "id uuid NOT NULL DEFAULT gen_random_uuid()", "\"timestamp\" timestamp with time zone NOT NULL",
            "chain_id bigint NOT NULL" + (chain.map { " DEFAULT \($0)" } ?? ""),
        ]
        let keys = [
            "PRIMARY KEY (id, \"timestamp\")",
            "CONSTRAINT \(name)_once UNIQUE (\((key + ["\"timestamp\""]).joined(separator: ", ")))",
        ]
        let block = columns.contains { $0.hasPrefix("block_number ") } ? [] : ["block_number bigint"]
        let all = (common + block + columns + keys).joined(separator: ",\n  ")
        let indexes = [(name: "timestamp", columns: "\"timestamp\" DESC")] + indexes
        return [.sql("CREATE TABLE {schema}.\(name) (\n  \(all)){cut}")]
            + indexes.map { .sql("CREATE INDEX \(name)_\($0.name) ON {schema}.\(name) (\($0.columns))") } + [.cut(name)]
    }

    private static let byBlock = (name: "timestamp_block", columns: "\"timestamp\", block_number")
    private static let bySlot = (name: "slot", columns: "slot")
    private static let byBuilder = (name: "builder", columns: "builder_pubkey")
    private static let byNetwork = (name: "network", columns: "network, \"timestamp\"")

    private static let blocksAndFees =
        table(
            "block_metrics", key: ["chain_id", "block_number"], indexes: [byBlock],
            [
                "block_number bigint NOT NULL", "block_timestamp timestamp with time zone", "gas_used bigint NOT NULL",
                "gas_limit bigint NOT NULL", "transaction_count bigint NOT NULL", "base_fee_per_gas numeric(38,0)",
                "difficulty numeric(78,0)",
            ])
        + table(
            "gas_metrics", key: ["chain_id"],
            [
                "gas_price_wei numeric(78,0) NOT NULL", "gas_price_gwei double precision NOT NULL", "pending_transactions bigint",
                "gas_price_p25 double precision", "gas_price_p50 double precision", "gas_price_p75 double precision",
                "gas_price_p95 double precision",
            ])
        + table(
            "mempool_metrics", key: ["chain_id"],
            [
                "pending_count bigint NOT NULL", "avg_gas_price_gwei double precision", "min_gas_price_gwei double precision",
                "max_gas_price_gwei double precision",
            ])
        + table(
            "network_health_scores", key: ["chain_id", "calculation_version"],
            [
                "overall_score double precision NOT NULL", "gas_score double precision", "congestion_score double precision",
                "block_time_score double precision", "calculation_version text NOT NULL DEFAULT '1.0'", "gas_efficiency double precision",
                "network_stability double precision", "mev_fairness double precision", "block_production double precision",
                "mempool_health double precision", "validator_performance double precision", "confidence_level double precision",
                "health_status text", "anomalies_detected bigint", "recommendations json",
            ])

    private static let relays =
        table(
            "mev_metrics", key: ["chain_id", "slot", "block_hash"], indexes: [byBlock, bySlot, byBuilder],
            [
                "block_number bigint NOT NULL", "slot bigint NOT NULL", "total_mev_revenue double precision NOT NULL",
                "builder_pubkey text",
                "proposer_fee_recipient text", "gas_used bigint", "gas_limit bigint", "gas_utilization double precision",
                "mev_gas_price_gwei double precision", "relay_source text", "block_hash text NOT NULL", "parent_hash text",
            ])
        + table(
            "mev_boost_stats", key: ["chain_id"],
            [
                "total_mev_revenue_eth double precision NOT NULL", "average_block_value_eth double precision",
                "block_count bigint NOT NULL",
                "top_builder text",
            ])
        + table(
            "mev_block_analysis", key: ["chain_id", "slot", "block_number"], indexes: [byBlock, bySlot, byBuilder],
            [
                "block_number bigint NOT NULL", "slot bigint NOT NULL", "value_eth double precision NOT NULL",
                "gas_efficiency double precision", "mev_intensity text", "likely_mev_type text", "builder_pubkey text", "relay_source text",
            ])

    private static let rollupNetworks =
        table(
            "l2_network_metrics", chain: nil, key: ["chain_id", "network"], indexes: [byBlock, byNetwork],
            [
                "network text NOT NULL", "block_number bigint", "gas_price_wei numeric(78,0)", "gas_price_gwei double precision",
                "transaction_count bigint", "block_time double precision", "l1_gas_price_gwei double precision",
                "gas_savings_percent double precision",
            ])
        + table(
            "l2_transaction_costs", chain: nil, key: ["chain_id", "network"], indexes: [byNetwork],
            [
                "network text NOT NULL", "eth_transfer_cost_usd double precision", "erc20_transfer_cost_usd double precision",
                "uniswap_swap_cost_usd double precision", "nft_mint_cost_usd double precision",
            ])
        + table(
            "l2_tvl_metrics", chain: nil, key: ["chain_id", "network"], indexes: [byNetwork],
            [
                "network text NOT NULL", "tvl_usd double precision NOT NULL", "tvl_eth double precision", "daily_tps double precision",
                "market_share_percent double precision",
            ])

    private static let alerts = table(
        "ml_alerts", key: ["chain_id", "alert_type", "metric_name"],
        [
            "alert_type text NOT NULL", "severity text NOT NULL", "metric_name text NOT NULL", "metric_value double precision",
            "predicted_value double precision", "message text",
        ])
}
