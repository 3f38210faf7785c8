import SluiceSimulator
import SluiceStore
import SluiceTestKit
import Testing

extension EndToEnd {
    /// One sink of several is away for a while, with a real server that is stopped.
    @Suite(.needsReaders) struct SinkAway {
        @Test(
            "of a pipeline's sinks one goes away and comes back: the others never stop, it catches up, and all have the chain that prevailed",
            .enabled(if: TestServices.hasPostgres))
        func away() async throws {
            try await Sandbox.run { box in
                let services = try #require(Surroundings.services(["postgres"]))
                defer { services.stop() }
                var generator = Chain.options(seed: Surroundings.seed, blocks: 40)
                generator.blockTime = .milliseconds(50)
                generator.reorgEvery = 9
                generator.reorgDepth = 1...5
                try await Chain.serving(generator) { _, port in
                    var place = Workplace(box, "main", port: port, kinds: [.duckdb, .parquet, .postgres])
                    place.server = try #require(services.variables["SLUICE_TEST_POSTGRES"])
                    let last = Chain.first + 400
                    let child = try place.startRun("--until-block", "\(last)")
                    let store = try await Surroundings.eventually("a state file") {
                        try? await StateStore.openReadOnly(box.path("main.state"))
                    }
                    func told(_ sink: String) async throws -> UInt64 {
                        try await store.coverage().filter { $0.sink == sink }.map(\.last).max() ?? 0
                    }
                    try await Surroundings.eventually("a server with rows") { try await told("server") > Chain.first + 60 ? true : nil }
                    try services.down("postgres")
                    let before = (tables: try await told("tables"), server: try await told("server"))
                    try await Surroundings.eventually("others that go on") { try await told("tables") > before.tables + 80 ? true : nil }
                    // What was on its way there when it went away may have landed.
                    #expect(try await told("server") < before.server + 40)
                    try services.up("postgres")
                    #expect(try await child.wait(limit: .seconds(50)) == .exited(0), "\(child.errors.suffix(3000))")
                    #expect(child.errors.contains("a sink fails; trying again"))
                    for kind in [Workplace.Kind.duckdb, .postgres] { try await place.tables(kind).expectWhole(Chain.first...last) }
                    #expect(try await place.sums(.postgres) == place.sums(.duckdb))
                }
            }
        }
    }
}
