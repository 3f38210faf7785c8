import Foundation
import Glibc
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

@testable import RedisConnector

/// Rows that come to blocks which are there already.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisAmendTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private func open(
        _ server: RedisServer, _ key: String, _ form: RedisTableOptions.Form = .json
    ) async throws -> (RedisSink, any SinkStream) {
        let tables = [
            "blocks": RedisTableOptions(.latest, key: "block:{number}"), "logs": RedisTableOptions(.latest, key: key, form: form),
        ]
        let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
        return (sink, try await sink.open(id, tables: SmallChain.schemas))
    }

    /// The logs under their keys, a line a row: block, place, note.
    private func logs(_ reader: RedisReader) throws -> [String] {
        let all = try #require(try reader.json("EVAL", Self.values, "0") as? [Any])
        return try all.map { value -> (UInt64, UInt64, String) in
            var row: [String: Any] = [:]
            if let parts = value as? [String] {
                for at in stride(from: 0, to: parts.count, by: 2) { row[parts[at]] = parts[at + 1] }
            } else {
                row = try reader.object(try #require(value as? String))
            }
            let (block, place) = (UInt64("\(row["block_number"] ?? "")") ?? 0, UInt64("\(row["log_index"] ?? "")") ?? 0)
            let note = row["note"] as? String
            return (block, place, "\(block) \(place)" + (note.map { " " + $0 } ?? ""))
        }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
    }

    private static let values = """
        local all = {}
        for n, key in ipairs(redis.call('KEYS', 'log:*')) do
          all[n] = redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or redis.call('GET', key)
        end
        return all
        """

    /// Logs with a column that is the same in all rows.
    private static let kinds = Schema(
        name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [Field("kind", .string, "")])

    private static func withKind(_ logs: Table) -> Table {
        var kinds = ColumnBuilder(.string)
        for _ in 0..<logs.rowCount { kinds.append("a") }
        return Table(schema: Self.kinds, columns: logs.columns + [kinds.finish()], rowCount: logs.rowCount)
    }

    private static func amendment(_ number: UInt64, places: Set<UInt64>, rows: Set<UInt64>? = nil) -> Amendment {
        let narrow = SmallChain.amendment(number, places: places, rows: rows)
        return Amendment(
            chainID: 1, block: narrow.block, timestamp: narrow.timestamp, column: narrow.column, places: places, rows: withKind(narrow.rows)
        )
    }

    private func expected(_ range: ClosedRange<UInt64>, _ instead: [UInt64: [String]]) -> [String] {
        range.flatMap { number in instead[number] ?? (0..<number % 3).map { "\(number) \($0)" } }
    }

    @Test(
        "values of places take the place of those there, wherever the block is by then, and go with it",
        arguments: RedisTableOptions.Form.allCases, [0, 12] as [UInt64])
    func amended(_ form: RedisTableOptions.Form, finalized: UInt64) async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server, "log:{block_number}:{log_index}", form)
            try await stream.finalized(finalized)
            _ = try await stream.write(SmallChain.batch(1...20))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(21...22))
            for _ in 1...2 {
                try await stream.amend([
                    SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3]),
                    SmallChain.amendment(14, places: [1, 2]),
                    SmallChain.amendment(22, places: [0]), SmallChain.amendment(8, places: [0, 1], rows: []),
                    SmallChain.amendment(17, places: [0], rows: []),
                ])
            }
            _ = try await stream.flush()
            let instead: [UInt64: [String]] = [
                5: ["5 0 new", "5 1", "5 7 new"], 6: ["6 3 new"], 8: [], 14: ["14 0", "14 1 new", "14 2 new"], 17: ["17 1"],
                22: ["22 0 new"],
            ]
            #expect(try logs(reader) == expected(1...22, instead))
            #expect(try await stream.coverage() == [SmallChain.segment(1...22)])
            try await stream.rollback(to: SmallChain.position(13))
            #expect(try logs(reader) == expected(1...13, instead))
            await sink.close()
        }
    }

    @Test(
        "of the newest value under a key the newest block stays, of one block the highest place; what goes gives back what it displaced",
        arguments: RedisTableOptions.Form.allCases)
    func newest(_ form: RedisTableOptions.Form) async throws {
        try await withRedis { server, reader in
            // One key for all logs.
            let tables = [
                "blocks": RedisTableOptions(.latest, key: "block:{number}"),
                "logs": RedisTableOptions(.latest, key: "log:{kind}", form: form),
            ]
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
            let stream = try await sink.open(id, tables: [SmallChain.blocks, Self.kinds])
            let batch = SmallChain.batch(1...9)
            _ = try await stream.write(Batch(chainID: 1, span: batch.span, tables: [batch.tables[0], Self.withKind(batch.tables[1])]))
            _ = try await stream.flush()
            // 9 and 6 have none, 7 has one, 8 two.
            #expect(try logs(reader) == ["8 1"])
            // Below a newer block, and below a higher place of the same.
            try await stream.amend([Self.amendment(7, places: [0, 4]), Self.amendment(8, places: [0])])
            #expect(try logs(reader) == ["8 1"])
            // The one that is there is replaced, by a higher one, and taken.
            try await stream.amend([Self.amendment(8, places: [1])])
            #expect(try logs(reader) == ["8 1 new"])
            try await stream.amend([Self.amendment(8, places: [5])])
            #expect(try logs(reader) == ["8 5 new"])
            try await stream.amend([Self.amendment(8, places: [5], rows: [])])
            #expect(try logs(reader) == ["7 4 new"])
            // A newer block takes it, and gives it back.
            try await stream.amend([Self.amendment(9, places: [3])])
            #expect(try logs(reader) == ["9 3 new"])
            try await stream.rollback(to: SmallChain.position(8))
            #expect(try logs(reader) == ["7 4 new"])
            try await stream.amend([Self.amendment(7, places: [4], rows: [])])
            try await stream.rollback(to: SmallChain.position(6))
            #expect(try logs(reader) == ["5 1"])
            try await stream.rollback(to: SmallChain.position(0))
            #expect(try logs(reader) == [])
            await sink.close()
        }
    }

    @Test("a block that is not held, or another of its number, is refused, and nothing is changed or lost by it")
    func refused() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server, "log:{block_number}:{log_index}")
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(11...12))
            let good = SmallChain.amendment(5, places: [0])
            let cases: [(Amendment, SluiceError.Code)] = [
                (SmallChain.amendment(13, places: [0]), .blockNotHeld), (SmallChain.amendment(0, places: [0]), .blockNotHeld),
                (SmallChain.amendment(12, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(6, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(11, places: [0], fork: 1), .blockDiffers),
                (SmallChain.amendment(5, places: [0], chainID: 5), .sinkOrder),
            ]
            for (wrong, code) in cases {
                let error = await #expect(throws: SluiceError.self) { try await stream.amend([good, wrong]) }
                #expect(error?.code == code, "\(wrong.block.number): \(String(describing: error))")
            }
            #expect(try await stream.flush() == SmallChain.position(12))
            #expect(try logs(reader) == expected(1...12, [:]))
            // Another process has taken over.
            let (other, _) = try await open(server, "log:{block_number}:{log_index}")
            await #expect { try await stream.amend([good]) } throws: { ($0 as? SluiceError)?.code == .redisFenced }
            #expect(try logs(reader) == expected(1...12, [:]))
            await other.close()
            await sink.close()
        }
    }

    @Test(
        "a stream takes no rows into blocks below its end, and none that wait are lost; entries can be taken away",
        arguments: RedisTableOptions.Form.allCases)
    func entries(_ form: RedisTableOptions.Form) async throws {
        try await withRedis { server, reader in
            let tables = ["blocks": RedisTableOptions(.skip), "logs": RedisTableOptions(.stream, form: form)]
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...8))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(9...11))
            await #expect { try await stream.amend([SmallChain.amendment(8, places: [0])]) } throws: {
                ($0 as? SluiceError)?.code == .amendUnsupported && "\($0)".contains("table logs") && "\($0)".contains("ascend")
            }
            await #expect { try await stream.amend([SmallChain.amendment(8, places: [0], rows: [], fork: 1)]) } throws: {
                ($0 as? SluiceError)?.code == .blockDiffers
            }
            // Where the block waits, its rows come with it.
            for _ in 1...2 {
                try await stream.amend([SmallChain.amendment(8, places: [0], rows: []), SmallChain.amendment(10, places: [0, 4])])
            }
            _ = try await stream.flush()
            let found = try reader.entries("logs:1").map { entry -> String in
                let row = form == .json ? try reader.object(try #require(entry.fields["row"])) : entry.fields
                return "\(entry.id) \(row["log_index"] ?? "")"
            }
            let others = (1...7 as ClosedRange<UInt64>).flatMap { number in (0..<number % 3).map { "\(number)-\($0 + 1) \($0)" } }
            #expect(found == others + ["8-2 1", "10-1 0", "10-2 4", "11-1 0", "11-2 1"])
            await sink.close()
        }
    }

    @Test("what was published is not published again")
    func messages() async throws {
        try await withRedis { server, reader in
            let tables = ["blocks": RedisTableOptions(.latest, key: "block:{number}"), "logs": RedisTableOptions(.publish)]
            let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...8))
            _ = try await stream.flush()
            await #expect { try await stream.amend([SmallChain.amendment(8, places: [0])]) } throws: {
                ($0 as? SluiceError)?.code == .amendUnsupported && "\($0)".contains("are sent")
            }
            try await stream.amend([SmallChain.amendment(8, places: [0], rows: [])])
            await sink.close()
        }
    }

    @Test("a process that is killed leaves what was amended, or what was there", arguments: 1...3)
    func killed(_ round: Int) async throws {
        try await withRedis { server, reader in
            let url = server.url
            await #expect(processExitsWith: .signal(SIGKILL)) { [url = url as String, round = round as Int] in
                let tables = [
                    "blocks": RedisTableOptions(.skip), "logs": RedisTableOptions(.latest, key: "log:{block_number}:{log_index}"),
                ]
                let sink = RedisSink(RedisSinkOptions(url: url, tables: tables))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                _ = try await stream.write(SmallChain.batch(1...90))
                _ = try await stream.flush()
                try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "first") })
                Thread.detachNewThread {
                    usleep(UInt32(10_000 + round * 11_000))
                    kill(getpid(), SIGKILL)
                }
                for round in 0... {
                    try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "\(round)") })
                }
            }
            let rows = try logs(reader)
            // All of one round.
            let note = try #require(rows.first { $0.hasPrefix("10 0 ") }?.dropFirst(5))
            let instead = (UInt64(10)...60).map { number in (number, (0..<3).map { "\(number) \($0) \(note)" }) }
            #expect(rows == expected(1...90, Dictionary(uniqueKeysWithValues: instead)), "\(note)")
        }
    }
}
