import Foundation
import Glibc
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

@testable import RedisConnector

/// What happens to the sink when servers and processes fail.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisSinkFailureTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    private static let latest = ["blocks": RedisTableOptions(.latest, key: "block:{number}")]

    private func open(_ server: RedisServer, reply: Duration = .seconds(10)) async throws -> (RedisSink, any SinkStream) {
        let sink = RedisSink(RedisSinkOptions(url: server.url, tables: Self.latest, replyTimeout: reply))
        return (sink, try await sink.open(id, tables: SmallChain.schemas))
    }

    @Test("a process that is killed while it writes and takes back leaves exactly the rows of its segments", arguments: 1...4)
    func killed(_ round: Int) async throws {
        try await withRedis { server, reader in
            let url = server.url
            await #expect(processExitsWith: .signal(SIGKILL)) { [url = url as String, round = round as Int] in
                let tables = ["blocks": RedisTableOptions(.latest, key: "block:{number}")]
                let sink = RedisSink(RedisSinkOptions(url: url, tables: tables))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                _ = try await stream.write(SmallChain.batch(1...3))
                _ = try await stream.flush()
                Thread.detachNewThread {
                    usleep(UInt32(10_000 + round * 13_000))
                    kill(getpid(), SIGKILL)
                }
                var next: UInt64 = 4
                while true {
                    _ = try await stream.write(SmallChain.batch(next...next + 8))
                    _ = try await stream.flush()
                    next += 9
                    if next > 40 { try await stream.rollback(to: SmallChain.position(next - 31)) }
                    if next > 40 { next -= 30 }
                }
            }
            let (sink, stream) = try await open(server)
            let last = try #require(try await stream.coverage().last?.last.number)
            #expect(try await stream.coverage() == [SmallChain.segment(1...last)])
            try reader.expectLogs(1...last)
            #expect((try reader.json("KEYS", "block:*") as? [String])?.count == Int(last))
            await sink.close()
        }
    }

    @Test("a server that crashes and comes back has all that was told to be stored, and the stream goes on")
    func crash() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(6...8))
            server.crash()
            await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .retry }
            await #expect { _ = try await stream.coverage() } throws: { ($0 as? SluiceError)?.class == .retry }
            try await server.start()
            // What was held is to be sent again, from where the store stands.
            await #expect { _ = try await stream.write(SmallChain.batch(9...9)) } throws: { ($0 as? SluiceError)?.class == .retry }
            #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
            _ = try await stream.write(SmallChain.batch(6...9))
            #expect(try await stream.flush() == SmallChain.position(9))
            try reader.expectLogs(1...9)
            // Between two steps nothing is lost at all.
            server.crash()
            try await server.start()
            _ = try await stream.write(SmallChain.batch(10...11))
            do { _ = try await stream.flush() } catch let error as SluiceError where error.class == .retry {
                #expect(try await stream.coverage() == [SmallChain.segment(1...9)])
            }
            await sink.close()
        }
    }

    @Test("a server that forgets everything is filled again: rows and segments are gone together")
    func forgotten() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            _ = try reader.json("FLUSHALL")
            _ = try await stream.write(SmallChain.batch(6...8))
            await #expect { _ = try await stream.flush() } throws: {
                ($0 as? SluiceError)?.class == .retry && "\($0)".contains("has lost what it had")
            }
            #expect(try await stream.coverage() == [])
            _ = try await stream.write(SmallChain.batch(1...8))
            #expect(try await stream.flush() == SmallChain.position(8))
            try reader.expectLogs(1...8)
            await sink.close()
        }
    }

    @Test("when the answer does not come, what is stored is what the stream goes on from, and nothing is there twice")
    func lostAnswers() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server, reply: .milliseconds(150))
            var last: UInt64 = 0
            for round in 0..<6 {
                _ = try await stream.write(SmallChain.batch(last + 1...last + 400))
                let freeze = Task.detached {
                    try? await Task.sleep(for: .microseconds(400 * round))
                    server.freeze()
                    try? await Task.sleep(for: .milliseconds(500))
                    server.thaw()
                }
                do { _ = try await stream.flush() } catch let error as SluiceError { #expect(error.class == .retry, "\(error)") }
                await freeze.value
                while true {
                    do {
                        last = try await stream.coverage().last?.last.number ?? 0
                        break
                    } catch let error as SluiceError where error.class == .retry {}
                }
                if last > 0 { try reader.expectLogs(1...last) }
            }
            await sink.close()
        }
    }

    @Test("a server that is full is a pause that names it; nothing of the step is there, and it goes on when there is room")
    func full() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            _ = try reader.json("CONFIG", "SET", "maxmemory", "1")
            _ = try await stream.write(SmallChain.batch(6...8))
            await #expect { _ = try await stream.flush() } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("maxmemory") && "\($0)".contains("127.0.0.1:\(server.port)")
            }
            _ = try reader.json("CONFIG", "SET", "maxmemory", "0")
            #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
            try reader.expectLogs(1...5)
            _ = try await stream.write(SmallChain.batch(6...8))
            #expect(try await stream.flush() == SmallChain.position(8))
            try reader.expectLogs(1...8)
            await sink.close()
        }
    }

    @Test("a step of which a part fails is taken off whole")
    func broken() async throws {
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            // Values of somebody else where ours are looked for: the script cannot read them.
            _ = try reader.json("DEL", "sluice:p:1:undos")
            _ = try reader.json("SET", "sluice:p:1:undos", "x")
            _ = try await stream.write(SmallChain.batch(6...8))
            await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .pause }
            // The entries went in, for they do not need it.
            try reader.expectLogs(1...5)
            _ = try reader.json("DEL", "sluice:p:1:undos")
            #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
            await sink.close()
        }
    }

    @Test("something else under the stream's name, a wrong password and no server are one clear error each")
    func refusals() async throws {
        try await withRedis(["--requirepass", "s3cret"]) { server, _ in
            for (url, kind, said) in [
                ("redis://127.0.0.1:\(server.port)", SluiceError.Class.config, "NOAUTH"),
                ("redis://:hunter2@127.0.0.1:\(server.port)", .config, "WRONGPASS"),
                ("redis://:s3cret@127.0.0.1:\(server.port)/99", .config, "DB index"), ("redis://:s3cret@127.0.0.1:1", .retry, "refused"),
                ("redis://:hunter2@", .config, "URL"),
            ] {
                let sink = RedisSink(RedisSinkOptions(url: url))
                await #expect { _ = try await sink.open(id, tables: SmallChain.schemas) } throws: { error in
                    (error as? SluiceError)?.class == kind && "\(error)".contains(said) && !"\(error)".contains("hunter2")
                        && !"\(error)".contains("s3cret")
                }
                await sink.close()
            }
        }
        try await withRedis { server, reader in
            let (sink, stream) = try await open(server)
            _ = try reader.json("SET", "logs:1", "mine")
            _ = try await stream.write(SmallChain.batch(1...3))
            await #expect { _ = try await stream.flush() } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("WRONGTYPE")
            }
            #expect(try await stream.coverage() == [])
            #expect(try reader.json("KEYS", "block:*") as? [String] == [])
            _ = try reader.json("DEL", "logs:1")
            _ = try await stream.write(SmallChain.batch(1...3))
            #expect(try await stream.flush() == SmallChain.position(3))
            try reader.expectLogs(1...3)
            await sink.close()
        }
    }
}
