import Foundation
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

@testable import RedisConnector

/// Rows that a server does not take for what they hold: it limits the length of one piece.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisRefusalTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    /// The least that a server can be set to.
    private static let limit = 1 << 20

    /// Blocks whose logs at some places have a note of so many bytes.
    private func batch(_ range: ClosedRange<UInt64>, long: Set<String>, bytes: Int = limit) -> Batch {
        let batch = SmallChain.batch(range)
        let logs = batch.tables[1]
        var notes = ColumnBuilder(.string)
        for row in 0..<logs.rowCount {
            let name = "\(logs.columns[1].load(row, as: UInt64.self)) \(logs.columns[4].load(row, as: UInt64.self))"
            if long.contains(name) { notes.append(String(repeating: "x", count: bytes)) } else { notes.appendNull() }
        }
        var columns = logs.columns
        columns[6] = notes.finish()
        return Batch(
            chainID: 1, span: batch.span, tables: [batch.tables[0], Table(schema: logs.schema, columns: columns, rowCount: logs.rowCount)])
    }

    private func refused(_ body: () async throws -> Void) async -> [String] {
        do {
            try await body()
            return []
        } catch let refusal as RowsRefused {
            return refusal.rows.map { "\($0.table) \($0.block.number) \($0.row) \($0.reason)" }
        } catch { return ["\(error)"] }
    }

    private func ids(_ reader: RedisReader) throws -> [String] { try reader.entries("logs:1").map(\.id) }

    private func expected(_ range: ClosedRange<UInt64>, fewer: [UInt64: Int] = [:]) -> [String] {
        range.flatMap { number in (0..<(Int(number % 3) - (fewer[number] ?? 0))).map { "\(number)-\($0 + 1)" } }
    }

    @Test(
        "the first, a middle and the last row of a step are refused, exactly those, and the others are stored",
        arguments: RedisTableOptions.Form.allCases, [RedisTableOptions.Mode.stream, .latest])
    func exactly(_ form: RedisTableOptions.Form, mode: RedisTableOptions.Mode) async throws {
        try await withRedis(["--proto-max-bulk-len", "\(Self.limit)"]) { server, reader in
            let own = RedisTableOptions(mode, key: mode == .latest ? "log:{block_number}:{log_index}" : nil, form: form)
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: ["blocks": RedisTableOptions(.skip), "logs": own]))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            // One that is on its way while it is found out.
            _ = try await stream.write(SmallChain.batch(1...3))
            _ = try await stream.flush()
            _ = try await stream.write(batch(4...6, long: ["4 0"], bytes: Self.limit + 1))
            _ = try await stream.write(batch(7...11, long: ["8 0", "11 1"], bytes: Self.limit + 1))
            #expect(
                await refused { _ = try await stream.flush() } == [
                    "logs 4 log 0 redis_too_long", "logs 8 log 0 redis_too_long", "logs 11 log 1 redis_too_long",
                ])
            // Nothing of the step is there yet.
            #expect(try reader.json("GET", "sluice:p:1:segments") as? String == "1 \(SmallChain.position(3))")
            #expect(try await stream.flush() == SmallChain.position(11))
            #expect(try await stream.coverage() == [SmallChain.segment(1...11)])
            if mode == .stream {
                #expect(try ids(reader) == expected(1...11, fewer: [4: 1, 8: 1, 11: 1]))
            } else {
                let keys = (try reader.json("KEYS", "log:*") as? [String])?.sorted()
                let all = (1...11 as ClosedRange<UInt64>).flatMap { number in (0..<number % 3).map { "log:\(number):\($0)" } }
                #expect(keys == all.filter { !["log:4:0", "log:8:0", "log:11:1"].contains($0) }.sorted())
            }
            await sink.close()
        }
    }

    @Test("a row that just fits is taken")
    func fits() async throws {
        try await withRedis(["--proto-max-bulk-len", "\(Self.limit)"]) { server, reader in
            let tables = ["blocks": RedisTableOptions(.skip), "logs": RedisTableOptions(.stream, form: .fields)]
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(batch(1...2, long: ["1 0", "2 1"], bytes: Self.limit))
            #expect(try await stream.flush() == SmallChain.position(2))
            #expect(try ids(reader) == expected(1...2))
            await sink.close()
        }
    }

    @Test("a server that does not tell its limit shows it, and exactly the rows above it are refused then")
    func learned() async throws {
        try await withRedis(["--proto-max-bulk-len", "\(Self.limit)", "--rename-command", "CONFIG", ""]) { server, reader in
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: ["blocks": RedisTableOptions(.skip)]))
            var stream = try await sink.open(id, tables: SmallChain.schemas)
            // Those that are refused before the server shows that another one is too long are refused again.
            var all: Set<String> = []
            for round in 1...12 {
                do {
                    stream = try await sink.open(id, tables: SmallChain.schemas)
                    if try await stream.coverage() == [] {
                        _ = try await stream.write(batch(1...9, long: ["2 1", "5 0"], bytes: Self.limit + 7))
                    }
                    while true {
                        do {
                            _ = try await stream.flush()
                            break
                        } catch let refusal as RowsRefused {
                            all.formUnion(refusal.rows.map { "\($0.block.number) \($0.row)" })
                        }
                    }
                    break
                } catch let error as SluiceError where error.class == .retry && round < 12 {}
            }
            #expect(all == ["2 log 1", "5 log 0"])
            #expect(try ids(reader) == expected(1...9, fewer: [2: 1, 5: 1]))
            await sink.close()
        }
    }

    @Test("rows that go with a rollback, or stay, are refused once, and the rollback is made when it is asked for again")
    func rollback() async throws {
        try await withRedis(["--proto-max-bulk-len", "\(Self.limit)"]) { server, reader in
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: ["blocks": RedisTableOptions(.skip)]))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            _ = try await stream.write(batch(6...8, long: ["7 0"]))
            _ = try await stream.write(batch(9...11, long: ["10 0", "11 0"]))
            #expect(
                await refused { try await stream.rollback(to: SmallChain.position(10)) }.map { $0.prefix(10) } == [
                    "logs 7 log", "logs 10 lo",
                ])
            try await stream.rollback(to: SmallChain.position(10))
            #expect(try ids(reader) == expected(1...10, fewer: [7: 1, 10: 1]))
            #expect(try await stream.coverage() == [SmallChain.segment(1...10)])
            // Whoever cannot keep them reads again.
            _ = try await stream.write(batch(11...11, long: ["11 0"]))
            #expect(await refused { _ = try await stream.flush() }.count == 1)
            #expect(try await stream.coverage() == [SmallChain.segment(1...10)])
            _ = try await stream.write(SmallChain.batch(11...11))
            #expect(try await stream.flush() == SmallChain.position(11))
            await sink.close()
        }
    }

    @Test("a row that is too long is refused out of an amendment, and nothing is changed")
    func amended() async throws {
        try await withRedis(["--proto-max-bulk-len", "\(Self.limit)"]) { server, reader in
            let tables = ["blocks": RedisTableOptions(.skip), "logs": RedisTableOptions(.latest, key: "log:{block_number}:{log_index}")]
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            let long = SmallChain.amendment(4, places: [3], note: String(repeating: "x", count: Self.limit))
            #expect(
                await refused { try await stream.amend([SmallChain.amendment(5, places: [0]), long]) } == ["logs 4 log 3 redis_too_long"])
            #expect(try reader.object(try #require(try reader.json("GET", "log:5:0") as? String))["note"] is NSNull)
            await sink.close()
        }
    }

    @Test("a step that is more than the server holds before its end is a pause that says what to raise")
    func buffer() async throws {
        try await withRedis(["--client-query-buffer-limit", "1mb"]) { server, _ in
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: ["blocks": RedisTableOptions(.skip)]))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(batch(1...5, long: ["1 0", "2 0", "2 1"], bytes: 400_000))
            await #expect { _ = try await stream.flush() } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("client-query-buffer-limit")
            }
            await sink.close()
        }
    }
}
