import Foundation
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

/// Every logical type goes into Redis and comes back without losing a bit.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisSinkTypeTests {
    @Test(
        "edges and any other values, nulls and hostile texts, as values and as entries", arguments: RedisTableOptions.Form.allCases,
        [RedisTableOptions.Mode.latest, .stream])
    func roundTrip(_ form: RedisTableOptions.Form, mode: RedisTableOptions.Mode) async throws {
        try await withFolder { folder in
            try await withRedis { server, reader in
                let (table, expected) = EveryType.rows(120, seed: 3, textsAreNull: true)
                let own = RedisTableOptions(mode, key: mode == .latest ? "row:{row}" : "rows", form: form)
                let sink = RedisSink(RedisSinkOptions(url: server.url, prefix: "ü:", tables: ["all_types": own]))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [EveryType.schema])
                let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
                _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
                #expect(try await stream.flush() == span.last)
                await sink.close()
                var lines: [String] = []
                if mode == .stream {
                    for entry in try reader.entries("ü:rows") {
                        lines.append(try form == .json ? #require(entry.fields["row"]) : line(entry.fields))
                    }
                } else {
                    for row in 0..<120 {
                        let value = try reader.json(form == .json ? "GET" : "HGETALL", "ü:row:\(row)")
                        lines.append(try form == .json ? #require(value as? String) : line(value))
                    }
                }
                try FileManager.default.createDirectory(atPath: "\(folder)/all_types/chain_id=1", withIntermediateDirectories: true)
                try Data(lines.joined(separator: "\n").utf8).write(to: URL(filePath: "\(folder)/all_types/chain_id=1/rows"))
                let found = try TextReader.rows("jsonl", folder, "all_types", EveryType.names)
                #expect(found.count == expected.count)
                for (row, (found, expected)) in zip(found, expected).enumerated() { #expect(found == expected, "row \(row)") }
            }
        }
    }

    private func line(_ value: Any) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
    }
}
