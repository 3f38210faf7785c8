import SluiceCore
import SluiceNet
import SluiceTelemetry
import SluiceTestKit
import Testing

@testable import InfluxDBConnector

/// A server that takes the writes of version 2, and nothing else of it.
@Suite(.enabled(if: TestServices.hasVictoria, "VictoriaMetrics is not installed: scripts/setup --test")) struct VictoriaTests {
    private func ask(_ http: HTTPClient, _ url: String) async throws -> String {
        try await http.send(HTTPRequest(url: url)).checked().text
    }

    @Test("numbers arrive, compressed and by token, under their tags")
    func write() async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let services = try TestServices(["victoria"], root: root)
        defer { services.stop() }
        let url = try #require(services.variables["SLUICE_TEST_VICTORIA"])
        let id = StreamID(pipeline: "p", chainID: 1)
        let segments = MemorySegments()
        let sink = InfluxSink(
            InfluxSinkOptions(url: url, shown: "here", interface: .bucket("b", org: "o"), token: "t", batchRows: 7, retryBudget: .zero),
            segments: segments, log: .disabled)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...30))
        #expect(try await stream.finish() == SmallChain.position(30))
        let http = try HTTPClient()
        defer { http.shutdown() }
        _ = try await ask(http, url + "/internal/force_flush")
        for (metric, expected) in [
            ("blocks_number", Array(1...30)), ("logs_block_number", (1...30).flatMap { Array(repeating: $0, count: $0 % 3) }),
        ] {
            let lines = try await ask(http, url + "/api/v1/export?match[]=\(metric)")
            var found: [Int] = []
            for line in lines.split(separator: "\n") {
                var reader = JSONTreeReader(String(line), reading: "an export", code: .init("asked"), remedy: "")
                let tree = try reader.document()
                #expect(tree["metric"]?["chain_id"]?.text == "1")
                found += (tree["values"]?.items ?? []).compactMap { $0.whole.map { Int($0) } }
            }
            #expect(found.sorted() == expected)
        }
        await #expect { try await stream.amend([SmallChain.amendment(2, places: [0])]) } throws: {
            "\($0)".contains("status 4") && ($0 as? SluiceError)?.class != .fatal
        }
        await sink.close()
    }
}
