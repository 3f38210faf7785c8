import SluiceConfig
import SluiceCore
import Testing

@Suite struct ConfigurationTests {
    @Test("a good configuration loads with every value in its place")
    func good() throws {
        let loaded = try Fixtures.load(Fixtures.good)
        #expect(loaded.state == "data/state.db")
        #expect(loaded.networks.map(\.name) == ["ethereum", "my-chain"])
        let ethereum = try #require(loaded.network("ethereum"))
        #expect(ethereum.chainID == 1)
        #expect(ethereum.blockTime == .seconds(12))
        #expect(ethereum.finalityDepth == 64)
        #expect(ethereum.pollInterval == .seconds(1))
        #expect(ethereum.requestTimeout == .seconds(30))
        #expect(ethereum.connectTimeout == .seconds(5))
        #expect(ethereum.maxResponse == 268_435_456)
        #expect(ethereum.memoryBudget == 33_554_432)
        #expect(ethereum.verify == .full)
        #expect(ethereum.retryBudget == .seconds(120))
        #expect(ethereum.endpoints[0].url.reveal() == "https://one.example/v2/SECRETKEY")
        #expect(ethereum.endpoints[0].maxInFlight == 64)
        #expect(ethereum.endpoints[1].requestsPerSecond == 200.5)
        #expect(ethereum.endpoints[1].maxInFlight == 8)
        #expect(ethereum.endpoints[1].maxBatch == 100)
        #expect(ethereum.endpoints[1].url.port == 8545)
        let mine = try #require(loaded.network("my-chain"))
        #expect(mine.chainID == 5000)
        #expect(mine.blockTime == .milliseconds(500))
        #expect(mine.finalityDepth == 65)
        #expect(mine.verify == .full)
        let warehouse = try #require(loaded.sink("warehouse"))
        #expect(warehouse.type == "duckdb")
        #expect(warehouse.options.bytes("memory_limit") == 134_217_728)
        #expect(warehouse.options.int("commit_rows") == 100_000)
        #expect(warehouse.options.secret("password").reveal() == "none")
        #expect(loaded.sink("lake")?.options.string("compression") == "snappy")
        #expect(loaded.pipelines[0].registers == ["erc20_transfers"])
        #expect(loaded.pipelines[0].start == .block(19_000_000))
        #expect(loaded.pipelines[1].registers == ["blocks", "transactions", "logs"])
        #expect(loaded.pipelines[1].start == .latest)
        #expect(loaded.pipelines[1].sinks == ["warehouse", "lake"])
    }

    @Test(
        "words that YAML 1.1 makes into something else stay text where text is wanted",
        arguments: ["no", "on", "yes", "1e3", "012", "0x1f", "12:30:45", "1.0", "2026-01-01"])
    func plainWords(_ word: String) throws {
        let loaded = try Fixtures.load(Fixtures.good.replacing("path: data/lake", with: "path: \(word)"))
        #expect(loaded.sink("lake")?.options.string("path") == word)
    }

    @Test("aliases and merge keys share settings")
    func aliases() throws {
        let text = """
            networks:
              ethereum: &base
                endpoints: &urls [http://a.example]
                poll_interval: 3s
                retry_attempts: 2
              sepolia:
                <<: *base
                retry_attempts: 4
              base: { endpoints: *urls }
            sinks: { w: { type: duckdb, path: a } }
            pipelines: { p: { network: sepolia, register: blocks, sinks: [w] } }
            """
        let loaded = try Fixtures.load(text)
        #expect(loaded.network("sepolia")?.pollInterval == .seconds(3))
        #expect(loaded.network("sepolia")?.retryAttempts == 4)
        #expect(loaded.network("sepolia")?.chainID == 11_155_111)
        #expect(loaded.network("base")?.endpoints[0].url.host == "a.example")
    }

