import Glibc
import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Tables that are cut by time, on a plain server and on TimescaleDB.
@Suite(
    .serialized, .timescale,
    .enabled(if: TestServices.hasTimescale, "TimescaleDB is not there: scripts/setup --test fetches it")) struct TimeSeriesTests
{
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case plain = "SLUICE_TEST_POSTGRES"
        case timescale = "SLUICE_TEST_TIMESCALE"
        var testDescription: String { self == .plain ? "plain PostgreSQL" : "TimescaleDB" }
        var name: String { self == .plain ? "plain" : "timescale" }
    }

    private let id = StreamID(pipeline: "p", chainID: 1)
    /// Five blocks a chunk, ten a span of sums.
    private static let minute = TimeSeriesOptions(
        chunkSeconds: 60,
        rollups: [
            .init(
                name: "fees", table: "blocks", bucketSeconds: 120,
                columns: [.init("base_fee", [.count, .max]), .init("number", [.sum, .avg])])
        ])

    private func server(_ kind: Kind, _ name: String, _ options: TimeSeriesOptions? = minute) throws -> Server {
        try Server("\(kind.name)_\(name)", timeSeries: options, variable: kind.rawValue)
    }

    private func chunks(_ server: Server, _ kind: Kind, _ table: String) throws -> Int {
        let sql =
            kind == .plain
            ? "SELECT count(*) FROM pg_inherits WHERE inhparent = '\(table)'::regclass"
            : "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = '\(server.schema)' AND hypertable_name = '\(table)'"
        return try server.rows(sql)[0][0].flatMap { Int($0) } ?? -1
    }

    /// What sums of blocks should be, worked out here.
    private func expectSums(_ server: Server, of numbers: ClosedRange<UInt64>) throws {
        var expected: [[String?]] = []
        let buckets = Dictionary(grouping: numbers) { (1_700_000_000 + $0 * 12) / 120 * 120 }
        for (bucket, members) in buckets.sorted(by: { $0.key < $1.key }) {
            let even = members.count { $0 % 2 == 0 }
            let sum = members.reduce(0, +)
            expected.append(["\(bucket)", "\(even)", even > 0 ? UInt256.max.description : nil, "\(sum)", "\(members.count)"])
        }
        #expect(
            try server.rows(
                "SELECT extract(epoch FROM bucket)::bigint, base_fee_count, base_fee_max, number_sum, rows FROM fees ORDER BY bucket")
                == expected)
        #expect(try server.rows("SELECT count(*) FROM fees WHERE number_avg <> number_sum / rows") == [["0"]])
    }

    @Test(
        "rows land in chunks of their time, once, and the sums are those of the rows: written, written again, rolled back",
        arguments: Kind.allCases)
    func chunksAndSums(_ kind: Kind) async throws {
        let server = try server(kind, "chunks")
        let sink = PostgresSink(server.options)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...23))
        _ = try await stream.flush()
        #expect(try server.rows("SELECT count(*), count(DISTINCT hash), sum(number) FROM blocks") == [["23", "23", "276"]])
        #expect(try chunks(server, kind, "blocks") == 5 && chunks(server, kind, "logs") == 5)
        try expectSums(server, of: 1...23)
        _ = try await stream.write(SmallChain.batch(24...40))
        _ = try await stream.flush()
        try expectSums(server, of: 1...40)
        // Into the middle of a chunk, and of a span of sums.
        try await stream.rollback(to: SmallChain.position(31))
        #expect(try server.rows("SELECT count(*), max(number) FROM blocks") == [["31", "31"]])
        try expectSums(server, of: 1...31)
        _ = try await stream.write(SmallChain.batch(32...50, fork: 1, parentFork: 0))
        _ = try await stream.finish()
        try expectSums(server, of: 1...50)
        await sink.close()
        // Rows that are there already: the newer ones take their place.
        try server.execute("DELETE FROM sluice.segments WHERE tables_in = '\(server.schema)'")
        let again = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await again.write(SmallChain.batch(20...60))
        _ = try await again.flush()
        #expect(try server.rows("SELECT count(*) FROM (SELECT DISTINCT hash, number FROM blocks) x") == [["79"]])
        #expect(try server.rows("SELECT count(*) FROM blocks") == [["79"]], "60 blocks, and 19 of a fork")
    }

    @Test("what is older than it should be is dropped by chunks; sums and position stay", arguments: Kind.allCases)
    func dropped(_ kind: Kind) async throws {
        // So old that blocks up to 30 are older.
        let age = time(nil) - (1_700_000_000 + 30 * 12)
        var options = Self.minute
        options.dropAfterSeconds = age
        let server = try server(kind, "dropped", options)
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...60))
        _ = try await stream.flush()
        let found = try server.rows("SELECT min(number), max(number), count(*) FROM blocks")[0].compactMap { $0.flatMap { Int($0) } }
        #expect(found[0] > 20 && found[0] <= 36 && found[1] == 60 && found[2] == 61 - found[0])
        try expectSums(server, of: 1...60)
        #expect(try await stream.coverage() == [SmallChain.segment(1...60)])
        _ = try await stream.write(SmallChain.batch(61...70))
        #expect(try await stream.finish() == SmallChain.position(70))
    }

    /// Why a stream cannot be opened.
    private func refusal(_ kind: Kind, _ name: String, _ options: TimeSeriesOptions?) async throws -> SluiceError? {
        let sink = PostgresSink(try server(kind, name, options).options)
        return await #expect(throws: SluiceError.self) { _ = try await sink.open(id, tables: SmallChain.schemas) }
    }

    @Test(
        "a table that is in one piece is not cut later, nor one that is cut taken for whole; wrong sums are refused",
        arguments: Kind.allCases)
    func refused(_ kind: Kind) async throws {
        let whole = PostgresSink(try server(kind, "whole", nil).options)
        _ = try await whole.open(id, tables: SmallChain.schemas)
        #expect(
            try await refusal(kind, "whole", Self.minute)?.message.contains("blocks at 127.0.0.1 is in one piece, and time_series is set")
                == true)
        if kind == .plain {
            let cut = PostgresSink(try server(kind, "cut").options)
            _ = try await cut.open(id, tables: SmallChain.schemas)
            #expect(try await refusal(kind, "cut", nil)?.message.contains("is partitioned, and time_series is not set") == true)
        }
        var wrong = Self.minute
        wrong.rollups[0].columns[0].name = "fee"
        let error = try await refusal(kind, "sums", wrong)
        #expect(error?.class == .config && error?.message.contains("blocks.fee, which is not there") == true)
        wrong.rollups[0] = .init(name: "logs", table: "blocks", bucketSeconds: 60, columns: [])
        #expect(try await refusal(kind, "names", wrong)?.message.contains("is called as a table") == true)
    }

    @Test("it is found out what a server can do")
    func editions() throws {
        func edition(_ kind: Kind) throws -> TimescaleEdition { try .detect(PostgresConnection(try server(kind, "edition").options)) }
        #expect(try edition(.plain) == .plain)
        #expect(try edition(.timescale) == .apache)
    }

    @Test("to the full edition it says what compresses, drops and sums up by itself")
    func full() {
        var options = TimeSeriesOptions(chunkSeconds: 3600, compressAfterSeconds: 7 * 86_400, dropAfterSeconds: 90 * 86_400)
        options.rollups = [.init(name: "gas_metrics_5min", table: "blocks", bucketSeconds: 300, columns: [.init("base_fee", [.avg])])]
        let tables = TimeSeriesTables(options: options, edition: .full, schema: "o'b")
        #expect(
            tables.shaping(SmallChain.blocks, time: "timestamp") == [
                #"SELECT create_hypertable('"o''b"."blocks"', by_range('timestamp', INTERVAL '3600 seconds'), create_default_indexes => false)"#,
                #"ALTER TABLE "o'b"."blocks" SET (timescaledb.compress, timescaledb.compress_segmentby = 'chain_id', "#
                    + #"timescaledb.compress_orderby = '"number" DESC')"#,
                #"SELECT add_compression_policy('"o''b"."blocks"', INTERVAL '604800 seconds', if_not_exists => true)"#,
                #"SELECT add_retention_policy('"o''b"."blocks"', INTERVAL '7776000 seconds', if_not_exists => true)"#,
            ])
        #expect(
            tables.aggregate(options.rollups[0], time: "timestamp") == [
                #"CREATE MATERIALIZED VIEW IF NOT EXISTS "o'b"."gas_metrics_5min" WITH (timescaledb.continuous) AS "#
                    + #"SELECT time_bucket(INTERVAL '300 seconds', "timestamp") AS bucket, chain_id, avg("base_fee") AS "base_fee_avg", "#
                    + #"count(*) AS rows FROM "o'b"."blocks" GROUP BY 1, 2 WITH NO DATA"#,
                #"SELECT add_continuous_aggregate_policy('"o''b"."gas_metrics_5min"', start_offset => INTERVAL '86400 seconds', "#
                    + #"end_offset => INTERVAL '300 seconds', schedule_interval => INTERVAL '300 seconds', if_not_exists => true)"#,
            ])
        #expect(tables.dropping("blocks") == nil)
    }

    @Test("a plan says who does what, and what nobody can")
    func facts() {
        let series = TimeSeriesOptions(chunkSeconds: 3600, compressAfterSeconds: 7 * 86_400, dropAfterSeconds: 90 * 86_400)
        let facts = PostgresSinkOptions(url: "postgresql://h/d", shown: "h", timeSeries: series).facts
        #expect(
            facts.count == 3 && facts[0].hasPrefix("tables in chunks of 1h") && facts[1].contains("after 7d")
                && facts[2].contains("after 90d"))
        #expect(PostgresSinkOptions(url: "postgresql://h/d", shown: "h").facts.isEmpty)
    }

    @Test("a partition's name fits, and says which partition of which table it is")
    func names() {
        #expect(TimeSeriesTables.partition("blocks", from: 1_700_000_000) == "blocks_p1700000000")
        let (one, other) = (String(repeating: "a", count: 60), String(repeating: "a", count: 59) + "b")
        let names = [one, other].map { TimeSeriesTables.partition($0, from: -60) }
        #expect(names.allSatisfy { $0.utf8.count <= 63 && $0.hasSuffix("_p-60") } && names[0] != names[1])
    }
}
