import Foundation
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
        let tree = try JSONSerialization.jsonObject(with: Data(answer.body.bytes)) as? [String: Any]
        let results = try #require(tree?["results"] as? [[String: Any]], "\(statement): \(String(describing: tree))")
        return try results.flatMap { result in
            if let error = result["error"] { throw SluiceError(.init("asked"), .fatal, "\(statement): \(error)") }
            return (result["series"] as? [[String: Any]] ?? []).flatMap { series in
                let columns = series["columns"] as? [String] ?? []
                return (series["values"] as? [[Any]] ?? []).map { values in
                    Dictionary(zip(columns, values), uniquingKeysWith: { first, _ in first }).filter { !($0.value is NSNull) }
                }
            }
        }
    }

    /// What is there of a small chain: the numbers of blocks, and the blocks and places of logs, in order.
    func expect(_ blocks: [UInt64], fork: UInt8 = 0, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let found = try await ask("SELECT * FROM blocks")
        #expect(found.compactMap { $0["number"] as? UInt64 } == blocks, sourceLocation: sourceLocation)
        #expect(
            found.compactMap { $0["hash"] as? String } == blocks.map { SmallChain.hash($0, fork: fork).description },
            sourceLocation: sourceLocation)
        let logs = try await ask("SELECT * FROM logs")
        let places = logs.compactMap { row in (row["block_number"] as? UInt64).map { [$0, row["log_index"] as? UInt64 ?? .max] } }
        let expected = blocks.flatMap { number in (0..<number % 3).map { [number, $0] } }
        #expect(places == expected, sourceLocation: sourceLocation)
    }
}

final class MemorySegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}
