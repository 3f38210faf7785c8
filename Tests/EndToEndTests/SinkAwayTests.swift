import SluiceSimulator
import SluiceStore
import SluiceTestKit
import Testing

extension EndToEnd {
    /// One sink of four is away for a while, with a real server that is stopped. One after the other: each runs four stores.
    @Suite(.serialized, .needsReaders) struct SinkAway {
        /// Those of the four whose servers can be stopped, and are here.
        static let stoppable: [Workplace.Kind] =
            (TestServices.hasPostgres ? [.postgres] : []) + (RedisServer.program == nil ? [] : [.redis])
            + (TestServices.hasModernClickHouse ? [.clickhouse] : [])

        @Test(
            "of a pipeline's four sinks one goes away and comes back: the others never stop, it catches up, and all have the chain that prevailed",
            arguments: stoppable)
        func away(_ kind: Workplace.Kind) async throws {
            try await Sandbox.run { box in
                let server = try await Stoppable(kind, box)
                defer { server.end() }
                var generator = Chain.options(seed: Surroundings.seed, blocks: 40)
                generator.blockTime = .milliseconds(50)
                generator.reorgEvery = 9
                generator.reorgDepth = 1...5
                try await Chain.serving(generator) { _, port in
                    let kinds: [Workplace.Kind] = [.duckdb] + Self.stoppable
                    var place = Workplace(box, "main", port: port, kinds: kinds)
                    place.servers[kind] = server.url
                    let last = Chain.first + 400
                    let child = try place.startRun("--until-block", "\(last)")
                    let store = try await Surroundings.eventually("a state file") {
                        try? await StateStore.openReadOnly(box.path("main.state"))
                    }
                    let all = kinds.map(Workplace.name)
                    try await Surroundings.eventually("sinks with rows") {
                        let told = try await self.told(store)
                        return all.allSatisfy { told[$0] ?? 0 > Chain.first + 60 } ? true : nil
                    }
                    try server.stop()
                    let before = try await told(store)
                    let name = Workplace.name(kind)
                    let others = all.filter { $0 != name }
                    try await Surroundings.eventually("others that go on") {
                        let told = try await self.told(store)
                        return others.allSatisfy { told[$0] ?? 0 > (before[$0] ?? 0) + 80 } ? true : nil
                    }
                    // What was on its way there when it went away may have landed.
                    let meanwhile = try await told(store)
                    #expect(meanwhile[name] ?? 0 < (before[name] ?? 0) + 40)
                    try await server.start()
                    #expect(try await child.wait(limit: .seconds(240)) == .exited(0), "\(child.errors.suffix(3000))")
                    #expect(child.errors.contains("a sink fails; trying again"))
                    let sums = try await place.sums(.duckdb)
                    for kind in kinds {
                        try await place.tables(kind).expectWhole(Chain.first...last)
                        #expect(try await place.sums(kind) == sums, "\(kind), seed \(Surroundings.seed)")
                    }
                }
            }
        }

        /// How far each sink is, as the state file tells.
        private func told(_ store: StateStore) async throws -> [String: UInt64] {
            try await store.coverage().reduce(into: [:]) { $0[$1.sink] = max($0[$1.sink] ?? 0, $1.last) }
        }
    }

    /// A server of one test, which is stopped and comes back where it was, with what it had.
    private struct Stoppable {
        let url: String
        private let kind: Workplace.Kind
        private let services: TestServices?
        private let redis: RedisServer?

        init(_ kind: Workplace.Kind, _ box: Sandbox) async throws {
            self.kind = kind
            guard kind == .redis else {
                let services = try #require(Surroundings.services([Self.name(kind)]))
                let variable = kind == .postgres ? "SLUICE_TEST_POSTGRES" : "SLUICE_TEST_CLICKHOUSE_MODERN"
                (self.services, redis, url) = (services, nil, try #require(services.variables[variable]))
                return
            }
            let redis = try RedisServer(folder: box.folder)
            try await redis.start()
            (services, self.redis, url) = (nil, redis, redis.url)
        }

        private static func name(_ kind: Workplace.Kind) -> String { kind == .postgres ? "postgres" : "clickhouse-modern" }

        func stop() throws {
            redis?.stop()
            try services?.down(Self.name(kind))
        }

        func start() async throws {
            try await redis?.start()
            try services?.up(Self.name(kind))
        }

        func end() {
            redis?.stop()
            services?.stop()
        }
    }
}
