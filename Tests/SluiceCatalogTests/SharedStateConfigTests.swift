import SluiceCatalog
import SluiceConfig
import SluiceCore
import Testing

@Suite("shared_state and balances in a configuration") struct SharedStateConfigTests {
    private static let a = "0x00000000000000000000000000000000000000aa"
    private static let b = "0x00000000000000000000000000000000000000bb"

    private static func text(_ more: String, _ pipeline: String = "register: blocks") -> String {
        """
        networks: { simulated: { endpoints: ["http://127.0.0.1:1"] } }
        sinks: { w: { type: duckdb, path: w.duckdb } }
        pipelines: { p: { network: simulated, sinks: [w], \(pipeline) } }
        \(more)
        """
    }

    private static func load(_ text: String) throws(ConfigError) -> SluiceConfiguration {
        try SluiceConfiguration.load(
            text: text, file: "f", catalog: Catalog.configuration,
            environment: .fixed(["URL": "redis://me:hush@redis.example:7000/3", "BAD": "redis://me:hush@redis.example/three"]))
    }

    /// Each as `line:column: path: message; suggestion`.
    private static func problems(_ text: String) -> [String] {
        do throws(ConfigError) {
            _ = try load(text)
            return []
        } catch {
            #expect(!error.description.contains("hush"), "\(error)")
            return error.problems.map { String($0.summary.dropFirst(2)) }
        }
    }

    @Test("defaults are what their own types take")
    func defaults() { #expect(SluiceConfiguration.spec(Catalog.configuration).faults() == []) }

    @Test("left out or empty, the state file keeps the shared state; else a Redis server, whose password is never shown")
    func good() throws {
        #expect(try Self.load(Self.text("")).sharedState == nil)
        #expect(try Self.load(Self.text("shared_state: {}")).sharedState == nil)
        let shared = try #require(
            try Self.load(Self.text("shared_state: { redis: { url: \"${URL}\", reply_timeout: 250ms } }")).sharedState)
        #expect(shared.store == "redis" && shared.options.string("namespace") == "sluice:state:")
        #expect(shared.options.duration("reply_timeout") == .milliseconds(250))
        #expect(shared.options.url("url").reveal() == "redis://me:hush@redis.example:7000/3")
        #expect("\(shared.options.url("url"))" == "redis://redis.example:7000/***")
        #expect(!"\(shared)".contains("hush") && !String(reflecting: shared).contains("hush"))
    }

    @Test(
        "what is wrong is said with its place, and what would be right",
        arguments: [
            ("redis: {}", "4:24: shared_state.redis: missing \"url\", which is required; for example url: \"${REDIS_URL}\""),
            ("redis: { url: \"http://h\" }", "4:31: shared_state.redis.url: a URL of another scheme; use redis://"),
            ("redis: { url: \"rediss://me:hush@h\" }", "4:31: shared_state.redis.url: a URL of another scheme; use redis://"),
            (
                "redis: { url: \"${BAD}\" }",
                "4:31: shared_state.redis.url: the URL of the Redis server cannot be used: behind the host comes the database, a number"
            ),
            (
                "redis: { url: \"redis://:hush@h?x=1\" }",
                "4:31: shared_state.redis.url: the URL of the Redis server cannot be used: it has a query"
            ),
            ("redis: { url: \"${URL}\", conect_timeout: 1s }", "4:41: shared_state.redis.conect_timeout: unknown key; did you mean"),
            ("redis: { url: \"${URL}\", namespace: \"\" }", "4:52: shared_state.redis.namespace: must not be empty"),
            ("redis: { url: \"${URL}\", reply_timeout: 0s }", "4:56: shared_state.redis.reply_timeout: out of range"),
            ("reddis: {}", "4:17: shared_state.reddis: unknown key; did you mean \"redis\"?"),
        ])
    func wrong(_ entry: String, _ expected: String) {
        let found = Self.problems(Self.text("shared_state: { \(entry) }"))
        #expect(found.count == 1 && found[0].hasPrefix(expected), "\(found)")
    }

    // MARK: - Balances

