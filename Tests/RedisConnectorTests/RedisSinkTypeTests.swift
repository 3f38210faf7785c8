import Foundation
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

/// Every logical type goes into Redis and comes back without losing a bit.
@Suite(.enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"), .timeLimit(.minutes(1)))
struct RedisSinkTypeTests {
    /// How values get there: by the script that looks at what is there, straight, with an end, or as entries.
    enum Way: CaseIterable { case compared, final, ending, entries }

    @Test(
        "edges and any other values, nulls and hostile texts, as values and as entries", arguments: RedisTableOptions.Form.allCases,
        Way.allCases)
    func roundTrip(_ form: RedisTableOptions.Form, way: Way) async throws {
        let mode: RedisTableOptions.Mode = way == .entries ? .stream : .latest
        let seed = UInt64.random(in: 0..<1_000_000)
        try await withFolder { folder in
            try await withRedis { server, reader in
                let (table, expected) = EveryType.rows(120, seed: seed, textsAreNull: true)
                let own = RedisTableOptions(
                    mode, key: mode == .latest ? "row:{row}" : "rows", form: form, timeToLive: way == .ending ? .seconds(900) : nil)
                let sink = RedisSink(RedisSinkOptions(url: server.url, prefix: "ü:", tables: ["all_types": own]))
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [EveryType.schema])
                let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
                if way == .final || way == .ending { try await stream.finalized(7) }
                _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
                #expect(try await stream.flush() == span.last)
                await sink.close()
                var lines: [String] = []
                if mode == .stream {
                    for entry in try reader.entries("ü:rows") {
                        lines.append(try form == .json ? #require(entry.fields["row"]) : line(entry.fields))
                    }
                } else {
                    #expect((try reader.json("KEYS", "ü:row:*") as? [String])?.count == 120)
                    for value in try #require(try reader.json("EVAL", Self.values, "0", form == .json ? "GET" : "HGETALL") as? [Any]) {
                        if form == .json {
                            lines.append(try #require(value as? String))
                        } else {
                            let parts = try #require(value as? [String])
                            lines.append(
                                try line(
                                    Dictionary(
                                        uniqueKeysWithValues: stride(from: 0, to: parts.count, by: 2).map { (parts[$0], parts[$0 + 1]) })))
                        }
                    }
                }
                try FileManager.default.createDirectory(atPath: "\(folder)/all_types/chain_id=1", withIntermediateDirectories: true)
                try Data(lines.joined(separator: "\n").utf8).write(to: URL(filePath: "\(folder)/all_types/chain_id=1/rows"))
                let found = try TextReader.rows("jsonl", folder, "all_types", EveryType.names)
                #expect(found.count == expected.count)
                // Foundation, which reads what redis-cli says, takes a mark of byte order off the beginning of a text.
                func bare(_ row: [String?]) -> [String?] { row.map { $0.map { String($0.drop { $0 == "\u{FEFF}" }) } } }
                for (row, (found, expected)) in zip(found, expected).enumerated() {
                    #expect(bare(found) == bare(expected), "row \(row) of seed \(seed)")
                }
                guard form == .fields, mode == .latest else { return }
                let place = try #require(EveryType.names.firstIndex(of: "a_text"))
                let lengths = try reader.json("EVAL", Self.values, "0", "HSTRLEN", "a_text") as? [Int]
                #expect(lengths == expected.map { $0[place]?.utf8.count ?? 0 })
            }
        }
    }

    /// What a command says of all rows.
    private static let values = """
        local all = {}
        for row = 0, 119 do all[row + 1] = redis.call(ARGV[1], 'ü:row:' .. row, unpack(ARGV, 2)) end
        return all
        """

    private func line(_ value: Any) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: value), as: UTF8.self)
    }
}
