import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// `kill -9` at random instants: whatever was half done, the tables end up as if nothing had happened.
    @Suite(.needsReaders) struct Kill {
        @Test("backfills that are killed again and again end with the tables of an undisturbed one", arguments: Workplace.Kind.asked)
        func backfill(_ kind: Workplace.Kind) async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                let range = Chain.blocks(300)
                try await Chain.serving(Chain.options(blocks: 330)) { options in
                    // Slow enough for the kills to fall anywhere between the first request and the last commit.
                    options.faults.latency = .milliseconds(3)
                } _: { _, port in
                    let clean = Workplace(box, "clean", port: port, kinds: [kind])
                    try await clean.backfill(range)
                    let expected = try await clean.tables(kind)
                    expected.expectWhole(range)
                    var kills = 0
                    var round = 0
                    while kills < Surroundings.kills {
                        let place = Workplace(box, "round-\(round)", port: port, kinds: [kind])
                        var isDone = false
                        while !isDone {
                            let child = try place.startBackfill(range)
                            // Once there were kills enough, the round is left to end.
                            if kills < Surroundings.kills {
                                try await Task.sleep(for: .milliseconds(Int64.random(in: 5...900, using: &random)))
                                child.send(SIGKILL)
                            }
                            let ending = try await child.wait()
                            if ending == .killed(SIGKILL) {
                                kills += 1
                            } else {
                                #expect(ending == .exited(0), "seed \(Surroundings.seed), kill \(kills): \(child.errors.suffix(2000))")
                                isDone = true
                            }
                        }
                        #expect(try await place.tables(kind) == expected, "seed \(Surroundings.seed), round \(round), kill \(kills)")
                        round += 1
                        for name in Surroundings.names(in: box.folder) where name.hasPrefix("round-") {
                            Surroundings.remove(box.path(name))
                        }
                    }
                    print("killed \(kind) backfills \(kills) times in \(round) rounds, seed \(Surroundings.seed)")
                }
            }
        }

        @Test("following a reorganising chain, killed again and again, ends with the tables of the chain that prevailed")
        func live() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                var generator = Chain.options(seed: Surroundings.seed, blocks: 40)
                generator.blockTime = .milliseconds(40)
                generator.reorgEvery = 4
                generator.reorgDepth = 1...6
                let last = Chain.first + 60 + UInt64(Surroundings.kills) * 14
                generator.until = last
                generator.window = 8192
                try await Chain.serving(generator) { simulator, port in
                    let place = Workplace(box, "live", port: port, kinds: Workplace.Kind.available)
                    var kills = 0
                    while true {
                        let child = try place.startRun("--until-block", "\(last)")
                        if kills < 2 * Surroundings.kills {
                            try await Task.sleep(for: .milliseconds(Int64.random(in: 20...1100, using: &random)))
                            child.send(SIGKILL)
                        }
                        let ending = try await child.wait()
                        if ending == .killed(SIGKILL) {
                            kills += 1
                        } else {
                            #expect(ending == .exited(0), "seed \(Surroundings.seed), kill \(kills): \(child.errors.suffix(2000))")
                            break
                        }
                    }
                    #expect(simulator.head == last)
                    #expect(kills >= Surroundings.kills / 3, "the run ended before it could be disturbed")
                    let clean = Workplace(box, "clean", port: port, kinds: Workplace.Kind.available)
                    try await clean.backfill(Chain.first...last)
                    // One more run lets the lake take what has become final since.
                    try await place.run(until: last)
                    let tables = try await place.tables(.duckdb)
                    tables.expectWhole(Chain.first...last)
                    #expect(try await clean.tables(.duckdb) == tables, "seed \(Surroundings.seed)")
                    for kind in Workplace.Kind.available where [.postgres, .clickhouse, .kafka].contains(kind) {
                        let server = try await place.tables(kind)
                        server.expectWhole(Chain.first...last)
                        #expect(try await clean.tables(kind) == server, "\(kind), seed \(Surroundings.seed)")
                    }
                    for kind in Workplace.Kind.available where Workplace.Kind.files.contains(kind) || kind == .redis {
                        let files = try await place.tables(kind)
                        files.expectWhole(Chain.first...last)
                        #expect(try await clean.tables(kind) == files, "seed \(Surroundings.seed)")
                    }
                    let lake = try await place.tables(.parquet)
                    lake.expectFinal(from: Chain.first, finalized: simulator.finalized)
                    #expect(try await clean.tables(.parquet) == lake, "seed \(Surroundings.seed)")
                    for kind in Workplace.Kind.final {
                        let store = try await place.tables(kind)
                        store.expectFinal(from: Chain.first, finalized: simulator.finalized)
                        #expect(try await clean.tables(kind) == store, "\(kind), seed \(Surroundings.seed)")
                    }
                    print("killed a live run \(kills) times, seed \(Surroundings.seed)")
                }
            }
        }
    }
}
