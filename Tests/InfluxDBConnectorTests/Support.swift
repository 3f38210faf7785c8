import SluiceCore
import SluiceNet
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import InfluxDBConnector

/// Gives a suite an InfluxDB of its own, which is gone with it.
struct InfluxTrait: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let services = try TestServices(["influxdb"], root: root)
        defer { services.stop() }
        try await Self.$services.withValue(services) { try await body() }
    }
}

extension Trait where Self == InfluxTrait {
    static var influxdb: Self { Self() }
}

/// The server of the suite, as tests use it: each in a database of its own.
struct Server {
    let url: String
    let database: String
    let segments = MemorySegments()

    init(_ database: String) throws {
        url = try #require(InfluxTrait.services?.variables["SLUICE_TEST_INFLUXDB"])
        self.database = database
    }

    func options(_ adjust: (inout InfluxSinkOptions) -> Void = { _ in }) -> InfluxSinkOptions {
        var options = InfluxSinkOptions(url: url, shown: "here", interface: .database(database, retentionPolicy: nil), retryBudget: .zero)
        // However slow this machine is.
        options.batchAge = .seconds(3600)
        adjust(&options)
        return options
    }

    func sink(_ adjust: (inout InfluxSinkOptions) -> Void = { _ in }) -> InfluxSink {
        InfluxSink(options(adjust), segments: segments, log: .disabled)
    }

    /// What the server answers to a statement, the rows of all series by column.
    @discardableResult
    func ask(_ statement: String) async throws -> [[String: Any]] {
        let http = try HTTPClient()
        defer { http.shutdown() }
        let url = "\(url)/query?db=\(InfluxServer.percent(database))&epoch=ns&q=\(InfluxServer.percent(statement))"
        let answer = try await http.send(HTTPRequest(method: "POST", url: url, body: []))
        // Foundation's own reader of JSON loses digits of doubles, and marks at the beginning of texts.
        var reader = JSONTreeReader(
            answer.text, reading: "an answer", code: .init("asked"), remedy: "")
        let results = try #require(try reader.document()["results"]?.items)
        return try results.flatMap { result in
            if let error = result["error"]?.text { throw SluiceError(.init("asked"), .fatal, "\(statement): \(error)") }
            return (result["series"]?.items ?? []).flatMap { series in
                let columns = series["columns"]?.items?.compactMap(\.text) ?? []
                return (series["values"]?.items ?? []).map { row in
                    Dictionary(zip(columns, (row.items ?? []).map(Self.plain)), uniquingKeysWith: { first, _ in first }).compactMapValues(
                        \.self)
                }
            }
        }
    }

    /// Writes lines, past the sink.
    func put(_ lines: String) async throws {
        let http = try HTTPClient()
        defer { http.shutdown() }
        let url = "\(url)/write?db=\(InfluxServer.percent(database))"
        let answer = try await http.send(HTTPRequest(method: "POST", url: url, body: Array(lines.utf8)))
        try #require(answer.status == 204, "\(answer.text)")
    }

    private static func plain(_ node: JSONNode) -> Any? {
        switch node.value {
        case .string(let text): text
        case .bool(let flag): flag
        case .number(let text): Int64(text) ?? UInt64(text) ?? Double(text)
        default: nil
        }
    }

    /// What is there of a small chain: the numbers of blocks, and the blocks and places of logs, in order.
    func expect(_ blocks: [UInt64], fork: UInt8 = 0, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let found = try await ask("SELECT * FROM blocks")
        #expect(found.compactMap { $0["number"] as? Int64 } == blocks.map { Int64($0) }, sourceLocation: sourceLocation)
        #expect(
            found.compactMap { $0["hash"] as? String } == blocks.map { SmallChain.hash($0, fork: fork).description },
            sourceLocation: sourceLocation)
        let logs = try await ask("SELECT * FROM logs")
        let places = logs.compactMap { row in (row["block_number"] as? Int64).map { [$0, row["log_index"] as? Int64 ?? -1] } }
        let expected = blocks.flatMap { number in (0..<Int64(number % 3)).map { [Int64(number), $0] } }
        #expect(places == expected, sourceLocation: sourceLocation)
    }
}

final class MemorySegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}
