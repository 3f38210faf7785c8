import SluiceCore
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

/// Rows that the server does not take for what they hold, and all others with their position.
@Suite(.clickhouse, .needsClickHouse) struct ClickHouseRefusalTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// Blocks 5 to 11 (8 logs) with notes at some places.
    private func batch(_ poison: [Int]) -> Batch {
        let good = SmallChain.batch(5...11)
        let logs = good.tables[1]
        var note = ColumnBuilder(.string)
        for row in 0..<logs.rowCount { note.append(poison.contains(row) ? "poison" : "fine") }
        var columns = logs.columns
        columns[6] = note.finish()
        return Batch(
            chainID: 1, span: good.span,
            tables: [good.tables[0], Table(schema: SmallChain.logs, columns: columns, rowCount: logs.rowCount)])
    }

    private let names = (5...11 as ClosedRange<UInt64>).flatMap { number in (0..<number % 3).map { "\(number) log \($0)" } }

    /// Refuses rows with that note.
    private func poison(_ server: Server, _ kind: Kind) async throws -> String {
        switch kind {
        case .old:
            try await server.execute("ALTER TABLE %.logs ADD COLUMN ok UInt8 MATERIALIZED throwIf(ifNull(note, '') = 'poison')")
            return "(code 395)"
        case .modern:
            try await server.execute("ALTER TABLE %.logs ADD CONSTRAINT no_poison CHECK ifNull(note, '') != 'poison'")
            return "no_poison"
        }
    }

    @Test(
        "rows that are refused, at whatever place, are named with the server's reason, and all others land with the position",
        arguments: [[0], [4], [7], [0, 4, 7], Array(0..<8)], Kind.available)
    func refused(_ places: [Int], _ kind: Kind) async throws {
        let server = try Server(kind, "refused\(places.count)_\(places[0])")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        let said = try await poison(server, kind)
        _ = try await stream.write(batch(places))
        let refusal = await #expect(throws: RowsRefused.self) { _ = try await stream.flush() }
        let rows = try #require(refusal).rows
        #expect(rows.map { "\($0.block.number) \($0.row)" } == places.map { names[$0] })
        for row in rows {
            #expect(row.table == "logs" && row.reason == "clickhouse_row" && row.block == SmallChain.position(row.block.number))
            #expect(row.message.contains(said), "\(row.message)")
            #expect(row.payload.contains("\"block_number\":\(row.block.number)") && row.payload.contains("\"note\":\"poison\""))
        }
        // The position waits until the caller has kept them.
        #expect(server.segments.load(id) == [SmallChain.segment(1...4)])
        #expect(try await stream.flush() == SmallChain.position(11))
        #expect(server.segments.load(id) == [SmallChain.segment(1...11)])
        let again = try await server.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [SmallChain.segment(1...11)])
        let found = try await server.rows(
            "SELECT concat(toString(block_number), ' log ', toString(log_index)) FROM %.logs_current WHERE block_number > 4 ORDER BY block_number, log_index"
        )
        #expect(found == names.indices.filter { !places.contains($0) }.map { [names[$0]] })
        #expect(try await server.rows("SELECT count() FROM %.blocks_current") == [["11"]])
    }

    @Test(
        "rows that wait in several batches are found in theirs, and a write that meets them has taken its batch", arguments: Kind.available)
    func batches(_ kind: Kind) async throws {
        let server = try Server(kind, "refused_batches", batchRows: 20)
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        let said = try await poison(server, kind)
        _ = try await stream.write(SmallChain.batch(1...4))
        let refusal = await #expect(throws: RowsRefused.self) { _ = try await stream.write(batch([3])) }
        #expect(refusal?.rows.map { "\($0.block.number) \($0.row)" } == [names[3]])
        #expect(refusal?.rows.first?.message.contains(said) == true)
        #expect(try await stream.flush() == SmallChain.position(11))
        #expect(try await server.rows("SELECT count() FROM %.logs_current") == [["\(4 + 8 - 1)"]])
    }

    @Test("when the table takes no row at all it is an error that somebody must look at, not a letter for each", arguments: Kind.available)
    func hopeless(_ kind: Kind) async throws {
        let server = try Server(kind, "refused_all")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        switch kind {
        case .old: try await server.execute("ALTER TABLE %.blocks ADD COLUMN ok UInt8 MATERIALIZED throwIf(number > 0)")
        case .modern: try await server.execute("ALTER TABLE %.blocks ADD CONSTRAINT none CHECK number = 0")
        }
        _ = try await stream.write(SmallChain.batch(1...40))
        await #expect { _ = try await stream.flush() } throws: { error in
            let error = error as? SluiceError
            return error?.class == .pause && "\(error ?? .init(.init(""), .fatal, ""))".contains("15 rows more at least")
        }
        #expect(try await stream.coverage() == [])
        try await server.execute(kind == .old ? "ALTER TABLE %.blocks DROP COLUMN ok" : "ALTER TABLE %.blocks DROP CONSTRAINT none")
        _ = try await stream.write(SmallChain.batch(1...40))
        #expect(try await stream.flush() == SmallChain.position(40))
        try await server.expectBlocks(upTo: 40)
    }

    @Test("an amendment with a refused row changes nothing, and goes in without it", arguments: Kind.available)
    func amended(_ kind: Kind) async throws {
        let server = try Server(kind, "refused_amendment")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...8))
        _ = try await stream.flush()
        switch kind {
        case .old: try await server.execute("ALTER TABLE %.logs ADD COLUMN ok UInt8 MATERIALIZED throwIf(log_index > 5)")
        case .modern: try await server.execute("ALTER TABLE %.logs ADD CONSTRAINT low CHECK log_index < 5")
        }
        let amendment = SmallChain.amendment(5, places: [0, 3, 7])
        let refusal = await #expect(throws: RowsRefused.self) { try await stream.amend([amendment]) }
        let rows = try #require(refusal).rows
        #expect(rows.map(\.row) == ["log 7"] && rows.map(\.block) == [SmallChain.position(5)])
        let query = "SELECT toString(log_index), ifNull(note, '-') FROM %.logs_current WHERE block_number = 5 ORDER BY log_index"
        #expect(try await server.rows(query) == [["0", "-"], ["1", "-"]])
        try await stream.amend([amendment.without(rows)])
        #expect(try await server.rows(query) == [["0", "new"], ["1", "-"], ["3", "new"]])
    }

    @Test("a refusal for another reason than rows is no search")
    func codes() {
        #expect(ClickHouseFault.isOfRows(status: 500, body: "Code: 469. DB::Exception: Constraint"))
        #expect(ClickHouseFault.isOfRows(status: 413, body: "<html>Request Entity Too Large</html>"))
        #expect(!ClickHouseFault.isOfRows(status: 500, body: "Code: 241. DB::Exception: Memory limit"))
        #expect(!ClickHouseFault.isOfRows(status: 404, body: "Code: 60. DB::Exception: Table"))
        #expect(!ClickHouseFault.isOfRows(status: 503, body: ""))
    }
}
