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
                    "networks", .map(network(catalog), keys: .dashed),
                    "The chains to read, by name. A preset's name brings chain id, block time and finality; others need `chain_id`. Presets: "
                        + NetworkPreset.all.map(\.name).joined(separator: ", ") + "."
                        + (catalog.sources.isEmpty ? "" : " Or services, by their `type`."),
                    example: "ethereum", required: true),
                FieldSpec(
                    "sinks", .map(.tagged(catalog.sinkSpecs), keys: .identifier), "The stores to load, by name.", example: "warehouse",
                    required: true),
                FieldSpec(
                    "pipelines", .map(.object(pipeline(catalog)), keys: .identifier), "What is asked for, by name.", example: "main",
                    required: true),
                FieldSpec("max_pipelines", .int(1...10_000), "How many pipelines there may be at a time.", default: "100"),
            ] + sharedState(catalog))
    }

    private static func network(_ catalog: ConfigCatalog) -> ValueType {
        guard !catalog.sources.isEmpty else { return .object(network) }
        return .tagged(catalog.sources.merging([ConfigCatalog.ethereum: network]) { _, chain in chain }, usual: ConfigCatalog.ethereum)
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
                FieldSpec("network", .string, "Name of the network. Instead of `combine`.", example: "ethereum", sampled: true),
                FieldSpec("register", .string, "The register asked for. Instead of `registers`.", example: "blocks", sampled: true),
                FieldSpec(
                    "registers", .list(.string, count: 1...64), "Several registers; one reading of the chain serves all.",
                    example: "[blocks, logs]"),
            ] + catalog.options.map(\.field) + [
                FieldSpec(
                    "start", .oneOf([.anyInt, .choice(["latest"])]), "The first block, or `latest` for the head at the first run.",
                    default: "latest"),
                FieldSpec(
                    "combine", .object(combine),
                    "The streams that a register which is an aggregator combines, and when. Instead of `network` and `start`."),
                FieldSpec(
                    "sinks", .list(.oneOf([.string, .object(sinkUse)]), count: 1...16),
                    "The sinks: names, or objects with `sink` and what happens when it is slower than what comes.", example: "[warehouse]",
                    required: true),
            ])
    }

    private static let combine = ObjectSpec(
        "Streams of several networks, and when their blocks go together.",
        [
            FieldSpec(
                "streams", .list(.object(stream), count: 1...16), "What is combined, in order.",
                example: "[{ network: ethereum }, { network: base }]", required: true),
            FieldSpec(
                "policy", .choice(["on_update", "latest_of_each", "aligned_by_height", "aligned_by_time", "window"]),
                "`on_update`: a bundle at each block of the trigger, with what came from the others since; `latest_of_each`: one at every block, with the newest of all; `aligned_by_height`: one a height; `aligned_by_time`: one block of each whose times are near; `window`: all blocks of a span of time.",
                example: "aligned_by_time", required: true),
            FieldSpec("trigger", .string, "For `on_update`: the network whose blocks make bundles."),
            FieldSpec(
                "others", .choice([Cardinality.any, .atLeastOne, .atMostOne].map(\.rawValue)),
                "For `on_update`: how many blocks of each other stream go into a bundle: whatever came, one at least (the trigger waits for it), or one at most (the rest waits). Default: any."
            ),
            FieldSpec(
                "tolerance", .duration(.zero...(.seconds(86_400))),
                "For `aligned_by_time`: how far the times may lie apart, in whole seconds.",
                example: "12s"),
            FieldSpec(
                "every", .duration(.seconds(1)...(.seconds(86_400 * 31))), "For `window`: its length, in whole seconds.", example: "1m"),
            FieldSpec(
                "timeout", .duration(.milliseconds(1)...(.seconds(86_400 * 31))),
                "How long a stream may keep the others waiting. When left out they wait for as long as it takes.", example: "30s"),
            FieldSpec(
                "on_timeout", .choice(["emit_partial", "skip", "fail"]),
                "What happens then: a bundle of what is there, none, or the pipeline fails. Default: emit_partial."),
        ])

    private static let stream = ObjectSpec(
        "One of the streams.",
        [
            FieldSpec("network", .string, "Name of the network.", example: "ethereum", required: true),
            FieldSpec(
                "start", .oneOf([.anyInt, .choice(["latest"])]), "The first block, or `latest` for the head at the first run.",
                default: "latest"),
        ])

    private static let sinkUse = ObjectSpec(
        "A sink as a pipeline uses it.",
        [
            FieldSpec("sink", .string, "Name of the sink.", example: "warehouse", required: true),
            FieldSpec(
                "when_full", .choice(["block", "spill", "drop_newest"]),
                "What happens to rows when it is slower than what comes. `block`: it sets the pace of all; `spill`: they wait on disk, beside the state file; `drop_newest`: they are left out, counted, and read again as a gap at the next start.",
                default: "block"),
            FieldSpec("spill_limit", .bytes((1 << 20)...(1 << 50)), "Disk that `spill` may use.", default: "1GiB"),
        ])
}
