import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Names out of configurations are names, whatever they hold: some hundred of them against a real server.
@Suite(.serialized, .postgres, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not there: scripts/setup --test"))
struct HostileNameTests {
    /// What one round calls its things.
    private struct Round {
        let schema, table, column, rollup, pipeline: String

        init(_ names: inout HostileNames) {
            var schema = names.next(bytes: 60)
            // The server keeps these for itself, and says so.
            while schema.hasPrefix("pg_") { schema = names.next(bytes: 60) }
            self.schema = schema
            table = names.next(bytes: 63)
            column = names.next(bytes: 57)
            rollup = names.next(bytes: 63)
            pipeline = names.next(bytes: 200)
        }

        var shape: Schema {
            Schema(
                name: table, key: ["chain_id", "block_number"], doc: "",
                fields: [
                    Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("timestamp", .timestamp, ""),
                    Field(column, .float64, ""),
                ])
        }

        var series: TimeSeriesOptions {
            TimeSeriesOptions(
                chunkSeconds: 3600, dropAfterSeconds: 36_000 * 86_400,
                rollups: [
                    .init(
                        name: rollup, table: table, bucketSeconds: 60, columns: [.init(column, TimeSeriesOptions.Rollup.Function.allCases)])
                ])
        }

        func batch(_ range: ClosedRange<UInt64>) -> Batch {
            var columns = shape.fields.map { ColumnBuilder($0.type) }
            for number in range {
                columns[0].append(Int64(1))
                columns[1].append(number)
                columns[2].append(Int64(1_700_000_000 + number * 3600) * 1_000_000)
                columns[3].append(Double(number))
            }
            let span = Span(
                first: range.lowerBound, parentHash: SmallChain.hash(range.lowerBound - 1),
                blocks: range.map { BlockStamp(hash: SmallChain.hash($0), timestamp: 1_700_000_000 + $0 * 3600) })
            return Batch(
                chainID: 1, span: span, tables: [Table(schema: shape, columns: columns.map { $0.finish() }, rowCount: range.count)])
        }
    }

    @Test("schemas, tables, columns, rollups and pipelines cannot be more than names", arguments: [1, 2, 3] as [UInt64])
    func fuzz(_ seed: UInt64) async throws {
        var names = HostileNames(seed: seed)
        let plain = try Server("canary_\(seed)")
        try plain.execute("CREATE SCHEMA \(plain.schema); CREATE TABLE canary AS SELECT generate_series(1, 3) AS n")
        let others =
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname IN ('public', 'pg_catalog', '\(plain.schema)')"
        let before = try plain.rows(others)
        for _ in 1...70 {
            let round = Round(&names)
            let server = try Server(round.schema, timeSeries: round.series)
            let sink = PostgresSink(server.options)
            let id = StreamID(pipeline: round.pipeline, chainID: 1)
            let stream = try await sink.open(id, tables: [round.shape])
            _ = try await stream.write(round.batch(1...3))
            _ = try await stream.flush()
            // The same rows by way of a temporary table, and some taken back.
            try await stream.rollback(to: SmallChain.position(2))
            let table = PostgresConnection.quoted(round.table)
            #expect(
                try server.rows("SELECT block_number, \(PostgresConnection.quoted(round.column)) FROM \(table) ORDER BY 1") == [
                    ["1", "1"], ["2", "2"],
                ],
                "\(round)")
            let sums = try server.rows(
                "SELECT rows, \(PostgresConnection.quoted(round.column + "_sum")) FROM \(PostgresConnection.quoted(round.rollup)) ORDER BY 2"
            )
            #expect(sums == [["1", "1"], ["1", "2"]], "\(round)")
            #expect(try await stream.coverage() == [SmallChain.segment(1...2)])
            await sink.close()
            let made = try server.rows(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND relkind IN ('p', 'r') AND NOT relispartition ORDER BY 1"
            ).compactMap { $0[0] }
            #expect(Set(made) == [round.table, round.rollup], "\(round)")
            try plain.execute("DROP SCHEMA \(PostgresConnection.quoted(round.schema)) CASCADE")
        }
        #expect(try plain.rows("SELECT count(*), sum(n) FROM canary") == [["3", "6"]])
        #expect(try plain.rows(others) == before)
    }

    @Test("names that the server would cut, or cannot have, are refused before anything is made")
    func impossible() async throws {
        let long = String(repeating: "é", count: 32)
        for (schema, rollup, said) in [(long, "r", "schema"), ("", "r", "schema"), ("a\0b", "r", "schema"), ("fine", long, "rollup")] {
            let series = TimeSeriesOptions(
                chunkSeconds: 3600, rollups: [.init(name: rollup, table: "blocks", bucketSeconds: 60, columns: [.init("number", [.sum])])])
            let server = try Server(schema, timeSeries: series, tableSets: [.networkMetrics])
            let opened = await #expect(throws: SluiceError.self) {
                _ = try await PostgresSink(server.options).open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
            }
            let migrated = await #expect(throws: SluiceError.self) { try await PostgresMigrator(server.options).applyPending { _ in } }
            for error in [opened, migrated] {
                #expect(error?.class == .config && error?.message.contains(said) == true, "\(error?.message ?? "")")
            }
        }
    }
}