    @Test(
        "variables, defaults, files and dollar signs are put in",
        arguments: [
            ("${A}", "x"), ("pre-${A}-${A}-post", "pre-x-x-post"), ("${NONE:-d}", "d"), ("${EMPTY:-d}", "d"), ("${A:-d}", "x"),
            ("${NONE:-a:-b}", "a:-b"), ("$${A}", "${A}"), ("cost $5", "cost $5"), ("$$$$", "$$"), ("${file:/run/key}", "from file"),
            ("${NESTED}", "${A}"),
            ("${CRLF}|", "a\r\nb|"),
        ])
    func interpolation(_ written: String, _ expected: String) throws {
        let environment = ConfigEnvironment.fixed(
            ["A": "x", "EMPTY": "", "NESTED": "${A}", "CRLF": "a\r\nb", "ETH_RPC_URL": "http://a.example"],
            files: ["/run/key": "from file\n"])
        let loaded = try Fixtures.load(Fixtures.good.replacing("path: data/lake", with: "path: '\(written)'"), environment)
        #expect(loaded.sink("lake")?.options.string("path") == expected)
    }

    @Test(
        "a duration is written in the largest unit of which it is a whole number, and read back as it was",
        arguments: [
            (5400, "90m"), (3600, "1h"), (86_400, "1d"), (90, "90s"), (0, "0s"), (604_800, "7d"),
        ])
    func durationText(_ seconds: Int, _ text: String) {
        #expect(Duration.seconds(seconds).configText == text && Duration(text: text) == .seconds(seconds))
    }

    @Test("a file's text ends without its line break, in one go", arguments: [("k\n", "k"), ("k\r\n", "k"), ("k", "k"), ("k\n\n", "k\n")])
    func fileText(_ content: String, _ expected: String) throws {
        let environment = ConfigEnvironment.fixed(["ETH_RPC_URL": "http://a.example"], files: ["/k": content])
        let loaded = try Fixtures.load(Fixtures.good.replacing("path: data/lake", with: "path: ${file:/k}"), environment)
        #expect(loaded.sink("lake")?.options.string("path") == expected)
    }

    @Test(
        "durations and sizes",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("12s", .seconds(12)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
            ("1.5s", .milliseconds(1500)),
        ])
    func durations(_ text: String, _ expected: Duration) throws {
        let loaded = try Fixtures.load(Fixtures.good.replacing("block_time: 500ms", with: "block_time: \(text)"))
        #expect(loaded.network("my-chain")?.blockTime == expected)
    }

    @Test(
        "presets have their chain ids",
        arguments: [
            ("ethereum", UInt64(1)), ("sepolia", 11_155_111), ("holesky", 17000), ("hoodi", 560_048), ("base", 8453), ("optimism", 10),
            ("arbitrum", 42161), ("polygon", 137), ("zksync", 324), ("scroll", 534_352), ("avalanche-c", 43114), ("gnosis", 100),
            ("bsc", 56),
            ("simulated", 1337),
        ])
    func presets(_ name: String, _ chainID: UInt64) {
        #expect(NetworkPreset.named(name)?.chainID == chainID)
        #expect(NetworkPreset.of(chainID: chainID)?.name == name)
        #expect(NetworkPreset.all.count == 14)
    }

    @Test("a free name with a known chain id takes what is known of the chain")
    func knownChain() throws {
        let loaded = try Fixtures.load(
            Fixtures.good.replacing("chain_id: 5_000", with: "chain_id: 8453").replacing("    verify: full\n", with: ""))
        #expect(loaded.network("my-chain")?.finalityDepth == 900)
        #expect(loaded.network("my-chain")?.verify == .full)
    }

    @Test("the kind of a network comes from what is written, else from the preset, else it is a chain of its own")
    func kinds() throws {
        let own = try Fixtures.load(Fixtures.good)
        #expect(own.network("ethereum")?.kind == .layer1 && own.network("my-chain")?.kind == .otherLayer1)
        let known = try Fixtures.load(Fixtures.good.replacing("chain_id: 5_000", with: "chain_id: 8453"))
        #expect(known.network("my-chain")?.kind == .layer2)
        let written = try Fixtures.load(Fixtures.good.replacing("chain_id: 5_000", with: "chain_id: 5_000\n    kind: service"))
        #expect(written.network("my-chain")?.kind == .service)
        #expect(throws: ConfigError.self) {
            try Fixtures.load(Fixtures.good.replacing("chain_id: 5_000", with: "chain_id: 5_000\n    kind: layer3"))
        }
    }
}
