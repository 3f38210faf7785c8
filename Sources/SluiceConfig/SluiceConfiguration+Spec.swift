internal import SluiceCore

extension SluiceConfiguration {
    /// The spec of the whole file.
    public static func spec(_ catalog: ConfigCatalog) -> ObjectSpec {
        ObjectSpec(
            "A Sluice configuration. Any value may be `${NAME}`, `${NAME:-default}` or `${file:/path}`; `$$` is a dollar sign.",
            [
                FieldSpec(
                    "state", .path, "Where Sluice keeps its own state (one file, with helpers of the same name beside it).",
                    default: "data/sluice.state"),
                FieldSpec(
                    "networks", .map(.object(network), keys: .dashed),
                    "The chains to read, by name. A preset's name brings chain id, block time and finality; others need `chain_id`. Presets: "
                        + NetworkPreset.all.map(\.name).joined(separator: ", ") + ".",
                    example: "ethereum", required: true),
                FieldSpec(
                    "sinks", .map(.tagged(catalog.sinkSpecs), keys: .identifier), "The stores to load, by name.", example: "warehouse",
                    required: true),
                FieldSpec(
                    "pipelines", .map(.object(pipeline(catalog)), keys: .identifier), "What is asked for, by name.", example: "main",
                    required: true),
            ] + sharedState(catalog))
    }

    private static func sharedState(_ catalog: ConfigCatalog) -> [FieldSpec] {
        guard !catalog.sharedStates.isEmpty else { return [] }
        let stores = catalog.sharedStates.map { FieldSpec($0.name, .object($0.spec), $0.doc) }
        let spec = ObjectSpec("A store through which several processes share the addresses that they look at.", stores)
        return [
            FieldSpec(
                "shared_state", .object(spec),
                "Where the addresses are kept that pipelines look at. Left out: in the state file, for one process alone.",
                example: "{ redis: { url: \"${REDIS_URL}\" } }")
        ]
    }

    private static let endpoint = ObjectSpec(
        "One JSON-RPC endpoint.",
        [
            FieldSpec(
                "url", .url(["http", "https"]), "Where it is. Keys in it are never shown.", example: "\"${ETH_RPC_URL}\"", required: true),
            FieldSpec(
                "requests_per_second", .float(0.01...100_000), "Limit of requests; found out while running when left out.", example: "200",
                unit: "requests/s"),
            FieldSpec(
                "compute_units_per_second", .float(0.01...10_000_000), "Limit of the provider's compute units.", example: "300",
                unit: "units/s"),
            FieldSpec("max_in_flight", .int(1...1024), "Requests at a time.", default: "64"),
            FieldSpec("max_batch", .int(1...1000), "Calls in one request; 1 turns batching off.", default: "100"),
            FieldSpec("headers", .map(.string, keys: .header), "Headers to send, for keys.", default: "{}", secret: true),
        ])

    private static let network = ObjectSpec(
        "One chain and the endpoints that serve it.",
        [
            FieldSpec(
                "endpoints", .list(.oneOf([.url(["http", "https"]), .object(endpoint)]), count: 1...64),
                "JSON-RPC endpoints in order of preference: URLs, or objects with `url` and limits.", example: "[\"${ETH_RPC_URL}\"]",
                required: true),
            FieldSpec(
                "chain_id", .int(1...Int.max),
                "The chain's id; endpoints that serve another are refused. From the preset when the name is one.", example: "1"),
            FieldSpec(
                "kind", .choice(NetworkKind.names),
                "What identifiers call it: `layer1` is Ethereum or a test network of it, `layer2` a rollup, `other_layer1` any other chain, `service` no chain. From the preset, else other_layer1.",
                example: "layer2"),
            FieldSpec(
                "block_time", .duration(.milliseconds(10)...(.seconds(3600))), "Time between blocks. From the preset, else 12s.",
                example: "12s"),
            FieldSpec(
                "finality_depth", .int(0...1_000_000),
                "Blocks behind the head that count as final where the endpoint does not say. From the preset, else 65.", example: "65",
                unit: "blocks"),
            FieldSpec(
                "poll_interval", .duration(.milliseconds(10)...(.seconds(3600))), "How often the head is asked for at the tip.",
                default: "1s"),
            FieldSpec(
                "request_timeout", .duration(.milliseconds(100)...(.seconds(3600))), "Time for one request, connecting not counted.",
                default: "30s"),
            FieldSpec("connect_timeout", .duration(.milliseconds(100)...(.seconds(600))), "Time to connect.", default: "5s"),
            FieldSpec("max_response", .bytes((1 << 10)...(2 << 30)), "The largest response that is taken.", default: "256MiB"),
            FieldSpec(
                "memory_budget", .bytes((1 << 20)...(64 << 30)), "Blocks held in memory at a time, all together.", default: "32MiB"),
            FieldSpec(
                "verify", .choice(Verification.allCases.map(\.rawValue)),
                "`full`: header hashes are recomputed; `links`: only parents must match. From the preset, else links.",
                example: "full"),
            FieldSpec("retry_attempts", .int(1...100), "Attempts for one request, the first included.", default: "8"),
            FieldSpec(
                "retry_budget", .duration(.milliseconds(100)...(.seconds(86400))), "Time for all attempts of one request.", default: "2m"),
        ])

    private static func pipeline(_ catalog: ConfigCatalog) -> ObjectSpec {
        ObjectSpec(
            "What is asked for, of which network, into which sinks.",
            [
                FieldSpec("network", .string, "Name of the network.", example: "ethereum", required: true),
                FieldSpec("register", .string, "The register asked for. Instead of `registers`.", example: "blocks", sampled: true),
                FieldSpec(
                    "registers", .list(.string, count: 1...64), "Several registers; one reading of the chain serves all.",
                    example: "[blocks, logs]"),
            ] + catalog.options.map(\.field) + [
                FieldSpec(
                    "start", .oneOf([.anyInt, .choice(["latest"])]), "The first block, or `latest` for the head at the first run.",
                    default: "latest"),
                FieldSpec("sinks", .list(.string, count: 1...16), "Names of the sinks.", example: "[warehouse]", required: true),
            ])
    }
}
