import SluiceCore
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

/// Names out of configurations are names, whatever they hold: some hundred of them against real servers.
@Suite(.serialized, .clickhouse, .needsClickHouse) struct HostileNameTests {
    @Test("databases, tables, columns and pipelines cannot be more than names", arguments: Kind.available, [1, 2] as [UInt64])
    func fuzz(_ kind: Kind, _ seed: UInt64) async throws {
        var names = HostileNames(seed: seed &* 1000)
        let plain = try Server(kind, "canary_\(seed)")
        try await plain.execute("CREATE DATABASE %")
        try await plain.execute("CREATE TABLE %.canary ENGINE = MergeTree ORDER BY number AS SELECT number FROM system.numbers LIMIT 3")
        let others = "SELECT count() FROM system.tables WHERE database IN ('system', 'default', 'canary_\(seed)')"
        let before = try await plain.rows(others)
        for _ in 1...50 {
            // A server makes files of these names, and escapes each byte by three.
            let (database, table, column) = (names.next(bytes: 40), names.next(bytes: 40), names.next(bytes: 40))
            let id = StreamID(pipeline: names.next(bytes: 200), chainID: 1)
            var server = try Server(kind, database)
            server.options.tables = [table: .init(order: [column])]
            let shape = Schema(
                name: table, key: ["chain_id", column], doc: "",
                fields: [Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field(column, .string, "")])
            let stream = try await server.sink().open(id, tables: [shape])
            var columns = shape.fields.map { ColumnBuilder($0.type) }
            columns[0].append(Int64(1))
            columns[1].append(UInt64(1))
            columns[2].append(column)
            let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(1), timestamp: 1)])
            _ = try await stream.write(
                Batch(chainID: 1, span: span, tables: [Table(schema: shape, columns: columns.map { $0.finish() }, rowCount: 1)]))
            _ = try await stream.flush()
            let view = "\(ClickHouseSQL.quoted(database)).\(ClickHouseSQL.quoted(table + "_current"))"
            let found = try await server.connection.rows("SELECT \(ClickHouseSQL.quoted(column)) FROM \(view)", doing: "test")
            #expect(found == [[column]], "database \(database.debugDescription), table \(table.debugDescription)")
            #expect(try await stream.coverage() == [Segment(first: 1, last: span.last)])
            let made = try await plain.connection.rows(
                "SELECT name FROM system.tables WHERE database = \(ClickHouseSQL.literal(database)) ORDER BY name", doing: "test")
            #expect(Set(made.compactMap(\.first)) == [table, table + "_current", "sluice_streams", "sluice_migrations"])
            try await plain.connection.execute("DROP DATABASE \(ClickHouseSQL.quoted(database))", doing: "test")
        }
        #expect(try await plain.rows("SELECT count(), sum(number) FROM %.canary") == [["3", "3"]])
        #expect(try await plain.rows(others) == before)
    }
}
