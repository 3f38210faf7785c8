import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// Blocks of two chains that reorganise, combined by the real program.
    @Suite struct Aggregates {
        /// What a query about the bundles says.
        private struct Answer: Decodable, Equatable {
            let answer: Int
        }

        private func ask(_ box: Sandbox, _ sql: String, _ sink: String = "tables") async throws -> Int {
            let text = try await box.output(
                "query", "-c", "a.yaml", "--sink", sink, "SELECT (\(sql))::BIGINT AS answer", "--format", "json")
            return try Surroundings.decoded([Answer].self, text).first?.answer ?? -1
        }

        private func write(_ box: Sandbox, _ ports: [UInt16]) throws {
            try Surroundings.write(
                """
                state: a.state
                networks:
                  one: { endpoints: ["http://127.0.0.1:\(ports[0])"], chain_id: 1337, poll_interval: 20ms }
                  two: { endpoints: ["http://127.0.0.1:\(ports[1])"], chain_id: 1338, poll_interval: 20ms }
                sinks:
                  tables: { type: duckdb, path: a.duckdb }
                  windows: { type: duckdb, path: windows.duckdb }
                  lake: { type: parquet, path: a.lake, blocks_per_file: 16 }
                pipelines:
                  pairs:
                    register: block_bundles
                    combine:
                      streams: [{ network: one, start: \(Chain.first) }, { network: two, start: \(Chain.first + 3) }]
                      policy: aligned_by_height
                    sinks: [tables, { sink: lake, when_full: spill, spill_limit: 8MiB }]
                  minutes:
                    register: block_bundles
                    combine:
                      streams: [{ network: one, start: \(Chain.first) }, { network: two, start: \(Chain.first) }]
                      policy: window
                      every: 10s
                    sinks: [windows]
                  one_blocks: { network: one, register: blocks, start: \(Chain.first), sinks: [tables, windows] }
                  two_blocks: { network: two, register: blocks, start: \(Chain.first), sinks: [tables, windows] }

                """, to: box.path("a.yaml"))
        }

        @Test("bundles of two reorganising chains, killed again and again, are those that the chains that prevailed make")
        func killed() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                let kills = max(4, Surroundings.kills / 3)
                let last = Chain.first + 60 + UInt64(kills) * 12
                func options(_ chain: UInt64) -> GeneratorOptions {
                    var options = Chain.options(seed: Surroundings.seed &+ chain, blocks: 40)
                    options.chainID = chain
                    options.blockTime = .milliseconds(40)
                    options.reorgEvery = 4
                    options.reorgDepth = 1...6
                    options.until = last
                    options.window = 8192
                    return options
                }
                try await Chain.serving(options(1337)) { one, first in
                    try await Chain.serving(options(1338)) { two, second in
                        try write(box, [first, second])
                        var done = 0
                        while true {
                            let child = try box.start(["run", "-c", "a.yaml", "--until-block", "\(last)"])
                            if done < 3 * kills {
                                try await Task.sleep(for: .milliseconds(Int64.random(in: 20...1500, using: &random)))
                                child.send(SIGKILL)
                            }
                            let ending = try await child.wait()
                            guard ending == .killed(SIGKILL) else {
                                #expect(ending == .exited(0), "seed \(Surroundings.seed), kill \(done): \(child.errors.suffix(2000))")
                                break
                            }
                            done += 1
                        }
                        #expect(one.head == last && two.head == last)
                        #expect(done >= kills / 3, "the run ended before it could be disturbed")
                        print("killed bundles \(done) times, seed \(Surroundings.seed)")
                        try await check(box, last)
                    }
                }
            }
        }

        /// Holds the bundles against the tables of blocks that other pipelines loaded.
        private func check(_ box: Sandbox, _ last: UInt64) async throws {
            let pairs = Int(last - Chain.first) - 2
            #expect(try await ask(box, "SELECT count(*) FROM block_bundles") == 2 * pairs)
            #expect(try await ask(box, "SELECT count(DISTINCT bundle_number) FROM block_bundles") == pairs)
            #expect(try await ask(box, "SELECT max(bundle_number) FROM block_bundles") == pairs)
            #expect(
                try await ask(
                    box,
                    """
                    SELECT count(*) FROM block_bundles x JOIN block_bundles y USING (bundle_number)
                    JOIN blocks a ON a.hash = x.block_hash AND a.chain_id = 1337 AND a.timestamp = x.block_timestamp
                    JOIN blocks b ON b.hash = y.block_hash AND b.chain_id = 1338 AND b.timestamp = y.block_timestamp
                    WHERE x.stream = 1 AND y.stream = 2 AND a.number = b.number AND a.number = x.block_number
                      AND x.bundle_timestamp = greatest(a.timestamp, b.timestamp) AND NOT x.is_partial
                    """) == pairs)
            // Windows that both chains have passed: by the clock of the blocks, as SQL has it.
            let blocks = "(SELECT hash, chain_id, (epoch(timestamp)::BIGINT // 10) AS k FROM blocks)"
            let passed = "(SELECT min(k) FROM (SELECT max(k) AS k FROM \(blocks) GROUP BY chain_id))"
            let bundled = "SELECT k, bundle_number FROM block_bundles JOIN \(blocks) b ON b.hash = block_hash"
            let expected = try await ask(box, "SELECT count(*) FROM \(blocks) WHERE k < \(passed)", "windows")
            #expect(expected > 40)
            #expect(try await ask(box, "SELECT count(*) FROM block_bundles", "windows") == expected)
            #expect(try await ask(box, "SELECT count(*) FROM (\(bundled)) WHERE k < \(passed)", "windows") == expected)
            let windows = try await ask(box, "SELECT count(DISTINCT k) FROM (\(bundled))", "windows")
            #expect(try await ask(box, "SELECT count(DISTINCT bundle_number) FROM block_bundles", "windows") == windows)
            #expect(try await ask(box, "SELECT count(*) FROM (SELECT DISTINCT k, bundle_number FROM (\(bundled)))", "windows") == windows)
            // What is final lies in the lake, from the first bundle on, and is the same.
            let lake = "read_parquet('\(box.path("a.lake"))/**/*.parquet')"
            let stored = try await ask(box, "SELECT count(*) FROM \(lake)")
            #expect(stored > 0)
            #expect(
                try await ask(box, "SELECT count(*) FROM \(lake) l JOIN block_bundles b USING (bundle_number, block_hash, bundle_hash)")
                    == stored)
            #expect(try await ask(box, "SELECT 2 * max(bundle_number) FROM \(lake)") == stored)
        }
    }
}
