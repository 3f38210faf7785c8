import SluiceConfig
import SluiceCore
import Testing

@Suite struct SecretTests {
    private static let canary = "CANARY7f3a"

    @Test("a secret cannot be printed by any means")
    func wrapper() {
        let secret = Secret(Self.canary)
        var dumped = ""
        dump(secret, to: &dumped)
        dump([Optional(secret)], to: &dumped)
        let all =
            dumped + "\(secret)" + String(reflecting: secret) + String(describing: [secret])
            + "\(Mirror(reflecting: secret).children.map { "\($0)" })"
        #expect(!all.contains(Self.canary))
        #expect(secret.reveal() == Self.canary)
    }

    @Test("a loaded configuration can be dumped without showing keys")
    func dumped() throws {
        let text = Fixtures.good.replacing("abc123", with: Self.canary).replacing("8545/key", with: "8545/\(Self.canary)")
        let loaded = try Fixtures.load(
            text, .fixed(["ETH_RPC_URL": "https://user:\(Self.canary)@one.example/v2?key=\(Self.canary)", "PW": Self.canary]))
        var dumped = ""
        dump(loaded, to: &dumped)
        #expect(!(dumped + "\(loaded)").contains(Self.canary))
        let endpoints = try #require(loaded.network("ethereum")?.endpoints)
        #expect(endpoints.map(\.url.description) == ["https://one.example/***", "https://two.example:8545/***"])
        #expect(endpoints[0].url.reveal().contains(Self.canary))
        #expect(endpoints[1].headers.map { $0.value.reveal() } == [Self.canary])
        #expect(loaded.sink("warehouse")?.options.secret("password").reveal() == Self.canary)
    }

    /// Every place where a key can stand, with some mistake beside it or in it.
    private static let leaks: [String] = [
        "state: a\nstate: \(canary)\n",
        "api_key: \(canary)\n",
        "\(canary)\n",
        "- \(canary)\n",
        "key: \"\(canary)\n",
        "networks: {ethereum: {endpoints: [{url: http://a.example, headers: {k: \(canary)}}]}\n",
        "networks: {ethereum: {endpoints: [ftp://\(canary)@a.example]}}\n",
        "networks: {ethereum: {endpoints: [\"http://a b/\(canary)\"]}}\n",
        "networks: {ethereum: {endpoints: http://a.example/\(canary)}}\n",
        "networks: {ethereum: {endpoints: [http://a.example/\(canary)], polll: 1}}\n",
        "networks: {ethereum: {endpoints: [{url: http://a.example, headers: [\(canary)]}]}}\n",
        "networks: {ethereum: {endpoints: [{url: http://a.example, header: {k: \(canary)}}]}}\n",
        "networks: {ethereum: {endpoints: [{url: http://a.example, headers: {k: {\(canary): 1}}}]}}\n".replacing(
            "{\(canary): 1}", with: "[\(canary)]"),
        "sinks: {w: {type: duckdb, path: a, password: [\(canary)]}}\n",
        "sinks: {w: {type: duckdb, path: a, passwrod: \(canary)}}\n",
        "sinks: {w: {type: duckdb, password: \(canary), read_only: 3}}\n",
        "sinks: {w: {type: duckdb, password: \"\(canary)\", read_only: 3}}  # \(canary)\n",
        "sinks: {w: {typ: duckdb, password: \(canary)}}\n",
        "sinks:\n  w:\n    type: duckdb\n    password: |\n      \(canary)\n    read_only: \(canary == "" ? "" : "${CANARY}")\n",
        "sinks: {w: {type: duckdb, password: '\(canary)' x}}\n",
        "pipelines: {p: {start: \"${CANARY}\"}}\n",
        "pipelines: {p: {start: \"${UNSET}\", network: \"${CANARY}\"}}\n",
        "sinks: {w: {type: \"${CANARY}\"}}\n",
        "networks: {ethereum: {poll_interval: \"${NUMBER}\", endpoints: [\"${CANARY}\"]}}\n",
    ]

    @Test("no mistake makes an error that shows a key", arguments: leaks)
    func errors(_ text: String) {
        let environment = ConfigEnvironment.fixed(["CANARY": Self.canary, "NUMBER": "7311"])
        let error = #expect(throws: ConfigError.self) { try Fixtures.load(text, environment) }
        let shown = error.map { $0.description + $0.sluiceError.debugDescription } ?? ""
        #expect(!shown.contains(Self.canary), "\(shown)")
        #expect(!shown.contains("7311"), "\(shown)")
    }
}
