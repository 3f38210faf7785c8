import Testing

/// A configuration with mistakes, and what must be said about them: "line:column: words", in order and complete.
struct GoldenBadConfig: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let expected: [String]
    var testDescription: String { name }

    private static let networks = "networks:\n  ethereum: { endpoints: [http://a.example] }\n"
    private static let sinks = "sinks:\n  warehouse: { type: duckdb, path: a.duckdb }\n"
    private static let pipelines = "pipelines:\n  main: { network: ethereum, register: blocks, sinks: [warehouse] }\n"

    init(_ name: String, _ text: String, _ expected: String...) {
        self.name = name
        self.text = text
        self.expected = expected
    }

    /// Lines 1-2 are networks, 3-4 sinks, 5-6 pipelines; one of them is replaced and comes first.
    private static func networks(_ name: String, _ lines: String, _ expected: String...) -> GoldenBadConfig {
        GoldenBadConfig(name, "networks:\n\(lines)\n\(sinks)\(pipelines)", all: expected)
    }
    private static func sinks(_ name: String, _ lines: String, _ expected: String...) -> GoldenBadConfig {
        GoldenBadConfig(name, "sinks:\n\(lines)\n\(networks)\(pipelines)", all: expected)
    }
    private static func pipelines(_ name: String, _ lines: String, _ expected: String...) -> GoldenBadConfig {
        GoldenBadConfig(name, "pipelines:\n\(lines)\n\(networks)\(sinks)", all: expected)
    }
    private init(_ name: String, _ text: String, all: [String]) {
        self.name = name
        self.text = text
        expected = all
    }

    static let all: [GoldenBadConfig] = syntax + structure + scalars + references

    static let syntax: [GoldenBadConfig] = [
        GoldenBadConfig("empty file", "", "1:1: the configuration is empty"),
        GoldenBadConfig("comments only", "# nothing\n\n", "1:1: the configuration is empty"),
        GoldenBadConfig("tab indentation", "networks:\n\tethereum: {}\n", "2:1: a tab in the indentation"),
        GoldenBadConfig("unclosed quote", "state: \"abc\nnetworks: {}\n", "3:1: not valid YAML"),
        GoldenBadConfig("unclosed bracket", "networks: [\n  a\n", "3:1: not valid YAML"),
        GoldenBadConfig("two documents", "state: a\n---\nstate: b\n", "2:1: a second document"),
        GoldenBadConfig("duplicate key", "state: a\nstate: b\n", "2:1: the key \"state\" is there twice; the first is in line 1"),
        GoldenBadConfig("duplicate key deep", "networks:\n  ethereum: {}\n  ethereum: {}\n", "3:3: the key \"ethereum\" is there twice"),
        GoldenBadConfig("duplicate key in flow", "sinks: { a: {type: duckdb, type: parquet} }\n", "1:28: the key \"type\" is there twice"),
        GoldenBadConfig("key without colon", "state: a\nnetworks\n", "3:1: not valid YAML"),
        GoldenBadConfig("bad indentation", "networks:\n    a: 1\n  b: 2\n", "3:3: not valid YAML"),
        GoldenBadConfig("colon in plain value", "state: a: b\n", "1:9: not valid YAML"),
        GoldenBadConfig("list as key", "? [a]\n: b\n", "1:3: a key must be plain text"),
        GoldenBadConfig("tag", "state: !!binary abc\n", "1:8: a tag"),
        GoldenBadConfig("python tag", "state: !python/object x\n", "1:8: a tag"),
        GoldenBadConfig("unknown alias", "state: *nowhere\n", "1:8: the alias *nowhere has no complete anchor"),
        GoldenBadConfig("anchor that contains itself", "networks: &a\n  x: *a\n", "2:6: the alias *a has no complete anchor"),
        GoldenBadConfig("merge of a scalar", "networks:\n  <<: 5\n", "2:7: \"<<\" merges mappings, found a single value"),
        GoldenBadConfig("control character", "state: a\u{7}b\n", "1:9: control characters are not allowed"),
        GoldenBadConfig("percent directive", "%FOO\nstate: a\n", "1:5: not valid YAML"),
        GoldenBadConfig(
            "alias bomb",
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                + zip("bcdefg", "abcdef").map { "\($0): &\($0) [" + Array(repeating: "*\($1)", count: 10).joined(separator: ",") + "]\n" }
                .joined(),
            "5:17: more than 50000 values"),
        GoldenBadConfig("deep nesting", "a: " + String(repeating: "[", count: 60) + "\n", "1:35: nested more than 32 levels"),
    ]

    static let structure: [GoldenBadConfig] = [
        GoldenBadConfig("root is a list", "- a\n", "1:1: expected a mapping, found a list"),
        GoldenBadConfig("root is text", "hello\n", "1:1: expected a mapping, found a single value"),
        GoldenBadConfig(
            "root keys missing", "state: a\n", "1:1: missing \"networks\"", "1:1: missing \"pipelines\"", "1:1: missing \"sinks\""),
        GoldenBadConfig(
            "root key misspelt", "network: {}\n\(sinks)\(pipelines)",
            "1:1: network: unknown key; did you mean \"networks\"?", "1:1: missing \"networks\"", "5:20: unknown network; there is none"),
        GoldenBadConfig(
            "root key unknown", "wibble: 1\n\(networks)\(sinks)\(pipelines)",
            "1:1: wibble: unknown key; known keys: state, networks, sinks, pipelines"),
        networks(
            "nothing behind networks", "", "1:10: networks: expected a mapping, found nothing", "6:20: unknown network; there is none"),
        networks("networks is a list", "  - ethereum", "2:3: networks: expected a mapping, found a list", "6:20: unknown network"),
        networks("no endpoints", "  ethereum: { chain_id: 1 }", "2:13: networks.ethereum: missing \"endpoints\", which is required"),
        networks("network is a URL", "  ethereum: http://a.example", "2:13: networks.ethereum: expected a mapping, found a single value"),
        networks(
            "endpoints is text", "  ethereum: { endpoints: http://a.example }",
            "2:26: networks.ethereum.endpoints: expected a list, found a single value; write a list"),
        networks("endpoints is empty", "  ethereum: { endpoints: [] }", "2:26: the list must not be empty"),
        networks(
            "endpoint without url", "  ethereum: { endpoints: [{ max_batch: 1 }] }", "2:27: networks.ethereum.endpoints[0]: missing \"url\""
        ),
        networks(
            "endpoint is a list", "  ethereum: { endpoints: [[a]] }",
            "2:27: networks.ethereum.endpoints[0]: expected a URL (http://, https://), or a mapping, found a list"),
        networks(
            "endpoint key misspelt", "  ethereum: { endpoints: [{ url: http://a.example, max_inflight: 3 }] }",
            "2:52: unknown key; did you mean \"max_in_flight\"?"),
        networks(
            "key with a dash", "  ethereum: { endpoints: [http://a.example], poll-interval: 1s }",
            "2:46: unknown key; did you mean \"poll_interval\"?"),
        networks(
            "key in capitals", "  ethereum: { endpoints: [http://a.example], Chain_ID: 1 }", "2:46: unknown key; did you mean \"chain_id\"?"
        ),
        networks(
            "network name in capitals", "  Ethereum: { endpoints: [http://a.example], chain_id: 1 }",
            "2:3: not a name that can be used here", "6:20: unknown network; did you mean \"Ethereum\"?"),
        networks(
            "header name", "  ethereum: { endpoints: [{ url: http://a.example, headers: { \"a b\": c } }] }",
            "2:63: not a name that can be used here; use a header name"),
        networks(
            "headers is a list", "  ethereum: { endpoints: [{ url: http://a.example, headers: [a] }] }",
            "2:61: headers: expected a mapping, found a list"),
        sinks(
            "sink without type", "  warehouse: { path: a.duckdb }",
            "2:14: sinks.warehouse: missing \"type\", which is required; one of duckdb, parquet"),
        sinks("sink type misspelt key", "  warehouse: { tpye: duckdb, path: a }", "2:16: missing \"type\""),
        sinks(
            "sink type unknown", "  warehouse: { type: duckbd, path: a }",
            "2:22: sinks.warehouse.type: expected one of duckdb, parquet, found \"duckbd\"; did you mean \"duckdb\"?"),
        sinks(
            "sink type of nothing known", "  warehouse: { type: postgres, path: a }",
            "2:22: expected one of duckdb, parquet, found \"postgres\""),
        sinks(
            "sink key of another type", "  warehouse: { type: duckdb, path: a, blocks_per_file: 3 }",
            "2:39: sinks.warehouse.blocks_per_file: unknown key; known keys: type, path"),
        sinks("sink path missing", "  warehouse: { type: duckdb }", "2:14: sinks.warehouse: missing \"path\""),
        sinks(
            "sink name with a dash", "  ware-house: { type: duckdb, path: a }", "2:3: not a name that can be used here",
            "6:56: unknown sink; did you mean \"ware-house\"?"),
        sinks("empty sinks", "  {}", "2:3: sinks: there must be at least one", "6:56: unknown sink; there is none"),
        pipelines("pipeline is a list", "  main: [blocks]", "2:9: pipelines.main: expected a mapping, found a list"),
        pipelines("pipeline keys missing", "  main: { register: blocks }", "2:9: missing \"network\"", "2:9: missing \"sinks\""),
        pipelines(
            "pipeline key misspelt", "  main: { network: ethereum, regster: blocks, sinks: [warehouse] }",
            "2:9: missing \"register\" (or \"registers\")", "2:30: pipelines.main.regster: unknown key; did you mean \"register\"?"),
        pipelines(
            "pipeline name", "  2nd: { network: ethereum, register: blocks, sinks: [warehouse] }", "2:3: not a name that can be used here"),
        pipelines(
            "sinks is text", "  main: { network: ethereum, register: blocks, sinks: warehouse }",
            "2:55: pipelines.main.sinks: expected a list, found a single value"),
    ]

    private static func option(_ name: String, _ option: String, _ expected: String) -> GoldenBadConfig {
        networks(name, "  ethereum:\n    endpoints: [http://a.example]\n    \(option)", expected)
    }
    private static func url(_ name: String, _ url: String, _ expected: String) -> GoldenBadConfig {
        networks(name, "  ethereum:\n    endpoints: [\(url)]", "3:17: networks.ethereum.endpoints[0]: \(expected)")
    }

    static let scalars: [GoldenBadConfig] = [
        option("int is text", "chain_id: one", "4:15: networks.ethereum.chain_id: expected a whole number of at least 1, found \"one\""),
        option("int in scientific notation", "finality_depth: 1e3", "4:21: expected a whole number from 0 to 1000000, found \"1e3\""),
        option("int in hex", "finality_depth: 0x10", "4:21: found \"0x10\""),
        option("int with a fraction", "finality_depth: 6.5", "4:21: found \"6.5\""),
        option("int with a leading zero", "finality_depth: 065", "4:21: found \"065\"; remove the leading zero"),
        option("int negative", "finality_depth: -1", "4:21: out of range"),
        option("int too large", "finality_depth: 99999999999999999999999", "4:21: out of range"),
        option("int is a list", "finality_depth: [1]", "4:21: expected a whole number from 0 to 1000000, found a list"),
        option("int is nothing", "finality_depth:", "4:20: expected a whole number from 0 to 1000000, found nothing"),
        option("int is null", "finality_depth: null", "4:21: found nothing"),
        option("duration without unit", "poll_interval: 12", "4:20: the unit is missing; write 12s or 12ms"),
        option("duration unit", "poll_interval: 12sec", "4:20: unknown unit; units are ms, s, m, h, d"),
        option("duration negative", "poll_interval: -1s", "4:20: expected a duration from 10ms to 1h, found \"-1s\""),
        option("duration too short", "poll_interval: 1ms", "4:20: out of range: expected a duration from 10ms to 1h"),
        option("duration huge", "poll_interval: 99999999999999999999d", "4:20: out of range"),
        option("size without unit", "max_response: 1000000", "4:19: the unit is missing"),
        option("size unit in wrong case", "max_response: 64mib", "4:19: unknown unit; did you mean 64MiB?"),
        option("size overflows", "max_response: 99999999999TiB", "4:19: out of range"),
        option("size with a fraction", "max_response: 1.5GiB", "4:19: write a whole number"),
        option("choice", "verify: ful", "4:13: expected one of full, links, found \"ful\"; did you mean \"full\"?"),
        option("boolean as choice", "verify: true", "4:13: expected one of full, links, found \"true\""),
        option(
            "unset variable", "poll_interval: ${NOPE}",
            "4:20: the environment variable NOPE is not set; set it, or give a default: ${NOPE:-value}"),
        option("variable without end", "poll_interval: \"${NOPE\"", "4:20: \"${\" without \"}\""),
        option("variable with a bad name", "poll_interval: ${9a}", "4:20: \"${9a}\" does not name a variable"),
        option("missing file", "poll_interval: ${file:/nowhere}", "4:20: cannot read the file \"/nowhere\""),
        option(
            "default of the wrong type", "poll_interval: ${NOPE:-soon}",
            "4:20: expected a duration from 10ms to 1h, found the value of \"${NOPE:-soon}\""),
        url("URL without scheme", "a.example", "not a URL"),
        url("URL of another scheme", "ftp://a.example", "a URL of another scheme; use http://, https://"),
        url("URL without host", "\"http://\"", "a URL without a valid host name"),
        url("URL with a bad port", "http://a.example:99999", "a URL with a port that is not from 1 to 65535"),
        url("URL with a blank", "\"http://a b\"", "not a URL"),
        sinks(
            "boolean as yes", "  warehouse: { type: duckdb, path: a, read_only: yes }",
            "2:50: expected true or false, found \"yes\"; write true"),
        sinks("empty path", "  warehouse: { type: duckdb, path: \"\" }", "2:36: expected a path, found nothing"),
        sinks("home path", "  warehouse: { type: duckdb, path: ~/a }", "2:36: \"~\" is not expanded; write ${HOME}"),
        pipelines(
            "start in words", "  main: { network: ethereum, register: blocks, start: newest, sinks: [warehouse] }",
            "2:55: expected a whole number of at least 0, or latest, found \"newest\""),
    ]

    static let references: [GoldenBadConfig] = [
        networks(
            "no preset", "  mychain: { endpoints: [http://a.example] }",
            "2:3: networks.mychain: no preset of this name, and no chain_id; add chain_id", "6:20: unknown network"),
        networks(
            "preset misspelt", "  etherium: { endpoints: [http://a.example] }", "2:3: did you mean \"ethereum\"?",
            "6:20: unknown network; did you mean \"etherium\"?"),
        networks(
            "preset with another chain", "  ethereum: { endpoints: [http://a.example], chain_id: 5 }",
            "2:56: the preset \"ethereum\" is chain 1, not 5"),
        pipelines(
            "unknown network", "  main: { network: etherum, register: blocks, sinks: [warehouse] }",
            "2:20: pipelines.main.network: unknown network; did you mean \"ethereum\"?"),
        pipelines(
            "unknown register", "  main: { network: ethereum, register: block, sinks: [warehouse] }",
            "2:40: pipelines.main.register: unknown register; did you mean \"blocks\"?"),
        pipelines(
            "unknown register in a list", "  main: { network: ethereum, registers: [blocks, lgos], sinks: [warehouse] }",
            "2:50: pipelines.main.registers[1]: unknown register; did you mean \"logs\"?"),
        pipelines(
            "register twice", "  main: { network: ethereum, registers: [blocks, blocks], sinks: [warehouse] }",
            "2:50: the register \"blocks\" is there twice"),
        pipelines(
            "register and registers", "  main: { network: ethereum, register: blocks, registers: [logs], sinks: [warehouse] }",
            "2:48: there is \"register\" already; keep one of the two"),
        pipelines(
            "unknown sink", "  main: { network: ethereum, register: blocks, sinks: [warehose] }",
            "2:56: pipelines.main.sinks[0]: unknown sink; did you mean \"warehouse\"?"),
        pipelines(
            "sink twice", "  main: { network: ethereum, register: blocks, sinks: [warehouse, warehouse] }",
            "2:67: the sink \"warehouse\" is there twice"),
        pipelines("no sinks", "  main: { network: ethereum, register: blocks, sinks: [] }", "2:55: the list must not be empty"),
        pipelines(
            "same table twice",
            "  one: { network: ethereum, register: erc20_transfers, sinks: [warehouse] }\n"
                + "  two: { network: ethereum, register: erc20_balances, sinks: [warehouse] }",
            "3:39: the pipeline \"one\" writes the table \"erc20_transfers\" of chain 1 into \"warehouse\" already"),
        sinks(
            "same file twice", "  warehouse: { type: duckdb, path: data/a }\n  other: { type: duckdb, path: ./data//a }",
            "3:32: sinks.other.path: the same path as the sink \"warehouse\""),
        sinks("state file as sink", "  warehouse: { type: duckdb, path: data/sluice.state }", "2:36: the same path as the state file"),
    ]
}
