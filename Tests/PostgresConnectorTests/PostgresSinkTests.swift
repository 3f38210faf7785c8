import PostgresConnector
import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

// One behind the other: one of them ends all sessions of the server.
@Suite(.serialized, .postgres, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not installed")) struct PostgresSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// Rows of the chain's first blocks: from 1 to `last`, on a fork from some block on.
    private func expectBlocks(_ server: Server, upTo last: UInt64, fork: UInt8 = 0, from: UInt64 = .max) throws {
        let found = try server.rows(
            "SELECT number, encode(hash, 'hex'), base_fee, extract(epoch FROM timestamp)::bigint FROM blocks ORDER BY number")
        let expected = (1...last).map { number -> [String?] in
            let hash = SmallChain.hash(number, fork: number >= from ? fork : 0)
            return [
                "\(number)", String(hash.description.dropFirst(2)), number % 2 == 0 ? UInt256.max.description : nil,
                "\(1_700_000_000 + number * 12)",
            ]
        }
        #expect(found == expected)
        let logs = (1...last).reduce(0) { $0 + $1 % 3 }
        #expect(try server.rows("SELECT count(*), count(DISTINCT (block_number, log_index)) FROM logs") == [["\(logs)", "\(logs)"]])
    }

    @Test("rows and position land together, and a new sink goes on from there")
    func positionAndRows() async throws {
        let server = try Server("positions")
        let sink = PostgresSink(server.options)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        #expect(try await stream.coverage() == [])
        #expect(try await stream.write(SmallChain.batch(1...10)) == nil)
        #expect(try await stream.flush() == SmallChain.position(10))
        #expect(try await stream.write(SmallChain.batch(11...15)) == nil)
        await sink.close()
        // What was not flushed is gone, with its position.
        try expectBlocks(server, upTo: 10)
        let again = PostgresSink(server.options)
        let resumed = try await again.open(id, tables: SmallChain.schemas)
        #expect(try await resumed.coverage() == [SmallChain.segment(1...10)])
        _ = try await resumed.write(SmallChain.batch(11...20))
        #expect(try await resumed.finish() == SmallChain.position(20))
        await again.close()
        try expectBlocks(server, upTo: 20)
    }

    @Test("a full transaction is committed and reported once")
    func thresholds() async throws {
        let server = try Server("thresholds", commitRows: 20)
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        #expect(try await stream.write(SmallChain.batch(1...6)) == nil)
        #expect(try await stream.write(SmallChain.batch(7...12)) == SmallChain.position(12))
        #expect(try await stream.write(SmallChain.batch(13...13)) == nil)
        try expectBlocks(server, upTo: 12)
    }

    @Test("what is orphaned is taken off in one step with the position, held or stored")
    func rollback() async throws {
        let server = try Server("orphans")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...14))
        try await stream.rollback(to: SmallChain.position(12))
        #expect(try await stream.coverage() == [SmallChain.segment(1...12)])
        try expectBlocks(server, upTo: 12)
        try await stream.rollback(to: SmallChain.position(6))
        _ = try await stream.write(SmallChain.batch(7...9, fork: 1, parentFork: 0))
        #expect(try await stream.flush() == SmallChain.position(9, fork: 1))
        try expectBlocks(server, upTo: 9, fork: 1, from: 7)
        try await stream.rollback(to: SmallChain.position(0))
        #expect(try await stream.coverage() == [])
        #expect(try server.rows("SELECT (SELECT count(*) FROM blocks) + (SELECT count(*) FROM logs)") == [["0"]])
    }

    @Test("rows that are there already are no rows more, and the newer one counts")
    func duplicates() async throws {
        let server = try Server("duplicates")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        // Somebody lost the position, and changed a row.
        try server.execute("DELETE FROM sluice.segments WHERE tables_in = 'duplicates'; UPDATE logs SET note = 'old'")
        let again = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await again.write(SmallChain.batch(1...12))
        _ = try await again.flush()
        try expectBlocks(server, upTo: 12)
        #expect(try server.rows("SELECT count(*) FROM logs WHERE note = 'old'") == [["0"]])
    }

    @Test("rows for places of blocks that are there take the place of what is there, as often as they come; other blocks are refused")
    func amended() async throws {
        let server = try Server("amended")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...14))
        for _ in 1...2 {
            try await stream.amend([
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(8, places: [0, 1], rows: []),
                SmallChain.amendment(14, places: [1]),
            ])
            let found = try server.rows("SELECT block_number, log_index FROM logs WHERE block_number IN (5, 8, 14) ORDER BY 1, 2")
            #expect(found == [["5", "0"], ["5", "1"], ["5", "7"], ["14", "0"], ["14", "1"]])
        }
        #expect(try await stream.coverage() == [SmallChain.segment(1...14)])
        for (amendment, code) in [
            (SmallChain.amendment(15, places: [0]), SluiceError.Code.blockNotHeld),
            (SmallChain.amendment(14, places: [0], fork: 1), .blockDiffers), (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
        ] {
            await #expect { try await stream.amend([SmallChain.amendment(5, places: [3]), amendment]) } throws: {
                ($0 as? SluiceError)?.code == code
            }
        }
        // Nothing of a refused step is there.
        #expect(try server.rows("SELECT count(*) FROM logs WHERE log_index = 3") == [["0"]])
        _ = try await stream.write(SmallChain.batch(15...16))
        #expect(try await stream.flush() == SmallChain.position(16))
    }

    @Test("a process that another has taken over from may not write any more")
    func fenced() async throws {
        let server = try Server("fenced")
        let old = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(1...5))
        _ = try await old.flush()
        let new = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(6...9))
        await #expect { _ = try await old.flush() } throws: {
            ($0 as? SluiceError)?.code == .postgresFenced && ($0 as? SluiceError)?.class == .config
        }
        _ = try await new.write(SmallChain.batch(6...7))
        #expect(try await new.flush() == SmallChain.position(7))
        try expectBlocks(server, upTo: 7)
    }

    @Test("a server that ends sessions, or is stopped and started, loses nothing that was said to be stored")
    func serverGoesAway() async throws {
        let server = try Server("away")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(6...8))
        try server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND pid <> pg_backend_pid()")
        await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .retry }
        // What was held is to be sent again, from where the store stands.
        await #expect { _ = try await stream.write(SmallChain.batch(9...9)) } throws: { ($0 as? SluiceError)?.class == .retry }
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        _ = try await stream.write(SmallChain.batch(6...9))
        #expect(try await stream.flush() == SmallChain.position(9))
        try expectBlocks(server, upTo: 9)
    }

    @Test("a column that is new is added, one of another type is refused, and so is a table that joins later")
    func migration() async throws {
        let server = try Server("migrations")
        let stream = try await PostgresSink(server.options).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...3))
        _ = try await stream.flush()
        let wider = Schema(
            name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [Field("extra", .json, nullable: true, "")])
        _ = try await PostgresSink(server.options).open(id, tables: [SmallChain.blocks, wider])
        #expect(try server.rows("SELECT count(*) FROM logs WHERE extra IS NULL") == [["3"]])
        let other = Schema(
            name: "logs", key: SmallChain.logs.key, doc: "",
            fields: SmallChain.logs.fields.map { $0.name == "log_index" ? Field("log_index", .string, "") : $0 })
        for (tables, said) in [
            ([SmallChain.blocks, other], "is bigint, not text"), ([SmallChain.blocks], "no longer asks for table logs"),
        ] {
            await #expect { _ = try await PostgresSink(server.options).open(id, tables: tables) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains(said)
            }
        }
        await #expect {
            _ = try await PostgresSink(server.options).open(StreamID(pipeline: "q", chainID: 1), tables: SmallChain.schemas)
        } throws: {
            "\($0)".contains("as pipeline p wrote it")
        }
    }

    @Test("wrong credentials, databases and servers are one clear error each, without the password")
    func refusals() async throws {
        let server = try Server("refusals")
        let url = server.options.url.reveal()
        let port = try #require(url.split(separator: ":").last?.split(separator: "/").first)
        let cases: [(String, SluiceError.Class, String)] = [
            ("postgresql://nobody:hunter2@127.0.0.1:\(port)/sluice", .pause, "role \"nobody\" does not exist"),
            ("postgresql://sluice:hunter2@127.0.0.1:\(port)/nothing", .pause, "database \"nothing\" does not exist"),
            ("postgresql://sluice:hunter2@127.0.0.1:1/sluice", .retry, "Connection refused"),
        ]
        for (url, kind, said) in cases {
            let sink = PostgresSink(PostgresSinkOptions(url: url, shown: "here"))
            await #expect { _ = try await sink.open(id, tables: SmallChain.schemas) } throws: { error in
                (error as? SluiceError)?.class == kind && "\(error)".contains(said) && !"\(error)".contains("hunter2")
            }
        }
    }

    @Test(
        "names from outside are names, whatever they hold", arguments: ["a\"b", "x'; DROP TABLE blocks; --", "ünï", "SELECT", "a b", "\\"])
    func hostile(_ name: String) async throws {
        let server = try Server(name)
        let id = StreamID(pipeline: name + "'\"", chainID: .max)
        let table = Schema(
            name: "t\(name)", key: ["chain_id", name], doc: "",
            fields: [Field("chain_id", .uint64, ""), Field("block_number", .int64, ""), Field(name, .string, "")])
        let stream = try await PostgresSink(server.options).open(id, tables: [table])
        var columns = table.fields.map { ColumnBuilder($0.type) }
        columns[0].append(UInt64.max)
        columns[1].append(Int64(1))
        columns[2].append(name)
        let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(1), timestamp: 1)])
        _ = try await stream.write(
            Batch(chainID: .max, span: span, tables: [Table(schema: table, columns: columns.map { $0.finish() }, rowCount: 1)]))
        _ = try await stream.flush()
        let quoted = PostgresConnection.quoted(table.name)
        #expect(
            try PostgresConnection(server.options).rows(
                "SELECT \(PostgresConnection.quoted(name)), chain_id FROM \(PostgresConnection.quoted(name)).\(quoted)", doing: "test"
            ).rows == [[name, "\(UInt64.max)"]])
        try await stream.rollback(to: Position(number: 0, hash: .zero))
        #expect(try await stream.coverage() == [])
    }
}
