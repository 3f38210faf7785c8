import SluiceCore
import Testing

@testable import ClickHouseConnector

/// What migrations say, without a server.
@Suite struct ClickHouseMigrationTextTests {
    private static let old = ClickHouseServer(version: "18.16.1", types: ["LowCardinality"], settings: [])
    private static let modern = ClickHouseServer(
        version: "26.9.2.1", types: ["Bool", "DateTime64", "LowCardinality", "UInt256"], settings: ["insert_deduplication_token"])

    private func made(
        _ script: ClickHouseScript, _ server: ClickHouseServer, _ adjust: (inout ClickHouseSinkOptions) -> Void = { _ in }
    ) throws -> MigrationScript {
        var options = ClickHouseSinkOptions(url: "http://here", shown: "here", database: "d")
        adjust(&options)
        return try script.rendered(ClickHouseTables(options: options, server: server))
    }

    @Test("published migrations are as they were: what must change is a new one at the end")
    func published() {
        let known = ClickHouseMigrations.all.map { "\($0.migration.number) \($0.migration.name) \($0.migration.checksum)" }
        #expect(
            known == [
                "1 bookkeeping b2bee8778c52be2fba434d8e5f9b44a3", "2 avalanche_chain 85c77d160e79924f287f1823c3952187",
                "3 avalanche_transfers c7fbcfaca707e3a510f597b545891a3d", "4 avalanche_network 77fba1ad92b99c1d8fb9547787486b9f",
                "5 avalanche_metrics be907e62931426c0b595834d24da5e61", "6 avalanche_exchanges 14fb1a2984a1080b89f076eaa8ae831a",
                "7 avalanche_entities 8a90441355f07f0237d6c8f61e2f7560",
            ])
    }

    @Test("tables use what the server has, and it is said what it has not")
    func servers() throws {
        let modern = try made(ClickHouseMigrations.metrics, Self.modern) { $0.ttl = .seconds(86_400) }
        #expect(
            modern.statements[0]
                == "CREATE TABLE IF NOT EXISTS `d`.`staking_metrics` (`chain_id` UInt64 CODEC(Delta, ZSTD(1)), `day` Date CODEC(Delta, ZSTD(1)), "
                + "`validator_count` UInt64 CODEC(Delta, ZSTD(1)), `delegator_count` UInt64 CODEC(Delta, ZSTD(1)), `total_staked_raw` UInt256 CODEC(ZSTD(1)), "
                + "`sluice_version` UInt64 CODEC(Delta, ZSTD(1)), `sluice_deleted` UInt8) ENGINE = ReplacingMergeTree(sluice_version, sluice_deleted) "
                + "PARTITION BY toYYYYMM(`day`) ORDER BY (`chain_id`, `day`) TTL `day` + toIntervalSecond(86400) SETTINGS non_replicated_deduplication_window = 100"
        )
        #expect(
            modern.statements[1]
                == "CREATE VIEW IF NOT EXISTS `d`.`staking_metrics_current` AS SELECT `chain_id`, `day`, `validator_count`, `delegator_count`, `total_staked_raw` "
                + "FROM `d`.`staking_metrics` FINAL WHERE sluice_deleted = 0")
        #expect(modern.notes == [])
        // A table without a time does not grow old.
        #expect(modern.statements.count { $0.contains(" TTL ") } == 4)
        let old = try made(ClickHouseMigrations.chain, Self.old)
        #expect(old.statements.allSatisfy { !$0.contains("CODEC") && !$0.contains("LowCardinality") && !$0.contains("UInt256") })
        #expect(
            old.statements.contains {
                $0.contains("`value_raw` FixedString(32)") && $0.contains("toYYYYMM(toDateTime(`block_timestamp`), 'UTC')")
            })
        #expect(old.notes.count == 3 && old.notes[0].contains("FixedString(32)"))
    }

    @Test("a table that is there is held against its engine, key and columns")
    func held() throws {
        let table = try #require(ClickHouseMigrations.network.tables.first { $0.name == "subnets" })
        let types = [
            "subnet_id": "String", "chain_id": "UInt64", "created_at": "DateTime('UTC')", "sluice_version": "UInt64",
            "sluice_deleted": "UInt8",
        ]
        for key in ["subnet_id", "(subnet_id)", "`subnet_id`"] {
            try table.require(engine: "ReplicatedReplacingMergeTree", key: key, types, Self.modern, in: "a place")
        }
        var wrong = types
        wrong["chain_id"] = "UInt32"
        for (engine, key, types) in [
            ("MergeTree", "subnet_id", types), ("ReplacingMergeTree", "subnet_id, chain_id", types),
            ("ReplacingMergeTree", "subnet_id", wrong),
            ("ReplacingMergeTree", "subnet_id", types.filter { $0.key != "sluice_deleted" }),
        ] {
            #expect(throws: SluiceError.self) { try table.require(engine: engine, key: key, types, Self.modern, in: "a place") }
        }
    }

    @Test("options count for the tables of the set as for others")
    func options() throws {
        let made = try made(ClickHouseMigrations.chain, Self.modern) {
            $0.compression = .lz4
            $0.partition = .none
            $0.tables = ["blocks": .init(partition: .day, ttl: .seconds(3600), compression: .server)]
        }
        let blocks = try #require(made.statements.first { $0.contains("`d`.`blocks` (") })
        #expect(
            blocks.contains("PARTITION BY toYYYYMMDD(toDateTime(`timestamp`), 'UTC')")
                && blocks.contains("TTL toDateTime(`timestamp`) + toIntervalSecond(3600)"))
        #expect(blocks.contains("`block_hash` String, "))
        let logs = try #require(made.statements.first { $0.contains("`d`.`logs` (") })
        #expect(!logs.contains("PARTITION BY") && !logs.contains(" TTL ") && logs.contains("`address` String CODEC(LZ4)"))
        #expect(throws: SluiceError.self) {
            try self.made(ClickHouseMigrations.chain, Self.modern) { $0.tables = ["chains": .init(ttl: .seconds(3600))] }
        }
        #expect(throws: SluiceError.self) { try self.made(ClickHouseMigrations.chain, Self.old) { $0.ttl = .seconds(3600) } }
    }

    @Test("on a cluster each server has its tables, and one over all of them; rows of one key go to one server")
    func cluster() throws {
        let made = try made(ClickHouseMigrations.network, Self.modern) { $0.cluster = "it's" }
        #expect(made.statements.count == 15 && made.statements.allSatisfy { $0.contains(" ON CLUSTER `it's`") })
        #expect(made.statements[0].hasPrefix("CREATE TABLE IF NOT EXISTS `d`.`validators_local` ON CLUSTER `it's` ("))
        #expect(
            made.statements[1]
                == "CREATE TABLE IF NOT EXISTS `d`.`validators` ON CLUSTER `it's` AS `d`.`validators_local` ENGINE = "
                + "Distributed('it\\'s', 'd', 'validators_local', cityHash64(`chain_id`, `node_id`, `start_time`))")
        #expect(made.notes == ["on each server of cluster it's, with Distributed tables over them"])
        var options = ClickHouseSinkOptions(url: "http://here", shown: "here", database: "d")
        options.cluster = "c"
        let tables = ClickHouseTables(options: options, server: Self.modern)
        #expect(
            tables.migrationsCreation.count == 2
                && tables.migrationsCreation[1].contains("Distributed('c', 'd', 'sluice_migrations_local', number)"))
    }
}
