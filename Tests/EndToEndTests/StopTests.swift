import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// Asked to stop, sluice stores what it has read and says how it ended; the next run goes on from there.
    @Suite(.needsReaders) struct Stop {
        @Test(
            "a stopped backfill has stored what it read, and the second run completes it",
            arguments: [(SIGTERM, 143), (SIGINT, 130)] as [(Int32, Int32)])
        func backfill(_ signal: Int32, _ code: Int32) async throws {
            try await Sandbox.run { box in
                let range = Chain.blocks(600)
                try await Chain.serving(Chain.options(blocks: 640)) { options in
                    options.faults.latency = .milliseconds(10)
                } _: { simulator, port in
                    var place = Workplace(box, "main", port: port, kinds: Workplace.Kind.embedded)
                    place.settings = "poll_interval: 20ms, memory_budget: 1MiB"
                    let child = try place.startBackfill(range)
                    try await Surroundings.eventually("blocks asked for") {
                        simulator.statistics.calls["eth_getBlockReceipts", default: 0] >= 200 ? true : nil
                    }
                    child.send(signal)
                    #expect(try await child.wait(limit: .seconds(20)) == .exited(code), "\(child.errors)")
                    let part = try await place.tables(.duckdb)
                    let stored = try #require(part["blocks"])
                    #expect(stored.first == range.lowerBound && stored.rows == stored.blocks && stored.rows < range.count)
                    #expect(stored.rows >= 32, "nothing of what was read is stored")
                    part.expectWhole(range.lowerBound...stored.last)
                    try await place.backfill(range)
                    for kind in Workplace.Kind.embedded { try await place.tables(kind).expectWhole(range) }
                }
            }
        }

        @Test(
            "a stopped live run has stored what it read, and the second run goes on",
            arguments: [(SIGTERM, 143), (SIGINT, 130)] as [(Int32, Int32)])
        func live(_ signal: Int32, _ code: Int32) async throws {
            try await Sandbox.run { box in
                var generator = Chain.options(blocks: 60)
                generator.blockTime = .milliseconds(50)
                try await Chain.serving(generator) { simulator, port in
                    let place = Workplace(box, "main", port: port)
                    let child = try place.startRun()
                    try await Surroundings.eventually("live blocks") {
                        simulator.statistics.calls["eth_getBlockReceipts", default: 0] >= 80 ? true : nil
                    }
                    child.send(signal)
                    #expect(try await child.wait(limit: .seconds(20)) == .exited(code), "\(child.errors)")
                    let stored = try #require(try await place.tables(.duckdb)["blocks"])
                    #expect(stored.rows >= 60)
                    let last = max(simulator.head, stored.last) + 5
                    try await place.run(until: last)
                    try await place.tables(.duckdb).expectWhole(Chain.first...last)
                }
            }
        }

        @Test("--for ends with exit code 0")
        func forAWhile() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 50)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    let child = try place.startRun("--for", "2s")
                    #expect(try await child.wait(limit: .seconds(20)) == .exited(0), "\(child.errors)")
                    try await place.tables(.duckdb).expectWhole(Chain.blocks(50))
                }
            }
        }

        @Test("--until-block ends with exactly that block", arguments: [UInt64(0), 1, 31, 32, 33, 49])
        func untilBlock(_ offset: UInt64) async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 70)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try await place.run(until: Chain.first + offset)
                    let blocks = try #require(try await place.tables(.duckdb)["blocks"])
                    #expect(blocks.first == Chain.first && blocks.last == Chain.first + offset && blocks.rows == Int(offset) + 1)
                }
            }
        }
    }
}
