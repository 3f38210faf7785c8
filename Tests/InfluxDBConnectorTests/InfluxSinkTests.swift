import Glibc
import SluiceConfig
import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Testing

@testable import InfluxDBConnector

/// Against a real InfluxDB.
@Suite(.influxdb, .enabled(if: TestServices.hasInfluxDB, "InfluxDB is not installed: scripts/setup --test")) struct InfluxSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    @Test("a batch waits for company, a flush makes it durable, another process goes on from there")
    func flush() async throws {
        let server = try Server("flush")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        #expect(try await stream.write(SmallChain.batch(1...5)) == nil)
        #expect(server.segments.load(id) == [])
        #expect(try await stream.flush() == SmallChain.position(5))
        #expect(try await stream.flush() == nil)
        #expect(server.segments.load(id) == [SmallChain.segment(1...5)])
        let next = try await server.sink().open(id, tables: SmallChain.schemas)
        #expect(try await next.coverage() == [SmallChain.segment(1...5)])
        _ = try await next.write(SmallChain.batch(6...9))
        #expect(try await next.finish() == SmallChain.position(9))
        try await server.expect(Array(1...9))
    }

    @Test("requests are cut by rows and by bytes, and sent when they are old", arguments: [1, 3, 1_000_000])
    func cuts(_ rows: Int) async throws {
        let server = try Server("cuts_\(rows)")
        let clock = ManualClock()
        let sink = InfluxSink(
            server.options {
                $0.batchRows = rows
                $0.requests = 1
                $0.batchAge = .seconds(5)
                $0.compresses = rows > 1
            }, segments: server.segments, time: clock.timeSource, log: .disabled)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        let first = try await stream.write(SmallChain.batch(1...20))
        #expect(first == (rows < 20 ? SmallChain.position(20) : nil))
        clock.advance(by: .seconds(6))
        // With 3 rows a request nothing waits since long: all was sent.
        #expect(try await stream.write(SmallChain.batch(21...21)) == (rows == 3 ? nil : SmallChain.position(21)))
        #expect(try await stream.flush() == (rows == 3 ? SmallChain.position(21) : nil))
        try await server.expect(Array(1...21))
    }

    @Test("rows that come again write over themselves, in one process and in the next")
    func again() async throws {
        let server = try Server("again")
        for _ in 0..<2 {
            let stream = try await server.sink().open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...30))
            _ = try await stream.flush()
            // As if the state file had been lost before the position was noted.
            server.segments.save([], of: id)
        }
        try await server.expect(Array(1...30))
    }

    @Test("no two rows of a block, and no two blocks of a second, are one point")
    func unique() async throws {
        let server = try Server("unique")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        // Ten blocks of one second, around a multiple of 1,000, with a thousand logs each.
        var parent = Hash32.zero
        for number in UInt64(1995)...2004 {
            var builders = SmallChain.logs.fields.map { ColumnBuilder($0.type) }
            for place in 0..<UInt64(1000) {
                builders[0].append(UInt64(1))
                builders[1].append(number)
                builders[2].append(bytes: SmallChain.hash(number).bytes)
                builders[3].append(Int64(5_000_000))
                builders[4].append(place)
                builders[5].append(bytes: [UInt8]())
                builders[6].appendNull()
            }
            let table = Table(schema: SmallChain.logs, columns: builders.map { $0.finish() }, rowCount: 1000)
            let span = Span(number, parentHash: parent, block: BlockStamp(hash: SmallChain.hash(number), timestamp: 5))
            parent = span.last.hash
            _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
        }
        _ = try await stream.flush()
        let logs = try await server.ask("SELECT block_number, log_index FROM logs WHERE time >= 5s AND time < 6s")
        let places = Set(logs.compactMap { row in (row["block_number"] as? Int64).map { [$0, row["log_index"] as? Int64 ?? -1] } })
        #expect(logs.count == 10_000 && places.count == 10_000)
    }

    @Test("what is there, and what does not descend from it, is refused, and nothing is lost by it")
    func order() async throws {
        let server = try Server("refused")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        for batch in [SmallChain.batch(5...6), SmallChain.batch(6...7, fork: 1)] {
            await #expect { _ = try await stream.write(batch) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
        }
        _ = try await stream.write(SmallChain.batch(6...7))
        _ = try await stream.write(SmallChain.batch(20...22))
        #expect(try await stream.flush() == SmallChain.position(22))
        #expect(try await stream.coverage() == [SmallChain.segment(1...7), SmallChain.segment(20...22)])
        _ = try await stream.write(SmallChain.batch(8...19))
        _ = try await stream.flush()
        #expect(try await stream.coverage() == [SmallChain.segment(1...22)])
        try await server.expect(Array(1...22))
    }

    @Test("a rollback leaves the rows up to its position, and other segments", arguments: [false, true], [0, 3, 7] as [UInt64])
    func rollback(_ another: Bool, _ kept: UInt64) async throws {
        let server = try Server("rollback_\(another)_\(kept)")
        var stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.write(SmallChain.batch(5...9))
        _ = try await stream.write(SmallChain.batch(20...21))
        if another {
            _ = try await stream.flush()
            stream = try await server.sink().open(id, tables: SmallChain.schemas)
        }
        try await stream.rollback(to: SmallChain.position(kept))
        try await server.expect((kept > 0 ? Array(1...kept) : []) + [20, 21])
        let left = (kept > 0 ? [SmallChain.segment(1...kept)] : []) + [SmallChain.segment(20...21)]
        #expect(try await stream.coverage() == left)
        _ = try await stream.write(SmallChain.batch(kept + 1...9, fork: 1, parentFork: 0))
        _ = try await stream.flush()
        let hashes = try await server.ask("SELECT hash FROM blocks WHERE number > \(kept) AND number < 20").compactMap {
            $0["hash"] as? String
        }
        let expected = (kept + 1...9).map { SmallChain.hash($0, fork: 1).description }
        #expect(hashes == expected)
    }

    @Test("rows that are amended are there once, however often, and others are let alone", arguments: [false, true])
    func amend(_ flushed: Bool) async throws {
        let server = try Server("amend_\(flushed)")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...8))
        if flushed { _ = try await stream.flush() }
        for _ in 0..<2 {
            try await stream.amend([
                SmallChain.amendment(5, places: [1, 7]), SmallChain.amendment(8, places: [0, 1], rows: [1], note: "only"),
            ])
        }
        let logs = try await server.ask("SELECT block_number, log_index, note FROM logs WHERE block_number >= 5")
        let found = logs.map { "\($0["block_number"] ?? "") \($0["log_index"] ?? "") \($0["note"] ?? "-")" }
        #expect(found == ["5 0 -", "5 1 new", "5 7 new", "7 0 -", "8 1 only"])
        for (amendment, code) in [
            (SmallChain.amendment(9, places: [0]), SluiceError.Code.blockNotHeld),
            (SmallChain.amendment(8, places: [0], fork: 1), .blockDiffers),
        ] {
            await #expect { try await stream.amend([amendment]) } throws: { ($0 as? SluiceError)?.code == code }
        }
        #expect(try await server.ask("SELECT * FROM logs").count == 9)
    }

    @Test(
        "of a request with rows that are too old for the store the others are stored, and the error names the first with the server's reason"
    )
    func refusedRows() async throws {
        let server = try Server("poison")
        try await server.ask("CREATE DATABASE poison WITH DURATION 2h")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        // Blocks up to 7 are older than what the database keeps.
        let batches = [SmallChain.batch(1...7, start: Self.now() - 100_000), SmallChain.batch(8...20, start: Self.now() - 3_000)]
        await #expect {
            for batch in batches { _ = try await stream.write(batch) }
            _ = try await stream.flush()
        } throws: { error in
            let error = error as? SluiceError
            return error?.class == .pause && error?.code == .influxRow
                && error?.message.contains("number 1 of blocks in block 1, and 13 more: ") == true
                && error?.message.contains("points beyond retention policy") == true
        }
        #expect(try await server.ask("SELECT number FROM blocks").compactMap { $0["number"] as? Int64 } == Array(8...20))
        #expect(server.segments.load(id) == [])
        // Once that is mended the same rows go in.
        try await server.ask("ALTER RETENTION POLICY autogen ON poison DURATION 0s")
        await #expect { _ = try await stream.write(SmallChain.batch(1...2)) } throws: { ($0 as? SluiceError)?.class == .retry }
        #expect(try await stream.coverage() == [])
        for batch in batches { _ = try await stream.write(batch) }
        #expect(try await stream.flush() == SmallChain.position(20))
        try await server.expect(Array(1...20))
    }

    private static func now() -> UInt64 {
        var spec = timespec()
        clock_gettime(CLOCK_REALTIME, &spec)
        return UInt64(spec.tv_sec)
    }

    @Test("a row with a field of another type is refused by name, not lost")
    func conflict() async throws {
        let server = try Server("conflict")
        let first = try await server.sink().open(id, tables: [SmallChain.blocks])
        _ = try await first.write(blocksOnly(1...1))
        _ = try await first.flush()
        let other = Schema(
            name: "blocks", key: SmallChain.blocks.key, doc: "",
            fields: SmallChain.blocks.fields.map { $0.name == "timestamp" ? Field("timestamp", .string, "") : $0 })
        let stream = try await server.sink().open(id, tables: [other])
        var columns = blocksOnly(2...2).tables[0].columns
        var text = ColumnBuilder(.string)
        text.append("noon")
        columns[3] = text.finish()
        let table = Table(schema: other, columns: columns, rowCount: 1)
        _ = try await stream.write(Batch(chainID: 1, span: SmallChain.batch(2...2).span, tables: [table]))
        let refusal = await #expect(throws: RowsRefused.self) { _ = try await stream.flush() }
        #expect(refusal?.rows.map { "\($0.block.number) \($0.row) of \($0.table)" } == ["2 number 2 of blocks"])
        #expect(refusal?.rows[0].message.contains("field type conflict") == true)
        #expect(refusal?.rows[0].payload.contains("noon") == true)
        #expect(try await server.ask("SELECT number FROM blocks").count == 1)
    }

    private func blocksOnly(_ range: ClosedRange<UInt64>) -> Batch {
        let batch = SmallChain.batch(range)
        return Batch(chainID: 1, span: batch.span, tables: [batch.tables[0]])
    }

    @Test("a server that goes and comes back: the stream resumes from its position")
    func gone() async throws {
        let server = try Server("gone")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...3))
        _ = try await stream.flush()
        let nowhere = InfluxSink(server.options { $0.url = Secret("http://127.0.0.1:1") }, segments: server.segments, log: .disabled)
        await #expect { _ = try await nowhere.open(id, tables: SmallChain.schemas) } throws: { ($0 as? SluiceError)?.class == .retry }
        let sink = server.sink()
        let next = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await next.write(SmallChain.batch(4...6))
        await sink.close()
        await #expect { _ = try await next.flush() } throws: { ($0 as? SluiceError)?.class == .retry }
        #expect(server.segments.load(id) == [SmallChain.segment(1...3)])
    }

    @Test("a table that joins or leaves a stream which holds blocks is refused; before, it may")
    func tables() async throws {
        let server = try Server("tables")
        _ = try await server.sink().open(id, tables: [SmallChain.blocks])
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...2))
        _ = try await stream.flush()
        await #expect { _ = try await server.sink().open(id, tables: [SmallChain.blocks]) } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("asks for other tables")
        }
        let sink = server.sink()
        _ = try await sink.open(id, tables: SmallChain.schemas)
        await #expect { _ = try await sink.open(StreamID(pipeline: "q", chainID: 1), tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config && "\($0)".contains("would write the same points")
        }
        _ = try await sink.open(StreamID(pipeline: "q", chainID: 2), tables: SmallChain.schemas)
    }

    @Test("what a configuration names and is not there is one clear error each")
    func refusals() async throws {
        let server = try Server("it's \"here\"; --")
        await #expect { _ = try await server.sink { $0.createsDatabase = false }.open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config && "\($0)".contains("no such database")
        }
        _ = try await server.sink().open(id, tables: SmallChain.schemas)
        let cases: [((inout InfluxSinkOptions) -> Void, String)] = [
            (
                { $0.interface = .database(server.database, retentionPolicy: "weekly") },
                "no retention policy weekly (its policies are autogen)"
            ),
            ({ $0.interface = nil }, "neither a database nor a bucket"),
            ({ $0.measurement = "all" }, "would be one measurement"),
            ({ $0.tables = ["logs": InfluxTableOptions(tags: ["nothing"])] }, "table logs has no column nothing"),
        ]
        for (adjust, said) in cases {
            await #expect { _ = try await server.sink(adjust).open(id, tables: SmallChain.schemas) } throws: {
                ($0 as? SluiceError)?.class == .config && "\($0)".contains(said)
            }
        }
    }
}
