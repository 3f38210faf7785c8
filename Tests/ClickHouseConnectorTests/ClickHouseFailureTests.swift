import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTestKit
import Synchronization
import Testing

@testable import ClickHouseConnector

/// What happens when something fails between a request and what it brings about.
@Suite(.clickhouse, .needsClickHouse) struct ClickHouseFailureTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// A server behind something that fails.
    private func behind(_ kind: Kind, _ database: String) throws -> (Server, Middle) {
        var server = try Server(kind, database)
        let middle = try Middle(server.options.url.reveal())
        server.options.url = Secret(middle.url)
        return (server, middle)
    }

    private static func isLedger(_ text: String) -> Bool { text.contains("INSERT INTO") && text.contains("sluice_streams") }
    private static func isLogs(_ text: String) -> Bool { text.contains("query=INSERT") && text.contains("60logs%60") }

    @Test("rows whose position was lost are not there for a reader once the stream is opened again", arguments: Kind.available)
    func killedBetween(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "between")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        _ = try await stream.flush()
        middle.when { Self.isLedger($0) ? .drop : .pass }
        _ = try await stream.write(SmallChain.batch(5...9, fork: 1, parentFork: 0))
        await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .retry }
        // As a reader finds it after a kill: rows of blocks that may be orphaned by now.
        #expect(try await server.rows("SELECT max(number) FROM %.blocks_current") == [["9"]])
        middle.when { _ in .pass }
        let again = try await server.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [SmallChain.segment(1...4)])
        try await server.expectBlocks(upTo: 4)
        _ = try await again.write(SmallChain.batch(5...7))
        #expect(try await again.flush() == SmallChain.position(7))
        try await server.expectBlocks(upTo: 7)
    }

    @Test("a rollback that was broken off is finished at the next start", arguments: Kind.available)
    func rollbackBrokenOff(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "broken")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...9))
        _ = try await stream.flush()
        middle.when { $0.contains("INSERT INTO") && $0.contains("`logs`") && !Self.isLedger($0) ? .drop : .pass }
        await #expect { try await stream.rollback(to: SmallChain.position(5)) } throws: { ($0 as? SluiceError)?.class == .retry }
        middle.when { _ in .pass }
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        try await server.expectBlocks(upTo: 5)
        // The same blocks again are not what was undone.
        _ = try await stream.write(SmallChain.batch(6...8))
        _ = try await stream.flush()
        try await server.expectBlocks(upTo: 8)
    }

    @Test("tables go in side by side: one that the server is too busy for does not hold up the others", arguments: Kind.available)
    func sideBySide(_ kind: Kind) async throws {
        var (server, middle) = try behind(kind, "beside")
        server.options.retries = Array(repeating: .milliseconds(20), count: 500)
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        let seen = Mutex(false)
        middle.when { text in
            if Self.isLogs(text) { seen.withLock { $0 = true } }
            let isBlocks = text.contains("query=INSERT") && text.contains("60blocks%60")
            return isBlocks && !seen.withLock { $0 } ? .answer(503, "busy") : .pass
        }
        _ = try await stream.write(SmallChain.batch(1...9))
        #expect(try await stream.flush() == SmallChain.position(9))
        try await server.expectBlocks(upTo: 9)
    }

    @Test("an insert whose answer was lost is made again by the same token, and each row is there once", arguments: Kind.available)
    func answerLost(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "lost")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        let tokens = Mutex<[Substring]>([])
        middle.when { text in
            guard Self.isLogs(text) else { return .pass }
            let token = text.firstRange(of: "insert_deduplication_token=").map { text[$0.upperBound...].prefix { $0 != "&" && $0 != " " } }
            return tokens.withLock {
                $0.append(token ?? "")
                return $0.count == 1 ? .loseAnswer : .pass
            }
        }
        _ = try await stream.write(SmallChain.batch(1...9))
        #expect(try await stream.flush() == SmallChain.position(9))
        try await server.expectBlocks(upTo: 9)
        let used = tokens.withLock { $0 }
        #expect(used.count == 2 && used[0] == used[1])
        let physical = try await server.rows("SELECT count() FROM %.logs")
        // By the token, not by the key.
        if kind == .modern {
            #expect(!used[0].isEmpty)
            #expect(physical == [["9"]])
        }
    }

    @Test("a server that is away is waited for a little, then the stream goes on from what is stored", arguments: Kind.available)
    func away(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "away")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        middle.when { _ in .drop }
        _ = try await stream.write(SmallChain.batch(6...8))
        await #expect { _ = try await stream.flush() } throws: {
            ($0 as? SluiceError)?.class == .retry && ($0 as? SluiceError)?.code == .clickhouseUnavailable
        }
        await #expect { _ = try await stream.write(SmallChain.batch(9...9)) } throws: { ($0 as? SluiceError)?.class == .retry }
        await #expect { _ = try await stream.coverage() } throws: { ($0 as? SluiceError)?.class == .retry }
        middle.when { _ in .pass }
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        _ = try await stream.write(SmallChain.batch(6...9))
        #expect(try await stream.flush() == SmallChain.position(9))
        try await server.expectBlocks(upTo: 9)
    }

    @Test("too many parts pass, a full disk does not; nothing is lost by either", arguments: Kind.available)
    func refused(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "refused")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        let count = Mutex(0)
        middle.when { text in
            guard Self.isLogs(text) else { return .pass }
            let isFirst = count.withLock {
                $0 += 1
                return $0 <= 2
            }
            return isFirst
                ? .answer(500, "Code: 252. DB::Exception: Too many parts (300). Merges are processing significantly slower than inserts.")
                : .pass
        }
        _ = try await stream.write(SmallChain.batch(1...5))
        #expect(try await stream.flush() == SmallChain.position(5))
        #expect(count.withLock { $0 } == 3)
        middle.when {
            Self.isLogs($0)
                ? .answer(500, "Code: 243, e.displayText() = DB::Exception: Cannot reserve 1.00 MiB, e.what() = DB::Exception") : .pass
        }
        _ = try await stream.write(SmallChain.batch(6...8))
        await #expect { _ = try await stream.flush() } throws: {
            ($0 as? SluiceError)?.class == .pause
                && "\($0)" == "loading logs at 127.0.0.1: Cannot reserve 1.00 MiB (code 243) (make room on the server's disk)"
        }
        middle.when { _ in .pass }
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        try await server.expectBlocks(upTo: 5)
        _ = try await stream.write(SmallChain.batch(6...8))
        _ = try await stream.flush()
        try await server.expectBlocks(upTo: 8)
    }

    @Test("an amendment that is broken off leaves what was there", arguments: Kind.available)
    func amendBrokenOff(_ kind: Kind) async throws {
        let (server, middle) = try behind(kind, "half")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        middle.when { Self.isLogs($0) ? .drop : .pass }
        await #expect { try await stream.amend([SmallChain.amendment(5, places: [0, 1], rows: [1])]) } throws: {
            ($0 as? SluiceError)?.class == .retry
        }
        middle.when { _ in .pass }
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        try await server.expectBlocks(upTo: 5)
        for _ in 1...2 { try await stream.amend([SmallChain.amendment(5, places: [0, 1], rows: [1])]) }
        #expect(try await server.rows("SELECT log_index, note FROM %.logs_current WHERE block_number = 5") == [["1", "new"]])
    }

    @Test("wrong credentials, rights and servers are one clear error each, without the password", arguments: Kind.available)
    func credentials(_ kind: Kind) async throws {
        let server = try Server(kind, "credentials")
        let url = server.options.url.reveal()
        var cases: [(String, String, String, SluiceError.Class, String)] = [
            (url, "nobody", "hunter2", .pause, "check the sink's user and password"),
            ("http://127.0.0.1:1", "default", "hunter2", .retry, "check that the server runs and can be reached"),
            (url + "/?query=hunter2", "default", "hunter2", .config, "has a query"),
        ]
        if kind == .old {
            cases.append((url, "reader", "hunter2", .pause, "check the sink's user and password"))
            cases.append((url, "reader", "readonly", .pause, "give the user a profile that may write"))
        }
        for (url, user, password, kind, said) in cases {
            let options = ClickHouseSinkOptions(
                url: url, shown: "127.0.0.1", database: "credentials", user: user, password: Secret(password))
            await #expect {
                _ = try await ClickHouseSink(options, segments: server.segments).open(id, tables: SmallChain.schemas)
            } throws: { error in
                (error as? SluiceError)?.class == kind && "\(error)".contains(said) && !"\(error)".contains("hunter2")
            }
        }
    }
}
