import Glibc
import SluiceCore
import Testing

@Suite("Simulation") struct SimulationTests {
    /// `SLUICE_SEED=N` runs that seed alone, `SLUICE_SEEDS=N` so many.
    private static func setting(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    private static var seeds: [UInt64] {
        if let one = setting("SLUICE_SEED") { return [one] }
        return Array(0..<(setting("SLUICE_SEEDS") ?? 2000))
    }

    @Test("whatever happens on the way, every table ends as that of a clean run, and all catch up")
    func everything() async {
        let halves = [Self.seeds.filter { $0 % 2 == 0 }, Self.seeds.filter { $0 % 2 == 1 }]
        let total = Box(Simulation.Outcome())
        await withTaskGroup(of: Void.self) { group in
            for half in halves {
                group.addTask {
                    for seed in half {
                        let outcome = Simulation(seed: seed, isTraced: Self.setting("SLUICE_SEED_TRACE") != nil).run()
                        if Self.setting("SLUICE_SEED_TRACE") != nil { print("seed \(seed)", outcome) }
                        for failure in outcome.failures {
                            print(failure)
                            Issue.record("\(failure)")
                        }
                        total.change { total in
                            total.steps += outcome.steps
                            total.reorganisations += outcome.reorganisations
                            total.crashes += outcome.crashes
                            total.pauses += outcome.pauses
                            total.changes += outcome.changes
                            total.blocks += outcome.blocks
                            total.letters += outcome.letters
                            total.replays += outcome.replays
                        }
                    }
                }
            }
        }
        let sum = total.value
        print(
            """
            simulated \(Self.seeds.count) seeds: \(sum.blocks) blocks, \(sum.reorganisations) reorganisations, \(sum.crashes) crashes, \
            \(sum.pauses) pauses, \(sum.changes) changes of wishes, \(sum.letters) dead letters, \(sum.replays) replays, \(sum.steps) steps
            """
        )
    }

    @Test("the same seed gives the same run")
    func replay() {
        for seed in [3, 17, 255] as [UInt64] { #expect(Simulation(seed: seed).run().steps == Simulation(seed: seed).run().steps) }
    }
}
