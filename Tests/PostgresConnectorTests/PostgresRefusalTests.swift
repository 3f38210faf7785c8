import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Rows that the server does not take, whatever the reason, and all others with their position.
@Suite(.serialized, .postgres, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not installed")) struct PostgresRefusalTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// Blocks 5 to 8 (2, 0, 1, 2 logs) with these notes.
    private func batch(_ notes: [String?]) -> Batch {
        let good = SmallChain.batch(5...8)
        var columns = good.tables[1].columns
        var note = ColumnBuilder(.string)
        for text in notes { if let text { note.append(text) } else { note.appendNull() } }
        columns[6] = note.finish()
        return Batch(
            chainID: 1, span: good.span,
            tables: [good.tables[0], Table(schema: SmallChain.logs, columns: columns, rowCount: good.tables[1].rowCount)])
    }

    private let names = [(5, 0), (5, 1), (7, 0), (8, 0), (8, 1)].map { "\($0.0) log \($0.1)" }

    private func expect(_ server: Server, _ stream: any SinkStream, without bad: Set<Int>) async throws {
        #expect(try await stream.flush() == SmallChain.position(8))
        #expect(try await stream.coverage() == [SmallChain.segment(1...8)])
        let found = try server.rows(
            "SELECT block_number || ' log ' || log_index FROM logs WHERE block_number > 4 ORDER BY block_number, log_index")
        #expect(found == names.indices.filter { !bad.contains($0) }.map { [names[$0]] })
        #expect(try server.rows("SELECT count(*) FROM blocks") == [["8"]])
    }

    enum Reason: CaseIterable {
        case zeroByte, check, trigger, unique
    }

    @Test(
        "rows that are refused, at whatever place, are named with the server's reason, and all others land with the position",
        arguments: [[0], [2], [4], [0, 2, 4], [0, 1, 2, 3, 4]], Reason.allCases)
    func refused(_ places: [Int], _ reason: Reason) async throws {
        let server = try Server("refused_\(reason)_\(places.map { "\($0)" }.joined())".lowercased())
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        let said: String
        switch reason {
        case .zeroByte: said = "has a value for note that cannot be stored"
        case .check:
            try server.execute("ALTER TABLE logs ADD CONSTRAINT no_poison CHECK (note <> 'poison')")
            said = "violates check constraint \"no_poison\""
        case .trigger:
            try server.execute(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN IF new.note = 'poison' THEN RAISE EXCEPTION 'we take no poison'; END IF; RETURN new; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION refuse()
                """)
            said = "we take no poison"
        case .unique:
            // What was there before, and so each of the new ones, has it.
            try server.execute("CREATE UNIQUE INDEX once ON logs (note); UPDATE logs SET note = 'poison' WHERE block_number = 4")
            said = "violates unique constraint \"once\""
        }
        let poison = reason == .zeroByte ? "zero \u{0} byte" : "poison"
        let batch = batch(names.indices.map { places.contains($0) ? poison : nil })
        let refusal = await #expect(throws: RowsRefused.self) {
            _ = try await stream.write(batch)
            _ = try await stream.flush()
        }
        let rows = try #require(refusal).rows
        #expect(rows.map { "\($0.block.number) \($0.row)" } == places.map { names[$0] })
        for row in rows {
            #expect(row.table == "logs" && row.reason == "postgres_data" && row.block == SmallChain.position(row.block.number))
            #expect(row.message.contains(said), "\(row.message)")
            #expect(row.payload.contains("\"block_number\":\(row.block.number)") && row.payload.contains("\"log_index\""))
        }
        // Nothing is there before it is asked for again.
        #expect(try server.rows("SELECT count(*) FROM blocks") == [["4"]])
        try await expect(server, stream, without: Set(places))
    }

    @Test("of rows that do not go together the later one is refused")
    func pairs() async throws {
        let server = try Server("refused_pairs")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        try server.execute("CREATE UNIQUE INDEX once ON logs (note)")
        _ = try await stream.write(batch(["a", "b", "a", nil, "b"]))
        let refusal = await #expect(throws: RowsRefused.self) { _ = try await stream.flush() }
        #expect(refusal?.rows.map { "\($0.block.number) \($0.row)" } == [names[2], names[4]])
        try await expect(server, stream, without: [2, 4])
    }

    @Test("a rollback that meets refused rows is done by asking again")
    func rollback() async throws {
        let server = try Server("refused_rollback")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        _ = try await stream.write(batch([nil, "zero \u{0} byte", nil, nil, nil]))
        await #expect(throws: RowsRefused.self) { try await stream.rollback(to: SmallChain.position(6)) }
        #expect(try server.rows("SELECT count(*) FROM blocks") == [["4"]])
        try await stream.rollback(to: SmallChain.position(6))
        #expect(try await stream.coverage() == [SmallChain.segment(1...6)])
        #expect(try server.rows("SELECT block_number, log_index FROM logs WHERE block_number > 4") == [["5", "0"]])
        // Below what is stored as well.
        _ = try await stream.write(SmallChain.batch(7...8))
        try await stream.rollback(to: SmallChain.position(3))
        #expect(try await stream.coverage() == [SmallChain.segment(1...3)])
    }

    @Test("an amendment with a refused row changes nothing, and goes in without it")
    func amended() async throws {
        let server = try Server("refused_amendment")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...8))
        _ = try await stream.flush()
        try server.execute("ALTER TABLE logs ADD CONSTRAINT low CHECK (log_index < 5)")
        let amendment = SmallChain.amendment(5, places: [0, 3, 7])
        let refusal = await #expect(throws: RowsRefused.self) { try await stream.amend([amendment]) }
        let rows = try #require(refusal).rows
        #expect(rows.map(\.row) == ["log 7"] && rows.map(\.block) == [SmallChain.position(5)])
        #expect(try server.rows("SELECT log_index FROM logs WHERE block_number = 5 ORDER BY 1") == [["0"], ["1"]])
        try await stream.amend([amendment.without(rows)])
        #expect(try server.rows("SELECT log_index FROM logs WHERE block_number = 5 ORDER BY 1") == [["0"], ["1"], ["3"]])
    }

    @Test("what is no row's fault stays an error of its own class")
    func others() async throws {
        let server = try Server("refused_others")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        try server.execute("ALTER TABLE logs DROP COLUMN note")
        _ = try await stream.write(SmallChain.batch(1...4))
        await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .pause }
        #expect(try await stream.coverage() == [])
    }
}
