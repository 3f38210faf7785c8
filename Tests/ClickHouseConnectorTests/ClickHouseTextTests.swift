import SluiceConfig
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

/// Statements, errors and the ledger's text, without a server.
@Suite struct ClickHouseTextTests {
    private static let old = ClickHouseServer(version: "18.16.1", types: ["LowCardinality"], settings: ["min_insert_block_size_rows"])
    private static let modern = ClickHouseServer(
        version: "26.9.2.1", types: ["Bool", "DateTime64", "LowCardinality", "UInt256"],
        settings: ["insert_deduplication_token", "async_insert", "insert_distributed_sync"])

    private func tables(_ server: ClickHouseServer, _ adjust: (inout ClickHouseSinkOptions) -> Void = { _ in }) -> ClickHouseTables {
        var options = ClickHouseSinkOptions(url: "http://here", shown: "here", database: "d")
        adjust(&options)
        return ClickHouseTables(options: options, server: server)
    }

    @Test("tables use what the server has")
    func creation() throws {
        #expect(
            try tables(Self.old).creation(SmallChain.blocks) == [
                "CREATE TABLE IF NOT EXISTS `d`.`blocks` (`chain_id` Int64, `number` Int64, `hash` FixedString(32), `timestamp` Int64, "
                    + "`base_fee` Nullable(FixedString(32)), `sluice_version` UInt64, `sluice_deleted` UInt8) "
                    + "ENGINE = ReplacingMergeTree(sluice_version) PARTITION BY toYYYYMM(toDateTime(intDiv(`timestamp`, 1000000)), 'UTC') "
                    + "ORDER BY (`chain_id`, `number`, `hash`)"
            ])
        #expect(
            try tables(Self.modern) { $0.ttl = .seconds(86_400) }.creation(SmallChain.blocks) == [
                "CREATE TABLE IF NOT EXISTS `d`.`blocks` (`chain_id` Int64 CODEC(Delta, ZSTD(1)), `number` Int64 CODEC(Delta, ZSTD(1)), "
                    + "`hash` FixedString(32), `timestamp` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)), `base_fee` Nullable(UInt256) CODEC(ZSTD(1)), "
                    + "`sluice_version` UInt64 CODEC(Delta, ZSTD(1)), `sluice_deleted` UInt8) "
                    + "ENGINE = ReplacingMergeTree(sluice_version, sluice_deleted) PARTITION BY toYYYYMM(`timestamp`) "
                    + "ORDER BY (`chain_id`, `number`, `hash`) TTL toDateTime(`timestamp`) + toIntervalSecond(86400) "
                    + "SETTINGS non_replicated_deduplication_window = 100"
            ])
    }

    @Test("on a cluster each server has its tables, and one over all of them is written to")
    func cluster() throws {
        let tables = tables(Self.modern) {
            $0.cluster = "it's"
            $0.compression = .server
            $0.partition = .none
        }
        let made = try tables.creation(SmallChain.blocks)
        #expect(made.count == 2)
        #expect(made[0].hasPrefix("CREATE TABLE IF NOT EXISTS `d`.`blocks_local` ON CLUSTER `it's` ("))
        #expect(
            made[1]
                == "CREATE TABLE IF NOT EXISTS `d`.`blocks` ON CLUSTER `it's` AS `d`.`blocks_local` ENGINE = "
                + "Distributed('it\\'s', 'd', 'blocks_local', cityHash64(chain_id, `number`))")
        #expect(tables.ledgerCreation.count == 2)
        #expect(
            tables.viewCreation(SmallChain.blocks).hasPrefix("CREATE VIEW IF NOT EXISTS `d`.`blocks_current` ON CLUSTER `it's` AS SELECT"))
        let field = Field("extra", .json, nullable: true, "")
        #expect(
            tables.addition(field, to: SmallChain.blocks) == [
                "ALTER TABLE `d`.`blocks_local` ON CLUSTER `it's` ADD COLUMN `extra` Nullable(String)",
                "ALTER TABLE `d`.`blocks` ON CLUSTER `it's` ADD COLUMN `extra` Nullable(String)",
            ])
        #expect(Self.modern.insertSettings.contains { $0.0 == "insert_distributed_sync" && $0.1 == "1" })
        #expect(Self.old.insertSettings.map(\.0) == ["min_insert_block_size_rows"])
    }

    @Test("what does not fit a table is an error of the configuration that names it")
    func misfits() {
        let timeless = Schema(
            name: "t", key: ["chain_id", "block_number"], doc: "",
            fields: [Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("n", .string, nullable: true, "")])
        let cases: [(ClickHouseServer, Schema, ClickHouseSinkOptions.Table, String)] = [
            (Self.modern, timeless, .init(order: ["x; DROP"]), "tables.t.order_by names x; DROP, which is no column"),
            (Self.modern, timeless, .init(order: ["n"]), "tables.t.order_by names n, which may be null"),
            (Self.modern, timeless, .init(partition: .day), "tables.t.partition_by is day, but"),
            (Self.modern, timeless, .init(ttl: .seconds(1)), "tables.t.ttl is set, but"),
            (Self.old, SmallChain.blocks, .init(ttl: .seconds(1)), "ClickHouse 18.16.1 at here does not delete"),
            (Self.modern, Schema(name: "t", key: [], doc: "", fields: [Field("a", .string, "")]), .init(), "lacks a block number"),
        ]
        for (server, schema, table, said) in cases {
            #expect { try tables(server) { $0.tables[schema.name] = table }.creation(schema) } throws: {
                ($0 as? SluiceError)?.class == .config && "\($0)".contains(said)
            }
        }
        // What is said of all tables passes by those that have no time.
        #expect(throws: Never.self) { try tables(Self.modern) { $0.ttl = .seconds(1) }.creation(timeless) }
    }

    @Test("columns that an older server made are still written, and in their own form; others are not")
    func targets() {
        let wide = Field("w", .uint256, nullable: true, "")
        let modern = tables(Self.modern)
        #expect(modern.target(wide, at: 3, type: "Nullable(UInt256)")?.encoding == .plain)
        #expect(modern.target(wide, at: 3, type: "Nullable(FixedString(32))")?.encoding == .bigEndian)
        #expect(modern.target(Field("t", .timestamp, ""), at: 0, type: "Int64")?.type == "Int64")
        #expect(modern.target(Field("s", .string, nullable: true, ""), at: 0, type: "LowCardinality(Nullable(String))")?.isNullable == true)
        for type in ["UInt256", "Nullable(String)", "Nullable(Decimal(38, 0))", "", "LowCardinality(Nullable(UInt128))"] {
            #expect(modern.target(wide, at: 3, type: type) == nil, "\(type)")
        }
        #expect(tables(Self.old).target(wide, at: 3, type: "Nullable(UInt256)") == nil)
    }

    @Test("what the server says is classed by its number, else by the status")
    func faults() {
        let cases: [(Int, String, SluiceError.Code, SluiceError.Class)] = [
            (
                401, "Code: 193, e.displayText() = DB::Exception: Wrong password for user x, e.what() = DB::Exception", .clickhouseRefused,
                .pause
            ),
            (403, "Code: 516. DB::Exception: x: Authentication failed (AUTHENTICATION_FAILED) (version 26.9)", .clickhouseRefused, .pause),
            (500, "Code: 497. DB::Exception: x: Not enough privileges.", .clickhouseRefused, .pause),
            (500, "Code: 164. DB::Exception: readonly", .clickhouseRefused, .pause),
            (500, "Code: 252. DB::Exception: Too many parts", .clickhouseUnavailable, .retry),
            (500, "Code: 241. DB::Exception: Memory limit", .clickhouseUnavailable, .retry),
            (404, "Code: 60. DB::Exception: Table d.t does not exist", .clickhouseSchema, .pause),
            (500, "Code: 53. DB::Exception: Type mismatch", .clickhouseSchema, .pause),
            (500, "Code: 243. DB::Exception: full", .clickhouseFailed, .pause),
            (500, "Code: 49. DB::Exception: a bug", .clickhouseFailed, .pause),
            (502, "<html>bad gateway", .clickhouseUnavailable, .retry), (403, "", .clickhouseRefused, .pause),
            (404, "not found", .clickhouseFailed, .pause),
        ]
        for (status, body, code, kind) in cases {
            let error = ClickHouseFault.error(status: status, body: body, doing: "loading t")
            #expect(error.code == code && error.class == kind, "\(body)")
            #expect(error.message.hasPrefix("loading t: "))
            #expect(!error.message.contains("e.what") && !error.message.contains("version 26"))
        }
    }

    @Test("the ledger's text comes back as it was, and no other is taken")
    func ledger() {
        let coverage = Coverage([SmallChain.segment(1...4), SmallChain.segment(9...12), SmallChain.segment(20...20)])
        #expect(ClickHouseLedger.coverage(ClickHouseLedger.text(coverage)) == coverage)
        #expect(ClickHouseLedger.coverage("") == Coverage())
        let hash = SmallChain.hash(1)
        for text in ["1", "1-2", "2-1:\(hash)", "1-2:0x12", "5-6:\(hash),1-2:\(hash)", "1-3:\(hash),3-4:\(hash)"] {
            #expect(ClickHouseLedger.coverage(text) == nil, "\(text)")
        }
        #expect(ClickHouseLedger.outside(coverage) == [0...0, 5...8, 13...19, 21...UInt64.max])
        #expect(ClickHouseLedger.outside(Coverage()) == [0...UInt64.max])
        let all = Segment(first: 0, last: Position(number: .max, hash: hash))
        #expect(ClickHouseLedger.outside(Coverage([all])) == [])
        #expect(ClickHouseLedger(["p", "3", "4", "5", "626C6F636B73,C3BC2C", "x"], chainID: 1) == nil)
        #expect(ClickHouseLedger(["p", "3", "4", "5", "626C6F636B73,C3BC2C", ""], chainID: 1)?.tables == ["blocks", "ü,"])
    }

    @Test("sort keys are read as servers show them")
    func keys() {
        #expect(ClickHouseSQL.columns(ofKey: "chain_id, number, `a, b`, `c\\`d\\\\`") == ["chain_id", "number", "a, b", "c`d\\"])
        #expect(ClickHouseSQL.columns(ofKey: "`SELECT`") == ["SELECT"])
        #expect(ClickHouseSQL.columns(ofKey: "toDate(x), y") == nil)
        #expect(ClickHouseSQL.columns(ofKey: "`x") == nil)
    }

    @Test("the defaults are what the reference says")
    func spec() {
        #expect(ClickHouseSinkOptions.spec.faults() == [])
        #expect(ClickHouseSinkOptions(url: "http://u:p@h:8123/", shown: "h").endpoint == "http://u:p@h:8123")
    }
}
