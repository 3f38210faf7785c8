import SluiceCore
import Testing

@testable import PostgresConnector

/// What migrations say, without a server.
@Suite struct MigrationTextTests {
    private func script(_ script: PostgresScript, _ edition: TimescaleEdition, _ options: PostgresSinkOptions) throws -> MigrationScript {
        let series = try #require(options.metricsSeries)
        return script.rendered(schema: options.schema, series: TimeSeriesTables(options: series, edition: edition, schema: options.schema))
    }

    private func options(_ timeSeries: TimeSeriesOptions? = nil) -> PostgresSinkOptions {
        PostgresSinkOptions(url: "postgresql://h/d", shown: "h", schema: "s", timeSeries: timeSeries, tableSets: [.networkMetrics])
    }

    @Test("published migrations are as they were: what must change is a new one at the end")
    func published() {
        let known = PostgresMigrations.all.map { "\($0.migration.number) \($0.migration.name) \($0.migration.checksum)" }
        #expect(
            known == [
                "1 bookkeeping 426c7e57b52ab2834bc206a7e3bb88a7", "2 network_metrics b30c28aae0928d8a4377eea94dd4c2c4",
                "3 network_metrics_rollups 10056e537cb032e0c381f04b8aea375f", "4 provider_imports_chain d0cf09d0be12739bc2b2f2495adac1c3",
                "5 provider_imports_files 57928b6a6dad31e389c5014bd2b68367",
            ])
    }

    @Test("the sets' tables are those that their migrations make")
    func tables() {
        for set in PostgresTableSet.allCases {
            let made = PostgresMigrations.all.filter { $0.migration.set == set.rawValue }.flatMap(\.migration.definition).compactMap {
                line in
                line.hasPrefix("CREATE TABLE {schema}.") ? line.dropFirst(22).split(separator: " ").first.map(String.init) : nil
            }
            #expect(made.sorted() == set.tables.sorted() && Set(made).count == made.count)
        }
    }

    @Test("the full edition is asked for hypertables, compression, retention and continuous aggregates")
    func full() throws {
        let tables = try script(PostgresMigrations.networkMetrics, .full, options())
        #expect(!tables.statements.contains { $0.contains("PARTITION BY") })
        for table in PostgresTableSet.metrics {
            let at = try #require(tables.statements.firstIndex { $0.hasPrefix("CREATE TABLE \"s\".\(table) ") })
            let rest = tables.statements[(at + 1)...].drop { $0.hasPrefix("CREATE INDEX \(table)_") }.prefix(4)
            #expect(
                Array(rest) == [
                    "SELECT create_hypertable('\"s\".\"\(table)\"', by_range('timestamp', INTERVAL '3600 seconds'), create_default_indexes => false)",
                    "ALTER TABLE \"s\".\"\(table)\" SET (timescaledb.compress, timescaledb.compress_segmentby = 'chain_id', timescaledb.compress_orderby = '\"timestamp\" DESC')",
                    "SELECT add_compression_policy('\"s\".\"\(table)\"', INTERVAL '604800 seconds', if_not_exists => true)",
                    "SELECT add_retention_policy('\"s\".\"\(table)\"', INTERVAL '7776000 seconds', if_not_exists => true)",
                ])
        }
        #expect(
            tables.notes == [
                "hypertables with chunks of 1h", "chunks are compressed after 7d by a policy", "chunks are dropped after 90d by a policy",
            ])
        let costs = ["erc20_transfer", "eth_transfer", "nft_mint", "uniswap_swap"].map { cost in
            let column = "\"\(cost)_cost_usd\""
            return ["avg", "min", "max"].map { "\($0)(\(column)) AS \"\(cost)_cost_usd_\($0)\"" }.joined(separator: ", ")
        }
        let fees =
            "avg(\"gas_price_gwei\") AS \"gas_price_gwei_avg\", min(\"gas_price_gwei\") AS \"gas_price_gwei_min\", "
            + "max(\"gas_price_gwei\") AS \"gas_price_gwei_max\", avg(\"pending_transactions\") AS \"pending_transactions_avg\", "
            + "max(\"pending_transactions\") AS \"pending_transactions_max\""
        let expected =
            aggregate("gas_metrics_5min", of: "gas_metrics", seconds: 300, fees)
            + aggregate("l2_costs_hourly", of: "l2_transaction_costs", seconds: 3600, costs.joined(separator: ", "))
        #expect(try script(PostgresMigrations.networkMetricsRollups, .full, options()).statements == expected)
    }

    private func aggregate(_ name: String, of table: String, seconds: Int, _ values: String) -> [String] {
        let bucket = "INTERVAL '\(seconds) seconds'"
        let view =
            "CREATE MATERIALIZED VIEW IF NOT EXISTS \"s\".\"\(name)\" WITH (timescaledb.continuous) AS SELECT time_bucket(\(bucket), "
            + "\"timestamp\") AS bucket, chain_id, \(values), count(*) AS rows FROM \"s\".\"\(table)\" GROUP BY 1, 2 WITH NO DATA"
        let policy =
            "SELECT add_continuous_aggregate_policy('\"s\".\"\(name)\"', start_offset => INTERVAL '86400 seconds', "
            + "end_offset => \(bucket), schedule_interval => \(bucket), if_not_exists => true)"
        return [view, policy]
    }

    @Test(
        "a plain server cuts tables by itself, one of the Apache edition makes hypertables, and no text depends on that",
        arguments: [TimescaleEdition.plain, .apache])
    func others(_ edition: TimescaleEdition) throws {
        let tables = try script(PostgresMigrations.networkMetrics, edition, options())
        let made = tables.statements.filter { $0.hasPrefix("CREATE TABLE") }
        #expect(made.count == 11 && made.allSatisfy { $0.hasSuffix(" PARTITION BY RANGE (\"timestamp\")") == (edition == .plain) })
        #expect(tables.statements.count { $0.contains("create_hypertable") } == (edition == .plain ? 0 : 11))
        #expect(!tables.statements.contains { $0.contains("policy") || $0.contains("compress") })
        #expect(
            try script(PostgresMigrations.networkMetricsRollups, edition, options()).statements.allSatisfy {
                $0.hasPrefix("CREATE TABLE IF NOT EXISTS")
            })
    }

    @Test("time_series says how the set is cut, and a rollup of the same name takes the place of the set's")
    func configured() throws {
        let own = TimeSeriesOptions(
            chunkSeconds: 86_400, dropAfterSeconds: 30 * 86_400,
            rollups: [
                .init(
                    name: "l2_costs_hourly", table: "l2_transaction_costs", bucketSeconds: 7200,
                    columns: [.init("nft_mint_cost_usd", [.max])]),
                .init(name: "fees", table: "blocks", bucketSeconds: 60, columns: []),
            ])
        let options = options(own)
        #expect(try #require(options.metricsSeries).rollups.map(\.name) == ["l2_costs_hourly", "gas_metrics_5min"])
        let full = try script(PostgresMigrations.networkMetrics, .full, options)
        #expect(
            full.statements.contains { $0.contains("INTERVAL '86400 seconds'") } && !full.statements.contains { $0.contains("compress") })
        let rollups = try script(PostgresMigrations.networkMetricsRollups, .full, options).statements
        #expect(
            rollups.contains {
                $0.contains("time_bucket(INTERVAL '7200 seconds'") && $0.contains("\"nft_mint_cost_usd_max\"") && !$0.contains("avg")
            })
        #expect(PostgresSinkOptions(url: "postgresql://h/d", shown: "h", timeSeries: own).metricsSeries == nil)
    }
}
