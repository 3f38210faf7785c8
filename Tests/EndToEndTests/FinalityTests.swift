import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// A reorganisation below what was final: only the operator can decide, so nothing is touched.
    @Suite(.needsReaders) struct Finality {
        @Test("a chain that changed below finality while sluice was away is exit code 76, and the tables stay")
        func whileAway() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 120)) { simulator, port in
                    var place = Workplace(box, "main", port: port)
                    // As far as this simulator's own tag lies behind its head.
                    place.settings = "poll_interval: 20ms"
                    let last = Chain.first + 119
                    try await place.run(until: last)
                    let before = try await place.tables(.duckdb)
                    before.expectWhole(Chain.first...last)
                    let old = try hashes(simulator, last)
                    try simulator.reorganise(depth: 40, length: 45)
                    let child = try place.startRun("--until-block", "\(last + 5)")
                    #expect(try await child.wait(limit: .seconds(20)) == .exited(76), "\(child.errors)")
                    try expectBothHashes(child.errors, old, try hashes(simulator, last))
                    #expect(try await place.tables(.duckdb) == before)
                    // Asked again it says the same: nothing was half undone.
                    let again = try place.startRun("--until-block", "\(last + 5)")
                    #expect(try await again.wait() == .exited(76), "\(again.errors)")
                    #expect(try await place.tables(.duckdb) == before)
                }
            }
        }

        @Test("a chain that changes below finality under a running sluice is exit code 76, and the tables stay")
        func whileRunning() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 120)) { simulator, port in
                    let place = Workplace(box, "main", port: port)
                    let last = Chain.first + 119
                    let clean = Workplace(box, "clean", port: port)
                    try await clean.backfill(Chain.first...last)
                    let before = try await clean.tables(.duckdb)
                    let receipts = simulator.statistics.calls["eth_getBlockReceipts", default: 0] + 120
                    let child = try place.startRun()
                    try await Surroundings.eventually("all blocks asked for") {
                        simulator.statistics.calls["eth_getBlockReceipts", default: 0] >= receipts ? true : nil
                    }
                    let polls = simulator.statistics.requests + 20
                    try await Surroundings.eventually("polling") { simulator.statistics.requests >= polls ? true : nil }
                    let old = try hashes(simulator, last)
                    try simulator.reorganise(depth: 40, length: 45)
                    #expect(try await child.wait(limit: .seconds(20)) == .exited(76), "\(child.errors)")
                    try expectBothHashes(child.errors, old, try hashes(simulator, last))
                    #expect(try await place.tables(.duckdb) == before)
                }
            }
        }

        private func hashes(_ simulator: Simulator, _ last: UInt64) throws -> [UInt64: String] {
            var out: [UInt64: String] = [:]
            for number in (last - 60)...last { out[number] = try simulator.canonical(number)?.ref.hash.description }
            return out
        }

        /// That the message names, of one number, the block before and the block after.
        private func expectBothHashes(_ text: String, _ old: [UInt64: String], _ new: [UInt64: String]) throws {
            let both = old.contains { number, hash in
                hash != new[number] && text.contains(hash) && text.contains(new[number] ?? "-") && text.contains("\(number)")
            }
            #expect(both, "\(text)")
        }
    }
}
