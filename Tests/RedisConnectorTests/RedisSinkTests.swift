import Foundation
import RedisConnector
import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import RedisConnector

/// The sink against a real server; what it holds is read by redis-cli.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    /// Blocks by number, and of each place the newest log.
    private static let latest: [String: RedisTableOptions] = [
        "blocks": RedisTableOptions(.latest, key: "block:{number}"), "logs": RedisTableOptions(.latest, key: "log:{log_index}"),
    ]

    private func open(_ server: RedisServer, tables: [String: RedisTableOptions] = [:]) async throws -> (RedisSink, any SinkStream) {
        let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
        return (sink, try await sink.open(id, tables: SmallChain.schemas))
    }

    @Test("rows and position land together, and a new sink goes on from there", arguments: RedisTableOptions.Form.allCases)
    func positions(_ form: RedisTableOptions.Form) async throws {
        try await withRedis { server, reader in
            let tables = ["blocks": RedisTableOptions(.latest, key: "b:{chain_id}:{number}", form: form, timeToLive: .seconds(500))]
            var (sink, stream) = try await open(server, tables: tables)
            #expect(try await stream.coverage() == [])
            #expect(try await stream.write(SmallChain.batch(1...6)) == nil)
            #expect(try await stream.flush() == SmallChain.position(6))
            #expect(try await stream.flush() == nil)
            _ = try await stream.write(SmallChain.batch(7...9))
            await sink.close()
            try reader.expectLogs(1...6)
            #expect(try reader.number("b:1:6", "number") == 6)
            #expect(try reader.number("b:1:7", "number") == nil)
            (sink, stream) = try await open(server, tables: tables)
            #expect(try await stream.coverage() == [SmallChain.segment(1...6)])
            // Final ones go another way.
            try await stream.finalized(8)
            _ = try await stream.write(SmallChain.batch(7...10))
            #expect(try await stream.finish() == SmallChain.position(10))
            await sink.close()
            try reader.expectLogs(1...10)
            for number in 1...10 as ClosedRange<UInt64> {
                #expect(try reader.number("b:1:\(number)", "number") == number)
                #expect((400...500).contains(try reader.json("TTL", "b:1:\(number)") as? Int ?? 0))
            }
        }
    }

    @Test(
        "a rollback puts displaced values back, and takes entries off, held or stored, in one segment",
        arguments: RedisTableOptions.Form.allCases)
    func rollback(_ form: RedisTableOptions.Form) async throws {
        try await withRedis { server, reader in
            var tables = Self.latest
            tables["logs"]?.form = form
            var (sink, stream) = try await open(server, tables: tables)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(11...14))
            // 13 has one log, 14 two; 12 none, 11 two.
            try await stream.rollback(to: SmallChain.position(12))
            #expect(try await stream.coverage() == [SmallChain.segment(1...12)])
            #expect(try reader.number("log:0") == 11 && reader.number("log:1") == 11)
            // By a process that has not written them, in the middle of a step.
            await sink.close()
            (sink, stream) = try await open(server, tables: tables)
            try await stream.rollback(to: SmallChain.position(7))
            #expect(try reader.number("log:0") == 7 && reader.number("log:1") == 5)
            #expect(try reader.number("block:7", "number") == 7 && reader.number("block:8", "number") == nil)
            _ = try await stream.write(SmallChain.batch(8...9, fork: 1, parentFork: 0))
            #expect(try await stream.flush() == SmallChain.position(9, fork: 1))
            #expect(try reader.number("log:1") == 8)
            try await stream.rollback(to: SmallChain.position(0))
            #expect(try await stream.coverage() == [])
            #expect(try reader.number("log:0") == nil && reader.number("log:1") == nil && reader.number("block:1", "number") == nil)
            #expect(try reader.json("SCARD", "sluice:p:1:undos") as? Int == 0)
            await sink.close()
        }
    }

    @Test(
        "while the server does one step the next is made: each is told when it is done, and what fails is told to the stream that it is of")
    func overlapping() async throws {
        try await withRedis { server, reader in
            let options = RedisSinkOptions(
                url: server.url, tables: ["blocks": RedisTableOptions(.latest, key: "block:{chain_id}:{number}")], commitRows: 1)
            let sink = RedisSink(options)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            let other = try await sink.open(StreamID(pipeline: "q", chainID: 2), tables: SmallChain.schemas)
            #expect(try await stream.write(SmallChain.batch(1...3)) == nil)
            #expect(try await stream.write(SmallChain.batch(4...5)) == SmallChain.position(3))
            #expect(try await other.write(SmallChain.batch(1...2, chainID: 2)) == nil)
            #expect(try await stream.flush() == SmallChain.position(5))
            #expect(try await stream.flush() == nil)
            #expect(try await other.flush() == SmallChain.position(2))
            // A rollback waits for what is on its way.
            _ = try await stream.write(SmallChain.batch(6...9))
            try await stream.rollback(to: SmallChain.position(7))
            try reader.expectLogs(1...7)
            // Something of somebody else's stands in the way of the one stream's step; the other one's is done.
            _ = try reader.json("DEL", "sluice:p:1:undos")
            _ = try reader.json("SET", "sluice:p:1:undos", "x")
            #expect(try await stream.write(SmallChain.batch(8...9)) == nil)
            _ = try await other.write(SmallChain.batch(3...4, chainID: 2))
            #expect(try await other.flush() == SmallChain.position(4))
            try reader.expectLogs(1...7)
            await #expect { _ = try await stream.write(SmallChain.batch(10...11)) } throws: { ($0 as? SluiceError)?.class == .pause }
            _ = try reader.json("DEL", "sluice:p:1:undos")
            #expect(try await stream.coverage() == [SmallChain.segment(1...7)])
            _ = try await stream.write(SmallChain.batch(8...11))
            #expect(try await stream.flush() == SmallChain.position(11))
            try reader.expectLogs(1...11)
            try reader.expectLogs(1...4, stream: "logs:2")
            await sink.close()
        }
    }

    @Test("entries of a stream go with their blocks, and those that come instead have the same ids")
    func streamRollback() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(11...14))
            try await stream.rollback(to: SmallChain.position(12))
            try reader.expectLogs(1...12)
            try await stream.rollback(to: SmallChain.position(6))
            _ = try await stream.write(SmallChain.batch(7...11, fork: 1, parentFork: 0))
            _ = try await stream.flush()
            try reader.expectLogs(1...11, fork: 1, from: 7)
            // Above a gap.
            _ = try await stream.write(SmallChain.batch(20...25))
            _ = try await stream.flush()
            #expect(try await stream.coverage() == [SmallChain.segment(1...11, fork: 1), SmallChain.segment(20...25)])
            // Below what is there a stream takes nothing, and says so before anything is stored.
            _ = try await stream.write(SmallChain.batch(14...15))
            await #expect { _ = try await stream.flush() } throws: {
                ($0 as? SluiceError)?.code == .redisStreamOrder && "\($0)".contains("goes up to 25-1")
            }
            #expect(try await stream.coverage() == [SmallChain.segment(1...11, fork: 1), SmallChain.segment(20...25)])
            try await stream.rollback(to: SmallChain.position(19))
            try await stream.rollback(to: SmallChain.position(0))
            #expect(try reader.json("EXISTS", "logs:1") as? Int == 0)
            _ = try await stream.write(SmallChain.batch(1...2))
            _ = try await stream.flush()
            try reader.expectLogs(1...2)
            await #expect { try await stream.amend([SmallChain.amendment(2, places: [0])]) } throws: {
                ($0 as? SluiceError)?.code == .amendUnsupported
            }
            await sink.close()
        }
    }

    @Test("a backfill below displaces no newer value, and comes to light when that is orphaned")
    func below() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server, tables: Self.latest)
            _ = try await stream.write(SmallChain.batch(1...4))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(8...10))
            _ = try await stream.flush()
            #expect(try reader.number("log:0") == 10 && reader.number("log:1") == 8)
            _ = try await stream.write(SmallChain.batch(5...7))
            _ = try await stream.flush()
            #expect(try await stream.coverage() == [SmallChain.segment(1...10)])
            #expect(try reader.number("log:0") == 10 && reader.number("log:1") == 8)
            try await stream.rollback(to: SmallChain.position(7))
            #expect(try reader.number("log:0") == 7 && reader.number("log:1") == 5)
            try await stream.rollback(to: SmallChain.position(4))
            #expect(try reader.number("log:0") == 4 && reader.number("log:1") == 2)
            await sink.close()
        }
    }

    @Test("what final blocks displaced is kept no more, and a rollback that needs it says so")
    func finality() async throws {
        try await withRedis { server, reader in
            var (sink, stream) = try await open(server, tables: Self.latest)
            for range in [1...5, 6...9] as [ClosedRange<UInt64>] {
                _ = try await stream.write(SmallChain.batch(range))
                _ = try await stream.flush()
            }
            #expect(try reader.json("SCARD", "sluice:p:1:undos") as? Int == 9)
            try await stream.finalized(8)
            _ = try await stream.write(SmallChain.batch(10...10))
            _ = try await stream.flush()
            #expect((try reader.json("SMEMBERS", "sluice:p:1:undos") as? [String])?.sorted() == ["10", "9"])
            #expect((try reader.json("KEYS", "sluice:p:1:undo:*") as? [String])?.count == 2)
            for _ in 1...2 {
                await #expect { try await stream.rollback(to: SmallChain.position(7)) } throws: {
                    ($0 as? SluiceError)?.code == .redisUndo && ($0 as? SluiceError)?.class == .pause
                }
                await sink.close()
                (sink, stream) = try await open(server, tables: Self.latest)
            }
            try await stream.rollback(to: SmallChain.position(8))
            #expect(try reader.number("log:1") == 8 && reader.number("block:9", "number") == nil)
            await sink.close()
        }
    }

    @Test("what is there, and what does not descend from it, is refused, and nothing is lost by it")
    func refused() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            for batch in [SmallChain.batch(5...6), SmallChain.batch(6...7, fork: 1), SmallChain.batch(0...2)] {
                await #expect { _ = try await stream.write(batch) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
            }
            _ = try await stream.write(SmallChain.batch(6...7))
            #expect(try await stream.flush() == SmallChain.position(7))
            try reader.expectLogs(1...7)
            await sink.close()
        }
    }

    @Test("a process that another has taken over from may not write any more")
    func fenced() async throws {
        try await withRedis { server, reader in
            let (old, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            let (new, other) = try await open(server)
            _ = try await stream.write(SmallChain.batch(6...9))
            for call in 1...3 {
                await #expect {
                    _ = call == 2 ? nil : try await stream.flush(); if call == 2 { _ = try await stream.coverage() }
                } throws: {
                    ($0 as? SluiceError)?.code == (call == 3 ? .redisUnavailable : .redisFenced)
                }
            }
            _ = try await other.write(SmallChain.batch(6...7))
            #expect(try await other.flush() == SmallChain.position(7))
            try reader.expectLogs(1...7)
            await old.close()
            await new.close()
        }
    }

    @Test("who listens hears each row of a block once, and where blocks are taken back")
    func publish() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(
                server, tables: ["logs": RedisTableOptions(.publish, key: "heard"), "blocks": RedisTableOptions(.skip)])
            let listener = try Command.Running(reader.command(["--csv", "SUBSCRIBE", "heard"]))
            defer { listener.stop() }
            while (try reader.json("PUBSUB", "NUMSUB", "heard") as? [Any])?.last as? Int != 1 {
                try await Task.sleep(for: .milliseconds(5))
            }
            _ = try await stream.write(SmallChain.batch(1...2))
            _ = try await stream.flush()
            try await stream.rollback(to: SmallChain.position(1))
            _ = try reader.json("PUBLISH", "heard", "end")
            var said = ""
            while !said.contains("\"end\"") {
                try await Task.sleep(for: .milliseconds(5))
                said = String(decoding: listener.output, as: UTF8.self)
            }
            let lines = said.split(separator: "\n").filter { $0.hasPrefix("\"message\"") }
            #expect(lines.count == 5)
            #expect(lines[0].contains("block_number\\\":1,") && lines[2].contains("log_index\\\":1,"))
            #expect(lines[3].contains("rollback_to\\\":1,\\\"hash\\\":\\\"\(SmallChain.hash(1))"))
            #expect(try reader.json("KEYS", "blocks*") as? [String] == [])
            await sink.close()
        }
    }

    @Test("keys that cannot be made, are shared, or were made otherwise, are one clear error each")
    func keys() async throws {
        try await withRedis { server, reader in
            func refusal(_ tables: [String: RedisTableOptions], _ id: StreamID? = nil) async -> String {
                let sink = RedisSink(RedisSinkOptions(url: server.url, tables: tables))
                do {
                    let stream = try await sink.open(id ?? self.id, tables: SmallChain.schemas)
                    _ = try await stream.write(SmallChain.batch(1...3, chainID: id?.chainID ?? 1))
                    _ = try await stream.flush()
                    await sink.close()
                    return "none"
                } catch { return "\(error)" }
            }
            let cases: [(String?, String)] = [
                (nil, "has no key"), ("x", "names no column"), ("a{nothing}", "no column nothing"), ("a{base_fee}", "base_fee may be null"),
                ("a{number", "brace"), ("a}", "brace"), ("sluice:{number}", "the sink's own"), ("", "empty"),
            ]
            for (key, said) in cases {
                #expect(await refusal(["blocks": RedisTableOptions(.latest, key: key)]).contains(said), "\(key ?? "-")")
            }
            #expect(await refusal(["blocks": RedisTableOptions(.stream, key: "{number}")]).contains("only {table}"))
            let same = RedisTableOptions(.stream, key: "same")
            #expect(await refusal(["blocks": same, "logs": same]).contains("the same key"))
            #expect(await refusal([:]) == "none")
            #expect(await refusal([:], StreamID(pipeline: "q", chainID: 1)).contains("is written by p@1"))
            #expect(await refusal([:], StreamID(pipeline: "q:%", chainID: 2)) == "none")
            #expect(await refusal(["logs": RedisTableOptions(.skip)]).contains("asks for table logs otherwise"))
            let encoded = try reader.json("EXISTS", "sluice:q%3A%25:2:segments") as? Int
            #expect(encoded == 1)
        }
    }
}
