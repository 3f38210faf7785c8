import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Numbered migrations against real servers.
@Suite(.serialized, .migrations, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not there: scripts/setup --test"))
struct PostgresMigrationTests {
    typealias Kind = TimeSeriesTests.Kind
    static let kinds: [Kind] = TestServices.hasTimescale ? Kind.allCases : [.plain]

    private func server(_ kind: Kind = .plain, _ name: String, _ sets: [PostgresTableSet] = PostgresTableSet.allCases) throws -> Server {
        try Server("\(kind.name)_\(name)", variable: kind.rawValue, tableSets: sets)
    }

    /// Applies what is pending, as a process would, and returns which.
    @discardableResult
    private func apply(_ server: Server, _ scripts: [PostgresScript] = PostgresMigrations.all) async throws -> [Int] {
        let migrator = PostgresMigrator(server.options, scripts: scripts)
        var done: [Int] = []
        do { try await migrator.applyPending { done.append($0.number) } } catch {
            await migrator.close()
            throw error
        }
        await migrator.close()
        return done
    }

    private func refusal(_ server: Server) async -> SluiceError? {
        await #expect(throws: SluiceError.self) { try await apply(server) }
    }

    private func recorded(_ server: Server) throws -> [Int] {
        try server.rows("SELECT number FROM sluice.migrations WHERE tables_in = current_schema() ORDER BY 1").compactMap {
            $0[0].flatMap { Int($0) }
        }
    }

    private func tables(_ server: Server) throws -> Set<String> {
        Set(
            try server.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
            ).compactMap { $0[0] })
    }

    // MARK: - What is made

    @Test("every table and column that was asked for is there, with its indexes; done twice nothing is done", arguments: kinds)
    func fromNothing(_ kind: Kind) async throws {
        let server = try server(kind, "nothing")
        #expect(try await apply(server) == [1, 2, 3, 4, 5])
        #expect(try await apply(server) == [])
        #expect(try recorded(server) == [1, 2, 3, 4, 5])
        let columns = Set(
            try server.rows(
                "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            ).compactMap { $0[0] })
        for (table, names) in MigrationTables.networkMetrics.mapValues({ "id timestamp " + $0 })
            .merging(MigrationTables.providerImports, uniquingKeysWith: { first, _ in first })
        {
            for name in names.split(separator: " ") { #expect(columns.contains("\(table).\(name)")) }
        }
        for (table, wanted) in MigrationTables.indexes {
            let found = try server.rows(
                """
                SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, place)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE i.indrelid = '\(table)'::regclass GROUP BY i.indexrelid
                """
            ).compactMap { $0[0] }
            #expect(found.contains { $0 == wanted || $0.hasPrefix(wanted + ", ") }, "\(table): \(found)")
        }
        // An id is a uuid, and a moment is a moment, in every one of them.
        for table in MigrationTables.networkMetrics.keys {
            #expect(
                try server.rows(
                    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '\(table)'::regclass AND attname IN ('id', 'timestamp') ORDER BY attname"
                ) == [["uuid"], ["timestamp with time zone"]])
            let cut =
                kind == .plain
                ? try server.rows("SELECT pg_get_partkeydef('\(table)'::regclass)")
                : try server.rows(
                    "SELECT column_name || ' ' || time_interval FROM timescaledb_information.dimensions WHERE hypertable_schema = current_schema() AND hypertable_name = '\(table)'"
                )
            #expect(cut == [[kind == .plain ? "RANGE (\"timestamp\")" : "timestamp 01:00:00"]])
        }
        #expect(try tables(server).isSuperset(of: ["gas_metrics_5min", "l2_costs_hourly"]))
    }

    @Test("a look says what would be done, and changes nothing", arguments: kinds)
    func look(_ kind: Kind) async throws {
        let server = try server(kind, "look")
        let extensions = try server.rows("SELECT count(*) FROM pg_extension")
        let migrator = PostgresMigrator(server.options)
        let view = try await migrator.look()
        #expect(migrator.plan(view).pending.map(\.number) == [1, 2, 3, 4, 5])
        #expect(view.server.hasPrefix("PostgreSQL ") && view.server.hasSuffix(kind == .plain ? "without TimescaleDB" : "(Apache edition)"))
        let notes = try #require(try view.scripts[2]?.get()).notes
        #expect(
            notes.contains(
                kind == .plain
                    ? "partitions of 1h, made by the sink as rows come" : "hypertables with chunks of 1h; this edition has no policies"))
        #expect(
            notes.contains("nothing is compressed after 7d: this server cannot")
                && notes.contains { $0.contains("dropped after 90d by the sink") })
        #expect(try server.rows("SELECT 1 FROM pg_namespace WHERE nspname = '\(server.schema)'") == [])
        #expect(try server.rows("SELECT count(*) FROM pg_extension") == extensions)
        await migrator.close()
    }

    @Test("only the sets that are asked for; one that is asked for later is added")
    func sets() async throws {
        var server = try server(.plain, "sets", [.providerImports])
        #expect(try await apply(server) == [1, 4, 5])
        #expect(try tables(server).contains("eth_blocks") && !tables(server).contains("gas_metrics"))
        server = try self.server(.plain, "sets")
        #expect(try await apply(server) == [2, 3])
        server = try self.server(.plain, "sets", [])
        #expect(try await apply(server) == [])
    }

    @Test(
        "a measurement that is loaded again is the same row, and the sink writes into partitions, sums and keys of the set",
        arguments: kinds)
    func loaded(_ kind: Kind) async throws {
        // These rows are of 2023: by default they would be too old to stay.
        let server = try Server(
            "\(kind.name)_loaded", timeSeries: TimeSeriesOptions(chunkSeconds: 3600), variable: kind.rawValue, tableSets: [.networkMetrics])
        let table = Schema(
            name: "gas_metrics", key: ["chain_id"], doc: "",
            fields: [
                Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("timestamp", .timestamp, ""),
                Field("gas_price_wei", .uint256, ""), Field("gas_price_gwei", .float64, ""),
            ])
        let id = StreamID(pipeline: "fees", chainID: 1)
        let sink = PostgresSink(server.options)
        // The sink makes none of the set's tables: they would not be the set's.
        await #expect {
            _ = try await sink.open(id, tables: [table])
        } throws: {
            ($0 as? SluiceError)?.mend == "run sluice migrate apply"
        }
        try await apply(server)
        let stream = try await sink.open(id, tables: [table])
        _ = try await stream.write(Self.fees(1...40, table))
        _ = try await stream.flush()
        let chunks =
            kind == .plain
            ? "SELECT count(*) FROM pg_inherits WHERE inhparent = 'gas_metrics'::regclass"
            : "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema() AND hypertable_name = 'gas_metrics'"
        // 40 steps of four minutes touch three or four hours.
        let hours = Set((1...40).map { (1_700_000_000 + $0 * 240) / 3600 }).count
        #expect(try server.rows(chunks) == [["\(hours)"]])
        let sums = "SELECT count(*), sum(rows), min(gas_price_gwei_min), max(gas_price_gwei_max) FROM gas_metrics_5min"
        let buckets = Set((1...40).map { (1_700_000_000 + $0 * 240) / 300 }).count
        #expect(try server.rows(sums) == [["\(buckets)", "40", "1", "40"]])
        try await stream.rollback(to: SmallChain.position(30))
        #expect(try server.rows("SELECT count(*), count(DISTINCT id), max(gas_price_wei) FROM gas_metrics") == [["30", "30", "30"]])
        #expect(try server.rows(sums)[0][1] == "30")
        await sink.close()
        // The same once more: each row takes its own place.
        try server.execute("DELETE FROM sluice.segments WHERE tables_in = '\(server.schema)'")
        let again = try await PostgresSink(server.options).open(id, tables: [table])
        _ = try await again.write(Self.fees(1...40, table))
        _ = try await again.finish()
        #expect(try server.rows("SELECT count(*), count(DISTINCT \"timestamp\") FROM gas_metrics") == [["40", "40"]])
    }

    private static func fees(_ range: ClosedRange<UInt64>, _ table: Schema) -> Batch {
        var columns = table.fields.map { ColumnBuilder($0.type) }
        for number in range {
            columns[0].append(Int64(1))
            columns[1].append(number)
            columns[2].append(Int64(1_700_000_000 + number * 240) * 1_000_000)
            columns[3].append(UInt256(number))
            columns[4].append(Double(number))
        }
        return Batch(
            chainID: 1,
            span: Span(
                first: range.lowerBound, parentHash: SmallChain.hash(range.lowerBound - 1),
                blocks: range.map { BlockStamp(hash: SmallChain.hash($0), timestamp: 1_700_000_000 + $0 * 240) }),
            tables: [Table(schema: table, columns: columns.map { $0.finish() }, rowCount: range.count)])
    }

    @Test(
        "imports: contracts are created, keys point to what is there at the end, files of one moment are two, what is undone takes its rows along"
    )
    func imports() async throws {
        let server = try server(.plain, "imports", [.providerImports])
        try await apply(server)
        let transaction =
            "INSERT INTO eth_transactions (hash, block_number, blockhash, from_address, to_address, gas, nonce, transactionindex, value) VALUES ('\\x01', 7, '\\xaa', '\\x02', NULL, 21000, 0, 0, 5)"
        // In the wrong order, in one transaction: what counts is its end.
        try server.execute(
            """
            BEGIN; \(transaction);
            INSERT INTO eth_transaction_access_list (block_number, transaction_hash, index, address, storagekeys) VALUES (7, '\\x01', 0, '\\x03', '{"\\\\x04"}');
            INSERT INTO eth_withdrawals (block_number, address, amount, index, validatorindex) VALUES (7, '\\x05', 1, 1, 1);
            INSERT INTO eth_block_import_status (block_number) VALUES (7);
            INSERT INTO eth_blocks (block_number, gaslimit, gasused, hash, parenthash, "timestamp") VALUES (7, 1, 1, '\\xaa', '\\xab', now());
            COMMIT
            """)
        #expect(
            try server.rows("SELECT number, to_address FROM eth_blocks JOIN eth_transactions USING (chain_id, block_number)") == [
                ["7", nil]
            ])
        #expect(throws: SluiceError.self) { try server.execute(transaction.replacing("'\\x01', 7", with: "'\\x09', 8")) }
        #expect(throws: SluiceError.self) { try server.execute("INSERT INTO eth_block_import_status (block_number) VALUES (7)") }
        for path in ["a.csv", "b.csv"] {
            try server.execute(
                "INSERT INTO s3_import_status (data_source, file_modified_date, file_path) VALUES ('s', '2026-01-01', '\(path)')")
        }
        #expect(throws: SluiceError.self) {
            try server.execute(
                "INSERT INTO s3_import_status (data_source, file_modified_date, file_path) VALUES ('s', '2026-01-01', 'b.csv')")
        }
        try server.execute("DELETE FROM eth_blocks WHERE block_number = 7")
        #expect(
            try server.rows(
                "SELECT (SELECT count(*) FROM eth_transactions) + (SELECT count(*) FROM eth_transaction_access_list) + (SELECT count(*) FROM eth_withdrawals) + (SELECT count(*) FROM eth_block_import_status)"
            ) == [["0"]])
    }

    // MARK: - Half, twice, at once

    @Test("a database that has half gets the rest; one that is older than numbers keeps what it has")
    func half() async throws {
        let server = try server(.plain, "half")
        #expect(try await apply(server, Array(PostgresMigrations.all.prefix(2))) == [1, 2])
        #expect(try await apply(server) == [3, 4, 5])

        let older = try self.server(.plain, "older", [])
        // What the sink made before: its tables, without any record.
        let sink = PostgresSink(older.options)
        let id = StreamID(pipeline: "p", chainID: 1)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        await sink.close()
        try older.execute("DELETE FROM sluice.migrations WHERE tables_in = current_schema()")
        #expect(try await PostgresSink(older.options).open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...5)])
        #expect(try recorded(older) == [1])
    }

    @Test("several that apply at once do each step once", arguments: kinds)
    func atOnce(_ kind: Kind) async throws {
        let server = try server(kind, "at_once")
        if kind == .timescale { try server.execute("DROP EXTENSION IF EXISTS timescaledb CASCADE") }
        let done = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 1...5 { group.addTask { try await apply(server) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(done.sorted() == [1, 2, 3, 4, 5])
        #expect(try recorded(server) == [1, 2, 3, 4, 5])
        let partitioned = try server.rows("SELECT relkind FROM pg_class WHERE oid = 'gas_metrics'::regclass")
        #expect(partitioned == [[kind == .plain ? "p" : "r"]])
    }

    @Test("a step whose statement fails leaves nothing of itself, and says what is in the way")
    func inTheWay() async throws {
        let server = try server(.plain, "way", [.providerImports])
        try server.execute("CREATE SCHEMA \"\(server.schema)\"; CREATE TABLE eth_withdrawals (mine int)")
        let error = try #require(await refusal(server))
        #expect(error.message.contains("migration 4 (provider_imports_chain)") && error.message.contains("eth_withdrawals"))
        #expect(error.class == .pause && error.mend?.contains("rename") == true)
        #expect(try recorded(server) == [1] && tables(server) == ["eth_withdrawals"])
        try server.execute("DROP TABLE eth_withdrawals")
        #expect(try await apply(server) == [4, 5])
    }

    @Test("a connection that is cut in the midst leaves nothing of the step")
    func cut() async throws {
        let server = try server(.plain, "cut", [.providerImports])
        try await apply(server, [PostgresMigrations.bookkeeping])
        // The server itself ends the connection when the last table but one is made.
        try server.execute(
            """
            CREATE FUNCTION fell() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
              IF to_regclass('\(server.schema).eth_withdrawals') IS NOT NULL THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; END $$;
            CREATE EVENT TRIGGER fell ON ddl_command_end EXECUTE FUNCTION fell()
            """)
        let error = await refusal(server)
        try server.execute("DROP EVENT TRIGGER fell")
        #expect(error?.class == .retry)
        #expect(try recorded(server) == [1] && tables(server) == [])
        #expect(try await apply(server) == [4, 5])
    }

    // MARK: - Refused

    @Test("a changed text, an unknown step and a hole are refused by migrate, and by the sink that would write")
    func refused() async throws {
        let server = try server(.plain, "refused", [.providerImports])
        try await apply(server)
        let changes = [
            ("UPDATE sluice.migrations SET checksum = 'beef' WHERE tables_in = current_schema() AND number = 4", "checksum beef"),
            (
                "INSERT INTO sluice.migrations VALUES (current_schema(), 99, 'future', 'x', now(), '7.0', 's')",
                "has migration 99 (future), applied by version 7.0"
            ), ("DELETE FROM sluice.migrations WHERE tables_in = current_schema() AND number = 4", "no record of migration 4"),
        ]
        for (change, said) in changes {
            try server.execute("CREATE TABLE kept AS SELECT * FROM sluice.migrations WHERE tables_in = current_schema(); " + change)
            let error = await refusal(server)
            #expect(
                error?.code == .migrationConflict && error?.class == .config && error?.message.contains(said) == true,
                "\(error?.message ?? "")")
            await #expect {
                _ = try await PostgresSink(server.options).open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
            } throws: { ($0 as? SluiceError)?.code == .migrationConflict }
            try server.execute(
                "DELETE FROM sluice.migrations WHERE tables_in = current_schema(); INSERT INTO sluice.migrations SELECT * FROM kept; DROP TABLE kept"
            )
        }
        #expect(try await apply(server) == [])
    }

    @Test("who may not make tables is told so, and nothing is made")
    func rights() async throws {
        let server = try server(.plain, "rights", [.providerImports])
        try await apply(server, [PostgresMigrations.bookkeeping])
        try server.execute(
            "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA sluice TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO guest")
        let url = server.options.url.reveal()
        let at = try #require(url.firstIndex(of: "@"))
        let guest = PostgresSinkOptions(
            url: "postgresql://guest" + url[at...], shown: "127.0.0.1", schema: server.schema, tableSets: [.providerImports])
        let migrator = PostgresMigrator(guest)
        let error = await #expect(throws: SluiceError.self) { try await migrator.applyPending { _ in } }
        #expect(error?.code == .postgresRefused && error?.class == .pause && error?.mend?.contains("grant") == true)
        #expect(error?.message.contains("migration 4") == true && error?.message.contains("permission denied") == true)
        #expect(try recorded(server) == [1] && tables(server) == [])
    }

    @Test(
        "a schema is a name, whatever it holds", arguments: kinds,
        [
            "a\"b", "x'; DROP TABLE blocks; --", "ünï", "SELECT", "a b", "{schema}{cut}", "$1", "\\", "a.b",
            "{cut}\"; DROP SCHEMA sluice CASCADE; --",
        ])
    func hostile(_ kind: Kind, _ name: String) async throws {
        let server = try Server(name, variable: kind.rawValue, tableSets: PostgresTableSet.allCases)
        #expect(try await apply(server) == [1, 2, 3, 4, 5])
        #expect(try await apply(server) == [])
        #expect(try server.rows("SELECT count(*) FROM gas_metrics_5min") == [["0"]])
        #expect(try tables(server).isSuperset(of: MigrationTables.providerImports.keys))
    }
}

extension Trait where Self == PostgresTrait {
    /// Both kinds of servers, as far as they are there.
    static var migrations: Self { Self(servers: ["postgres"] + (TestServices.hasTimescale ? ["timescale"] : [])) }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return String(self[..<range.lowerBound]) + other + self[range.upperBound...]
    }
}
