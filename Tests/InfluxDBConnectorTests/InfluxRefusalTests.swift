import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import InfluxDBConnector

/// Rows that the server does not take for what they hold, and all others with their position.
@Suite(.influxdb, .enabled(if: TestServices.hasInfluxDB, "InfluxDB is not installed")) struct InfluxRefusalTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    /// A tag that is longer than any key of a point may be.
    private let poison = String(repeating: "p", count: 70_000)

    /// Blocks 5 to 11 (8 logs) with notes at some places.
    private func batch(_ places: [Int]) -> Batch {
        let good = SmallChain.batch(5...11)
        let logs = good.tables[1]
        var note = ColumnBuilder(.string)
        for row in 0..<logs.rowCount { note.append(places.contains(row) ? poison : "fine") }
        var columns = logs.columns
        columns[6] = note.finish()
        return Batch(
            chainID: 1, span: good.span,
            tables: [good.tables[0], Table(schema: SmallChain.logs, columns: columns, rowCount: logs.rowCount)])
    }

    private let names = (5...11 as ClosedRange<UInt64>).flatMap { number in (0..<number % 3).map { "\(number) log \($0)" } }

    private func tagged(_ options: inout InfluxSinkOptions) { options.tables = ["logs": InfluxTableOptions(tags: ["note"])] }

    @Test(
        "rows that are refused, at whatever place, are named with the server's reason, and all others land with the position",
        arguments: [[0], [4], [7], [0, 4, 7], Array(0..<8)], [5_000, 3])
    func refused(_ places: [Int], _ batchRows: Int) async throws {
        let server = try Server("refused\(places.count)_\(places[0])_\(batchRows)")
        let sink = server.sink {
            tagged(&$0)
            $0.batchRows = batchRows
        }
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        let refusal = await #expect(throws: RowsRefused.self) {
            _ = try await stream.write(batch(places))
            _ = try await stream.flush()
        }
        let rows = try #require(refusal).rows
        #expect(rows.map { "\($0.block.number) \($0.row)" } == places.map { names[$0] })
        for row in rows {
            #expect(row.table == "logs" && row.reason == "influxdb_row" && row.block == SmallChain.position(row.block.number))
            #expect(row.message.contains("max key length exceeded"), "\(row.message)")
            #expect(row.payload.contains("\"block_number\":\(row.block.number)") && row.payload.contains("\"note\":\"pppp"))
        }
        // The position waits until the caller has kept them.
        #expect(server.segments.load(id) == [SmallChain.segment(1...4)])
        #expect(try await stream.flush() == SmallChain.position(11))
        #expect(server.segments.load(id) == [SmallChain.segment(1...11)])
        let logs = try await server.ask("SELECT * FROM logs WHERE block_number > 4")
        let found = logs.map { "\($0["block_number"] ?? "") log \($0["log_index"] ?? "")" }
        #expect(found == names.indices.filter { !places.contains($0) }.map { names[$0] })
        #expect(try await server.ask("SELECT number FROM blocks").count == 11)
    }

    @Test("rows that would be one point with another, or have no time, are refused here, and all others land")
    func misfits() async throws {
        let server = try Server("misfits")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        let good = SmallChain.batch(1...8)
        var place = ColumnBuilder(.int64)
        // The sixth row is a million places behind the fifth, in the same block: one moment.
        for row in 0..<good.tables[1].rowCount { place.append(row == 5 ? 2_000_000 : row == 6 ? 3_000_000 : UInt64(row)) }
        var columns = good.tables[1].columns
        columns[4] = place.finish()
        let logs = Table(schema: SmallChain.logs, columns: columns, rowCount: good.tables[1].rowCount)
        _ = try await stream.write(Batch(chainID: 1, span: good.span, tables: [good.tables[0], logs]))
        let numbers = (0..<logs.rowCount).compactMap { logs.blockNumber($0) }
        try #require(numbers.count == 9 && numbers[7] == 8 && numbers[8] == 8 && numbers[5] == 5 && numbers[6] == 7)
        #expect(try await stream.flush() == SmallChain.position(8))
        #expect(try await server.ask("SELECT log_index FROM logs").count == 9)
        // Now in one block.
        var same = good.tables[1].columns
        var places = ColumnBuilder(.int64)
        for row in 0..<9 { places.append(row == 7 ? 2_000_000 : row == 8 ? 3_000_000 : UInt64(row)) }
        same[4] = places.finish()
        let other = try Server("misfits_one")
        let second = try await other.sink().open(id, tables: SmallChain.schemas)
        let refusal = await #expect(throws: RowsRefused.self) {
            _ = try await second.write(
                Batch(
                    chainID: 1, span: good.span,
                    tables: [good.tables[0], Table(schema: SmallChain.logs, columns: same, rowCount: 9)]))
        }
        #expect(refusal?.rows.map { "\($0.block.number) \($0.row) \($0.reason)" } == ["8 log 3000000 influxdb_time"])
        #expect(try await second.flush() == SmallChain.position(8))
        #expect(try await other.ask("SELECT log_index FROM logs").count == 8)
        // Beyond the year 2262.
        let late = SmallChain.batch(9...10, start: 9_300_000_000)
        let none = await #expect(throws: RowsRefused.self) { _ = try await second.write(late) }
        #expect(none?.rows.count == 3 && none?.rows.allSatisfy { $0.message.contains("2262") } == true)
        #expect(try await second.flush() == SmallChain.position(10))
    }

    @Test("an amendment goes in without the row that is refused")
    func amended() async throws {
        let server = try Server("refused_amendment")
        let stream = try await server.sink(tagged).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...8))
        _ = try await stream.flush()
        let amendment = SmallChain.amendment(5, places: [1], note: poison)
        let refusal = await #expect(throws: RowsRefused.self) { try await stream.amend([amendment]) }
        let rows = try #require(refusal).rows
        #expect(rows.map(\.row) == ["log 1"] && rows.map(\.block) == [SmallChain.position(5)])
        try await stream.amend([amendment.without(rows)])
        #expect(try await server.ask("SELECT log_index FROM logs WHERE block_number = 5").compactMap { $0["log_index"] as? Int64 } == [0])
        #expect(try await stream.coverage() == [SmallChain.segment(1...8)])
    }

    @Test("when the store takes no row at all it is an error that somebody must look at, not a letter for each")
    func hopeless() async throws {
        let server = try Server("refused_all")
        // The same field of another type: every row of blocks is refused.
        try await server.ask("CREATE DATABASE refused_all")
        try await server.put("blocks,chain_id=1 hash=1i 1700000012000000001")
        let stream = try await server.sink().open(id, tables: [SmallChain.blocks])
        let good = SmallChain.batch(1...40)
        _ = try await stream.write(Batch(chainID: 1, span: good.span, tables: [good.tables[0]]))
        await #expect { _ = try await stream.flush() } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("at least 15 more") && "\($0)".contains("field type conflict")
        }
        #expect(try await stream.coverage() == [])
    }

    @Test("requests go side by side once some went well, and back to one when the server is busy")
    func concurrency() async throws {
        let busy = Mutex(0)
        let middle = try ScriptedServer { request in
            if request.path.hasPrefix("/write"),
                busy.withLock({
                    $0 -= 1; return $0 >= 0
                })
            {
                return [.send(Array("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".utf8))]
            }
            let body = request.path.hasPrefix("/query") ? #"{"results":[{}]}"# : ""
            return [.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8))]
        }
        defer { middle.stop() }
        let server = try Server("concurrency")
        let options = server.options {
            $0.url = Secret(middle.url)
            $0.batchRows = 4
            $0.retryBudget = .seconds(60)
        }
        // Each look at the clock is a millisecond later than the last, however slow this machine is.
        let looks = Mutex(0)
        let time = TimeSource(
            now: {
                MonotonicTime(
                    sinceStart: .milliseconds(
                        looks.withLock {
                            $0 += 1; return $0
                        }))
            }, sleep: { _ in })
        let sink = InfluxSink(options, segments: server.segments, time: time, log: .disabled)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        for first in stride(from: UInt64(1), to: 40, by: 2) { _ = try await stream.write(SmallChain.batch(first...first + 1)) }
        _ = try await stream.flush()
        let writer = try #require(stream as? InfluxSinkStream).writer
        let gate = await writer.server.gate
        #expect(gate.current == 4)
        busy.withLock { $0 = 1 }
        _ = try await stream.write(SmallChain.batch(41...43))
        #expect(try await stream.flush() == SmallChain.position(43))
        #expect(gate.current < 4 && server.segments.load(id) == [SmallChain.segment(1...43)])
    }
}
