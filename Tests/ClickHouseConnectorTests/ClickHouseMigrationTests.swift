import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

/// Numbered migrations against real servers.
@Suite(.serialized, .clickhouse, .needsClickHouse) struct ClickHouseMigrationTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private func server(_ kind: Kind, _ database: String) throws -> Server {
        var server = try Server(kind, database)
        server.options.tableSets = [.avalanche]
        return server
    }

    @discardableResult
    private func apply(_ options: ClickHouseSinkOptions, _ scripts: [ClickHouseScript] = ClickHouseMigrations.all) async throws -> [Int] {
        let migrator = ClickHouseMigrator(options, scripts: scripts)
        var done: [Int] = []
        do { try await migrator.applyPending { done.append($0.number) } } catch {
            await migrator.close()
            throw error
        }
        await migrator.close()
        return done
    }

    private func refusal(_ options: ClickHouseSinkOptions) async -> SluiceError? {
        await #expect(throws: SluiceError.self) { try await apply(options) }
    }

    private func recorded(_ server: Server) async throws -> [String] {
        try await server.rows("SELECT toString(number) FROM %.sluice_migrations ORDER BY number").compactMap(\.first)
    }

    @Test("every table and column that was asked for is there; done twice nothing is done", arguments: Kind.available)
    func fromNothing(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_nothing")
        #expect(try await apply(server.options) == [1, 2, 3, 4, 5, 6, 7])
        #expect(try await apply(server.options) == [])
        #expect(try await recorded(server) == (1...7).map { "\($0)" })
        let found = try await server.rows("SELECT table, name, type FROM system.columns WHERE database = 'migrate_nothing'")
        let types = Dictionary(found.map { ("\($0[0]).\($0[1])", $0[2]) }, uniquingKeysWith: { first, _ in first })
        let keys = try await server.rows(
            "SELECT name, engine, sorting_key FROM system.tables WHERE database = 'migrate_nothing' AND engine != 'View'")
        for (table, wanted) in MigrationTables.avalanche {
            for name in wanted.columns.split(separator: " ") { #expect(types["\(table).\(name)"] != nil, "\(table).\(name)") }
            let row = try #require(keys.first { $0[0] == table })
            let key = try #require(ClickHouseSQL.columns(ofKey: row[2]))
            #expect(row[1] == "ReplacingMergeTree" && key.contains(wanted.key), "\(row)")
            // What tells rows apart by the chain begins with it.
            #expect(!key.contains("chain_id") || key[0] == "chain_id", "\(row)")
            #expect(try await server.rows("SELECT count() FROM %.\(table)_current") == [["0"]])
        }
        for (column, type) in MigrationTables.types {
            let wanted = type == "UInt256" && kind == .old ? "FixedString(32)" : type
            #expect(types[column] == wanted, "\(column)")
        }
        let parts = try await server.rows(
            "SELECT name, partition_key FROM system.tables WHERE database = 'migrate_nothing' AND name IN ('blocks', 'gas_metrics', 'chains') ORDER BY name"
        )
        #expect(parts == [["blocks", "toYYYYMM(toDateTime(timestamp), 'UTC')"], ["chains", ""], ["gas_metrics", "toYYYYMM(day)"]])
        if kind == .modern {
            let codecs = try await server.rows(
                "SELECT compression_codec FROM system.columns WHERE database = 'migrate_nothing' AND table = 'transactions' AND name IN ('block_number', 'value_raw') ORDER BY name"
            )
            #expect(codecs == [["CODEC(Delta(8), ZSTD(1))"], ["CODEC(ZSTD(1))"]])
        }
    }

    @Test("rows that come twice are there once, in whatever part; an id is the same each time", arguments: Kind.available)
    func identity(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_identity")
        try await apply(server.options)
        for version in 1...2 {
            for (tx, log) in [("0xa", 0), ("0xa", 1), ("0xb", 0)] {
                try await server.execute(
                    "INSERT INTO %.logs (chain_id, block_number, tx_hash, log_index, block_timestamp, data, sluice_version, sluice_deleted) VALUES (43114, 7, '\(tx)', \(log), 1700000000, 'v\(version)', \(version), 0)"
                )
                try await server.execute(
                    "INSERT INTO %.erc20_transfers (chain_id, block_number, tx_hash, log_index, block_timestamp, sluice_version, sluice_deleted) VALUES (43114, 7, '\(tx)', \(log), 1700000000, \(version), 0)"
                )
            }
        }
        #expect(try await server.rows("SELECT count(), uniqExact(id), min(data) FROM %.logs_current") == [["3", "3", "v2"]])
        #expect(
            try await server.rows("SELECT count() FROM %.erc20_transfers_current WHERE log_id IN (SELECT id FROM %.logs)") == [["3"]])
        try await server.execute(
            "INSERT INTO %.logs (chain_id, block_number, tx_hash, log_index, block_timestamp, sluice_version, sluice_deleted) VALUES (43114, 7, '0xa', 0, 1700000000, 3, 1)"
        )
        #expect(try await server.rows("SELECT count() FROM %.logs_current") == [["2"]])
    }

    @Test(
        "a database that has half gets the rest, one that was broken off too; what was there before numbers is recorded",
        arguments: Kind.available)
    func half(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_half")
        #expect(try await apply(server.options, Array(ClickHouseMigrations.all.prefix(3))) == [1, 2, 3])
        // Broken off within a step: some of its tables are there, and no row.
        let middle = try Middle(server.options.url.reveal())
        middle.when { $0.contains("`performance_metrics`") ? .drop : .pass }
        var cut = server.options
        cut.url = Secret(middle.url)
        let error = await refusal(cut)
        #expect(error?.class == .retry && error?.message.contains("migration 5 (avalanche_metrics)") == true, "\(error?.message ?? "")")
        middle.stop()
        #expect(try await recorded(server) == ["1", "2", "3", "4"])
        #expect(try await server.rows("SELECT count() FROM %.activity_metrics") == [["0"]])
        #expect(try await apply(server.options) == [5, 6, 7])

        // Its tables are called as some of the set's: that is not asked for here.
        let older = try Server(kind, "migrate_older")
        let stream = try await older.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        try await older.execute("DROP TABLE %.sluice_migrations")
        // The sink makes no table more where its own is there already.
        #expect(try await older.sink().open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...5)])
        #expect(
            try await older.rows("SELECT count() FROM system.tables WHERE database = 'migrate_older' AND name = 'sluice_migrations'") == [
                ["0"]
            ])
        #expect(try await apply(older.options, [.bookkeeping]) == [1])
        #expect(try await older.sink().open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...5)])
    }

    @Test("several that apply at once end with each step recorded once", arguments: Kind.available)
    func atOnce(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_at_once")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 1...4 { group.addTask { try await apply(server.options) } }
            try await group.waitForAll()
        }
        #expect(Set(try await recorded(server)) == Set((1...7).map { "\($0)" }))
        #expect(try await apply(server.options) == [])
        #expect(try await server.rows("SELECT count() FROM %.sluice_migrations FINAL") == [["7"]])
    }

    @Test("a table in the way is named and let alone, and the step is not recorded", arguments: Kind.available)
    func inTheWay(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_way")
        try await apply(server.options, [.bookkeeping])
        try await server.execute("CREATE TABLE %.blocks (mine UInt8) ENGINE = MergeTree ORDER BY mine")
        let engine = try #require(await refusal(server.options))
        #expect(engine.message.contains("blocks in database migrate_way") && engine.message.contains("is a MergeTree sorted by mine"))
        #expect(engine.class == .pause && engine.mend?.contains("rename") == true)
        try await server.execute("DROP TABLE %.blocks")
        try await server.execute(
            "CREATE TABLE %.blocks (chain_id UInt64, block_number UInt32, sluice_version UInt64) ENGINE = ReplacingMergeTree(sluice_version) ORDER BY (chain_id, block_number)"
        )
        let column = try #require(await refusal(server.options))
        #expect(column.message.contains("blocks.base_fee_per_gas in database migrate_way at 127.0.0.1 is not there, not UInt64"))
        #expect(try await recorded(server) == ["1"])
        try await server.execute("DROP TABLE %.blocks")
        #expect(try await apply(server.options) == [2, 3, 4, 5, 6, 7])
    }

    @Test("a changed text and an unknown step are refused by migrate, and by the sink that would write", arguments: Kind.available)
    func refused(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_refused")
        try await apply(server.options)
        for (row, said) in [
            ("2, 'avalanche_chain', 'beef'", "checksum beef"), ("99, 'future', 'x'", "has migration 99 (future), applied by version 7.0"),
        ] {
            let database = "migrate_refused_\(said.count)"
            var copy = try self.server(kind, database)
            copy.options.tableSets = []
            try await apply(copy.options)
            copy.options.tableSets = [.avalanche]
            try await copy.execute(
                "INSERT INTO %.sluice_migrations (number, name, checksum, applied_at, applied_by, server) VALUES (\(row), now(), '7.0', 's')"
            )
            let error = await refusal(copy.options)
            #expect(
                error?.code == .migrationConflict && error?.class == .config && error?.message.contains(said) == true,
                "\(error?.message ?? "")")
            await #expect { _ = try await copy.sink().open(id, tables: SmallChain.schemas) } throws: {
                ($0 as? SluiceError)?.code == .migrationConflict
            }
        }
    }

    @Test(
        "who may not make tables is told so, and what cannot be on this server is said before anything is made", arguments: Kind.available)
    func rights(_ kind: Kind) async throws {
        let server = try server(kind, "migrate_rights")
        var options = server.options
        if kind == .old {
            try await server.execute("CREATE DATABASE %")
            options.user = "reader"
            options.password = Secret("readonly")
            let error = await refusal(options)
            #expect(error?.code == .clickhouseRefused && error?.mend?.contains("profile that may write") == true)
            #expect(error?.message.contains("migration 1 (bookkeeping)") == true)
            options = server.options
            options.ttl = .seconds(86_400)
            let old = await refusal(options)
            #expect(old?.class == .config && old?.message.contains("migration 2 (avalanche_chain)") == true)
            let view = try await ClickHouseMigrator(options).look()
            #expect(throws: SluiceError.self) { try view.scripts[2]?.get() }
        } else {
            options.user = "nobody"
            #expect(await refusal(options)?.code == .clickhouseRefused)
        }
        #expect(try await server.rows("SELECT count() FROM system.tables WHERE database = 'migrate_rights' AND name = 'blocks'") == [["0"]])
    }

    @Test(
        "a database is a name, whatever it holds", arguments: Kind.available,
        ["m`b", "m'; DROP TABLE blocks; --", "mü", "m b", "m\\", "m\\'b", "m\nb"])
    func hostile(_ kind: Kind, _ name: String) async throws {
        let server = try server(kind, name)
        #expect(try await apply(server.options) == [1, 2, 3, 4, 5, 6, 7])
        #expect(try await apply(server.options) == [])
        #expect(try await server.rows("SELECT count() FROM %.blocks_current") == [["0"]])
    }
}
