import Glibc
import SluiceCore
import SluiceNet
import SluiceTestKit
import Synchronization
import Testing

@testable import ClickHouseConnector

/// A server that tests run against.
enum Kind: String, Sendable, CaseIterable, CustomTestStringConvertible {
    /// Debian's, of 2018.
    case old
    /// The engine of today.
    case modern

    static let available: [Kind] =
        (TestServices.hasClickHouse ? [.old] : []) + (TestServices.hasModernClickHouse ? [.modern] : [])
    var testDescription: String { rawValue }
}

/// Gives a suite its servers, which are gone with it.
struct ClickHouseTrait: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let services = try TestServices(Kind.available.map { $0 == .old ? "clickhouse" : "clickhouse-modern" }, root: root)
        defer { services.stop() }
        try await Self.$services.withValue(services) { try await body() }
    }
}

extension Trait where Self == ClickHouseTrait {
    static var clickhouse: Self { Self() }
}

extension Trait where Self == ConditionTrait {
    static var needsClickHouse: Self {
        .enabled(if: !Kind.available.isEmpty, "neither clickhouse-server nor chdb-core is there: scripts/setup --test")
    }
}

/// A server of the suite, as tests use it: each in a database of its own.
struct Server {
    var options: ClickHouseSinkOptions
    let segments = MemorySegments()
    let connection: ClickHouseConnection
    let database: String

    init(_ kind: Kind, _ database: String, batchRows: Int = 1_000_000) throws {
        let services = try #require(ClickHouseTrait.services)
        let name = kind == .old ? "SLUICE_TEST_CLICKHOUSE" : "SLUICE_TEST_CLICKHOUSE_MODERN"
        self.database = database
        options = ClickHouseSinkOptions(
            url: try #require(services.variables[name]), shown: "127.0.0.1", database: database, batchRows: batchRows)
        options.retries = [.milliseconds(1), .milliseconds(1)]
        connection = ClickHouseConnection(http: try HTTPClient(), options: options)
    }

    /// A sink as a process would make it.
    func sink() -> ClickHouseSink { ClickHouseSink(options, segments: segments) }

    /// What the server says, as text; `%` stands for the database.
    func rows(_ sql: String) async throws -> [[String]] {
        try await connection.rows(filled(sql), doing: "test")
    }

    func execute(_ sql: String) async throws { try await connection.execute(filled(sql), doing: "test") }

    private func filled(_ sql: String) -> String {
        sql.split(separator: "%", omittingEmptySubsequences: false).joined(separator: ClickHouseSQL.quoted(database))
    }

    /// Rows of the chain's first blocks, each once: from 1 to `last`, on a fork from some block on.
    func expectBlocks(upTo last: UInt64, fork: UInt8 = 0, from: UInt64 = .max, sourceLocation: SourceLocation = #_sourceLocation)
        async throws
    {
        let found = try await rows("SELECT number, lower(hex(hash)), isNull(base_fee) FROM %.blocks_current ORDER BY number")
        let expected = (1...last).map { number -> [String] in
            let hash = SmallChain.hash(number, fork: number >= from ? fork : 0)
            return ["\(number)", String(hash.description.dropFirst(2)), number % 2 == 0 ? "0" : "1"]
        }
        #expect(found == expected, sourceLocation: sourceLocation)
        let logs = (1...last).reduce(0) { $0 + $1 % 3 }
        for source in ["%.logs_current", "%.logs FINAL WHERE sluice_deleted = 0"] {
            let counted = try await rows("SELECT count(), uniqExact(block_number, log_index) FROM \(source)")
            #expect(counted == [["\(logs)", "\(logs)"]], sourceLocation: sourceLocation)
        }
    }
}

/// Segments that are kept as long as the test.
final class MemorySegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}

/// Stands between the sink and a server, and fails as it is told.
final class Middle: Sendable {
    enum Verdict: Sendable {
        case pass
        /// The server does it, and nobody hears of it.
        case loseAnswer
        /// The server does not hear of it.
        case drop
        case answer(Int, String)
    }

    private let server: ScriptedServer
    private let rule = Mutex<@Sendable (String) -> Verdict>({ _ in .pass })
    private let seen = Mutex<[String]>([])

    init(_ target: String) throws {
        let port = try #require(target.split(separator: ":").last.flatMap { UInt16($0) })
        let decide = Decide()
        server = try ScriptedServer { request in
            switch decide.call(request.path + " " + String(decoding: request.body.prefix(400), as: UTF8.self)) {
            case .pass: [.send(Self.forward(request, to: port)), .close]
            case .loseAnswer:
                {
                    _ = Self.forward(request, to: port)
                    return [.reset]
                }()
            case .drop: [.reset]
            case .answer(let status, let text):
                [.send(Array("HTTP/1.1 \(status) X\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)".utf8))]
            }
        }
        decide.body.withLock { $0 = { [weak self] text in self?.verdict(text) ?? .pass } }
    }

    private final class Decide: Sendable {
        let body = Mutex<@Sendable (String) -> Verdict>({ _ in .pass })
        func call(_ text: String) -> Verdict { body.withLock { $0 }(text) }
    }

    var url: String { server.url }

    /// What comes, path and beginning of the body, decides what happens to it.
    func when(_ rule: @escaping @Sendable (String) -> Verdict) { self.rule.withLock { $0 = rule } }

    func stop() { server.stop() }

    private func verdict(_ text: String) -> Verdict { rule.withLock { $0 }(text) }

    /// One exchange over a connection of its own, byte by byte.
    private static func forward(_ request: ScriptedServer.Request, to port: UInt16) -> [UInt8] {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        guard isConnected else { return [] }
        var head = "\(request.method) \(request.path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(request.body.count)\r\n"
        for (name, value) in request.headers where name.hasPrefix("x-clickhouse") { head += "\(name): \(value)\r\n" }
        var bytes = (Array((head + "\r\n").utf8) + request.body)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return [] }
            bytes = bytes.dropFirst(count)
        }
        var said: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = recv(file, &buffer, buffer.count, 0), count > 0 { said += buffer[..<count] }
        return said
    }
}
