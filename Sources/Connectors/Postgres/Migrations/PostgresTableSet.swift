/// Tables that can be asked for by name, and that `sluice migrate` makes.
public enum PostgresTableSet: String, Sendable, Hashable, CaseIterable {
    /// Fees, blocks, relays, rollups and the health of a network, as measured at moments: cut by time.
    case networkMetrics = "network_metrics"
    /// Blocks and prices as providers hand them over, and which of their files were taken.
    case providerImports = "provider_imports"

    /// The tables of `network_metrics`, all cut by their column `timestamp`.
    static let metrics = [
        "block_metrics", "gas_metrics", "mempool_metrics", "network_health_scores", "mev_metrics", "mev_boost_stats", "mev_block_analysis",
        "l2_network_metrics", "l2_transaction_costs", "l2_tvl_metrics", "ml_alerts",
    ]
    /// The tables of `provider_imports`.
    static let imports = [
        "eth_blocks", "eth_transactions", "eth_transaction_access_list", "eth_withdrawals", "eth_block_import_status", "s3_import_status",
        "s3_to_db_import_status", "provider_to_s3_import_status", "binance_ticker_metadata", "binance_klines_prices",
    ]

    /// The set's tables.
    var tables: [String] { self == .networkMetrics ? Self.metrics : Self.imports }

    /// By what they are cut.
    static let metricsTime = "timestamp"

    /// How they are cut where `time_series` does not say: chunks of an hour, compressed after a week, dropped after 90 days.
    static let metricsSeries = TimeSeriesOptions(chunkSeconds: 3600, compressAfterSeconds: 7 * 86_400, dropAfterSeconds: 90 * 86_400)

    /// What is summed up of them.
    static let metricsRollups: [TimeSeriesOptions.Rollup] = [
        .init(
            name: "gas_metrics_5min", table: "gas_metrics", bucketSeconds: 300,
            columns: [.init("gas_price_gwei", [.avg, .min, .max]), .init("pending_transactions", [.avg, .max])]),
        .init(
            name: "l2_costs_hourly", table: "l2_transaction_costs", bucketSeconds: 3600,
            columns: [
                .init("erc20_transfer_cost_usd", [.avg, .min, .max]), .init("eth_transfer_cost_usd", [.avg, .min, .max]),
                .init("nft_mint_cost_usd", [.avg, .min, .max]), .init("uniswap_swap_cost_usd", [.avg, .min, .max]),
            ]),
    ]
}

extension PostgresSinkOptions {
    /// How the tables of `network_metrics` are cut; nil when they are not asked for. A rollup that the configuration calls by a name of the
    /// set's takes its place.
    var metricsSeries: TimeSeriesOptions? {
        guard tableSets.contains(.networkMetrics) else { return nil }
        var series = timeSeries ?? PostgresTableSet.metricsSeries
        let own = series.rollups.filter { PostgresTableSet.metrics.contains($0.table) }
        series.rollups = own + PostgresTableSet.metricsRollups.filter { rollup in !own.contains { $0.name == rollup.name } }
        return series
    }
}