    @Test("what a pipeline says of balances becomes its register, told its addresses")
    func balances() throws {
        let configuration = try Self.load(
            Self.text(
                "", "register: account_balance, balances: { addresses: [\"\(Self.b)\", \"\(Self.a)\", \"\(Self.a)\"], interval_blocks: 7 }")
        )
        let pipeline = try #require(configuration.pipelines.first)
        let sample = try #require(Catalog.registers(of: pipeline).first?.needs.first?.sample)
        #expect(sample == Sample(pipeline: "p", members: [Self.a, Self.b], interval: 7, mayLack: false))
        #expect(
            pipeline.configured.flatMap(\.summary) == [
                "balances of \(Self.a), \(Self.b), every 7 blocks and at the head",
                "history that no endpoint has the state of: an error",
            ])
        let bare = try Self.load(Self.text("", "register: account_balance, balances: { pruned: leave_out, interval_blocks: 1 }"))
        #expect(
            bare.pipelines.flatMap(\.configured).flatMap(\.summary).first == "balances of no address yet, at every block and at the head")
        #expect(Catalog.registers(of: bare.pipelines[0]).first?.needs.first?.sample?.mayLack == true)
    }

    @Test(
        "what is wrong about balances is said with its place",
        arguments: [
            ("register: account_balance", "3:61: pipelines.p: the register \"account_balance\" needs \"balances\""),
            ("register: blocks, balances: {}", "3:69: pipelines.p.balances: \"balances\" is for the register \"account_balance\""),
            (
                "register: account_balance, balances: { addresses: [0x12] }",
                "3:102: pipelines.p.balances.addresses[0]: no address: 2 digits"
            ),
            ("register: account_balance, balances: { interval_blocks: 0 }", "3:107: pipelines.p.balances.interval_blocks: out of range"),
            (
                "register: account_balance, balances: { interval_blocks: x, addresses: [y] }",
                "3:107: pipelines.p.balances.interval_blocks: expected a whole number"
            ),
            (
                "register: account_balance, balances: { pruned: ignore }",
                "3:98: pipelines.p.balances.pruned: expected one of fail, leave_out"
            ),
        ])
    func wrongBalances(_ pipeline: String, _ expected: String) {
        let found = Self.problems(Self.text("", pipeline))
        #expect(found.count == 1 && found[0].hasPrefix(expected), "\(found)")
    }

    // MARK: - What it costs

    private static func cost(_ pipelines: [(addresses: [String], interval: Int)], poll: String = "1s") throws -> FetchSummary.Call? {
        let lines = pipelines.enumerated().map { index, pipeline in
            "  p\(index): { network: base, sinks: [w\(index)], register: account_balance, balances: { addresses: [\(pipeline.addresses.joined(separator: ", "))], interval_blocks: \(pipeline.interval) } }\n"
        }.joined()
        let sinks = pipelines.indices.map { "w\($0): { type: duckdb, path: w\($0) }" }.joined(separator: ", ")
        let configuration = try load(
            """
            networks: { base: { endpoints: ["http://127.0.0.1:1"], poll_interval: \(poll) } }
            sinks: { \(sinks) }
            pipelines:
            \(lines)
            """)
        return Catalog.fetch(configuration.pipelines.map(Catalog.registers), on: configuration.networks[0]).calls.first {
            $0.method == "eth_getBalance"
        }
    }

    @Test("an address costs a call a sample, whoever asks; at the head a call a block, or a poll where blocks come faster")
    func costs() throws {
        #expect(try Self.cost([([], 10)]) == nil)
        let one = try #require(try Self.cost([([Self.a], 10)]))
        #expect(one.perBlock == 0.1 && one.perBlockAtHead == 1 && one.what == "balances of 1 address" && one.units == 20)
        // The same grid, one within the other, and two that meet nowhere near.
        let both = try #require(try Self.cost([([Self.a, Self.b], 10), ([Self.b], 10)]))
        #expect(both.perBlock == 0.2 && both.perBlockAtHead == 2)
        #expect(try Self.cost([([Self.a], 10), ([Self.a], 20)])?.perBlock == 0.1)
        #expect(try Self.cost([([Self.a], 10), ([Self.a], 4)])?.perBlock == 0.35)
        // Base has a block each two seconds.
        #expect(try Self.cost([([Self.a, Self.b], 10)], poll: "4s")?.perBlockAtHead == 1)
        #expect(try Self.cost([([Self.a, Self.b], 1)], poll: "4s")?.perBlockAtHead == 2)
    }
}
