import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceFlow

extension Command {
    static let plan = Command(
        name: "plan", summary: "say what a run would fetch, make and load, without connecting to anything",
        usage: "[-c FILE] [--from A --to B] [--format text|mermaid|dot|json]",
        options: [
            .config, Option("--from", "A", "first block of a backfill to reckon with"), Option("--to", "B", "last block"),
            Option(
                "--format", "FORMAT",
                "text: the graph with all that is fetched, made and loaded; mermaid, dot: the graph alone; json (default: text)"), .json,
        ],
        examples: [
            "sluice plan -c sluice.yaml", "sluice plan -c sluice.yaml --from 19000000 --to 19000999",
            "sluice plan -c sluice.yaml --format dot | dot -Tsvg -o plan.svg",
        ]
    ) { arguments in
        let format = try arguments.choice("--format", ["text", "mermaid", "dot", "json"]) ?? (arguments.has("--json") ? "json" : "text")
        let from = try arguments.number("--from")
        let to = try arguments.number("--to")
        guard (from == nil) == (to == nil) else { throw UsageError("plan: --from and --to go together") }
        if let from, let to, from > to { throw UsageError("plan: --from \(from) lies behind --to \(to)") }
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        // A range of all numbers is one block more than can be counted.
        let blocks = from.flatMap { from in to.map { $0 - from == .max ? .max : $0 - from + 1 } }
        let plan = Plan(configuration: configuration, graph: try GraphPlan(configuration), blocks: blocks)
        switch format {
        case "json": Output.line(plan.json.pretty())
        case "mermaid": Output.data(GraphDrawing.mermaid(plan.graph))
        case "dot": Output.data(GraphDrawing.dot(plan.graph))
        default: Output.line(plan.lines(Output.outputStyle).joined(separator: "\n"))
        }
        return .success
    }
}

/// What a configuration amounts to.
private struct Plan {
    let configuration: SluiceConfiguration
    let graph: GraphPlan
    /// Blocks of the backfill to reckon with.
    let blocks: UInt64?

    private func registers(_ pipeline: PipelineSettings) -> [Register] { Catalog.registers(of: pipeline) }

    private func schemas(_ pipeline: PipelineSettings) -> [Schema] {
        registers(pipeline).flatMap(\.schemas).reduce(into: []) { all, schema in if !all.contains(schema) { all.append(schema) } }
    }

    /// Networks that nothing is asked of are not read.
    private var costs: [NetworkCost] {
        configuration.networks.compactMap { network in
            let own = configuration.pipelines.filter { $0.networks.contains(network.name) }
            guard !own.isEmpty, network.service == nil else { return nil }
            let calls = Catalog.fetch(own.map { Catalog.read(by: $0) }, on: network).calls
            return NetworkCost(
                network: network.name, pipelines: own.map(\.name),
                calls: calls.map {
                    NetworkCost.Call(
                        method: $0.method, what: $0.what, perBlock: $0.perBlock, perBlockAtHead: $0.perBlockAtHead, units: $0.units)
                },
                blockSeconds: network.blockTime.seconds)
        }
    }

    private func calls(_ fetch: FetchSummary) -> UInt64? { blocks.map { UInt64((Double($0) * fetch.callsPerBlock).rounded(.up)) } }

    /// Whether it reads a service, which has no blocks that could be counted.
    private func readsService(_ pipeline: PipelineSettings) -> Bool { configuration.network(pipeline.network)?.service != nil }

    /// What a network that is no chain says of itself, a line each.
    private func facts(_ network: NetworkSettings) -> [String] {
        network.service.flatMap { service in Catalog.service(network)?.facts(service.options) } ?? []
    }

    private func start(_ stream: PipelineSettings.Stream) -> String { stream.start.block.map { Amount.grouped($0) } ?? "latest" }

    private func sources(_ pipeline: PipelineSettings) -> String {
        if readsService(pipeline) { return pipeline.network }
        return pipeline.streams.map { "\($0.network) from block \(start($0))" }.joined(separator: " + ")
    }

    /// A sink with what happens when it is slower than what comes, unless it sets the pace.
    private func target(_ use: PipelineSettings.SinkUse) -> String {
        use.whenFull == .block ? use.sink : "\(use.sink) (when full: \(use.whenFull))"
    }

    /// Where the addresses are that pipelines look at; keys and passwords in a URL are not shown.
    private var sharedState: String {
        configuration.sharedState.map { "\($0.store) at \($0.options.url(ifSet: "url")?.description ?? "-")" }
            ?? "in the state file \(configuration.state), for this process alone"
    }

    // MARK: - Text

    func lines(_ style: Style) -> [String] {
        var lines = [style.bold("graph")] + GraphDrawing.tree(graph, style: style).map { "  \($0)" }
        lines += ["", style.bold("fetched, by network, for all its pipelines together")]
        for cost in costs { lines += cost.lines(blocks: blocks, style: style) }
        lines += ["", style.bold("networks")]
        for network in configuration.networks {
            if let service = network.service {
                lines += ["  \(network.name): \(service.type), final at once"] + facts(network).map { "    \($0)" }
                continue
            }
            lines.append(
                "  \(network.name): chain \(network.chainID), \(network.kind), final at \(network.finalityDepth) blocks where the endpoint does not say, verify \(network.verify.rawValue)"
            )
            for endpoint in network.endpoints {
                let rate = endpoint.requestsPerSecond.map { ", at most \(Amount.rate($0)) requests/s" } ?? ""
                lines.append("    endpoint \(endpoint.url)\(rate), batches of up to \(endpoint.maxBatch)")
            }
        }
        lines += ["", style.bold("sinks")]
        for sink in configuration.sinks {
            guard let kind = Catalog.sink(sink.type) else { continue }
            let undo = kind.holdsBack ? "held back to finality" : "orphaned rows are undone"
            let place = SinkConnector.place(sink.options) ?? "-"
            lines.append("  \(sink.name): \(sink.type) at \(place), delivery \(kind.delivery.rawValue), \(undo)")
            lines += kind.facts(sink.options).map { "    " + $0 }
        }
        lines += ["", style.bold("shared state"), "  \(sharedState)"]
        for pipeline in configuration.pipelines { lines += ["", style.bold("pipeline \(pipeline.name)")] + self.lines(pipeline) }
        return lines
    }

    private func lines(_ pipeline: PipelineSettings) -> [String] {
        var lines = ["  \(sources(pipeline)) -> \(pipeline.uses.map(target).joined(separator: ", "))"]
        if let policy = pipeline.synchronization { lines.append("  combined by \(policy)") }
        for register in registers(pipeline) {
            let after = register.dependencies.isEmpty ? "" : " <- \(register.dependencies.joined(separator: ", "))"
            lines.append("  register \(register.name) (\(register.kind))\(after)")
            for told in pipeline.configured where told.register.name == register.name { lines += told.summary.map { "    \($0)" } }
        }
        let fetch = Catalog.fetch(Catalog.read(by: pipeline), on: configuration.network(pipeline.network))
        let each = pipeline.streams.count > 1 ? " of each network" : ""
        for call in fetch.calls {
            let head = call.perBlockAtHead == call.perBlock ? "" : " (at the head \(Amount.fixed(call.perBlockAtHead, 2)))"
            lines.append("  fetch \(call.method): \(call.what), \(Amount.fixed(call.perBlock, 2)) calls a block\(head)")
        }
        if !readsService(pipeline) {
            lines.append(
                "  \(Amount.fixed(fetch.callsPerBlock, 2)) calls a block\(each)"
                    + (calls(fetch).map { ", \(Amount.grouped($0)) calls for \(Amount.grouped(blocks ?? 0)) blocks" } ?? ""))
        }
        for schema in schemas(pipeline) {
            var table = TextTable(["column", "type", "null", "meaning"])
            for (column, field) in zip(ScanColumn.native(schema), schema.fields) {
                table.add([column.name, column.sqlType, field.nullable ? "yes" : "no", field.doc])
            }
            lines += ["", "  table \(schema.name): \(schema.doc)"] + table.lines(indent: "    ")
        }
        return lines
    }

    // MARK: - JSON

    var json: JSON {
        .members([
            "graph": GraphDrawing.json(graph), "fetch": .array(costs.map { $0.json(blocks: blocks) }),
            "networks": .array(
                configuration.networks.map { network in
                    .members([
                        "network": .string(network.name), "chain_id": .integer(network.chainID),
                        "kind": .string("\(network.kind)"), "verify": .string(network.verify.rawValue),
                        "type": .string(network.service?.type ?? ConfigCatalog.ethereum),
                        "facts": .array(facts(network).map { .string($0) }),
                        "endpoints": .array(network.endpoints.map { .string($0.url.description) }),
                    ])
                }),
            "sinks": .array(
                configuration.sinks.map { sink in
                    .members([
                        "sink": .string(sink.name), "type": .string(sink.type), "path": .text(SinkConnector.place(sink.options)),
                        "delivery": .text(Catalog.sink(sink.type)?.delivery.rawValue),
                        "held_back_to_finality": .bool(Catalog.sink(sink.type)?.holdsBack ?? false),
                        "facts": .array((Catalog.sink(sink.type)?.facts(sink.options) ?? []).map { .string($0) }),
                    ])
                }),
            "shared_state": .string(sharedState), "pipelines": .array(configuration.pipelines.map(json)),
        ])
    }

    private func json(_ pipeline: PipelineSettings) -> JSON {
        let fetch = Catalog.fetch(Catalog.read(by: pipeline), on: configuration.network(pipeline.network))
        return .members([
            "pipeline": .string(pipeline.name), "network": .string(pipeline.network),
            "start": .string(start(pipeline.streams[0]).filter { $0 != "," }),
            "streams": .array(
                pipeline.streams.map {
                    .members(["network": .string($0.network), "start": .string(start($0).filter { $0 != "," })])
                }),
            "synchronization": .text(pipeline.synchronization?.description),
            "sinks": .array(pipeline.sinks.map { .string($0) }),
            "when_full": .array(pipeline.uses.map { .string($0.whenFull.description) }),
            "registers": .array(registers(pipeline).map { RegisterPages.json($0, tables: false) }),
            "told": .array(
                pipeline.configured.map {
                    .members(["register": .string($0.register.name), "what": .array($0.summary.map { .string($0) })])
                }),
            "fetch": .array(
                fetch.calls.map {
                    .members([
                        "method": .string($0.method), "what": .string($0.what), "calls_per_block": .number(Amount.fixed($0.perBlock, 3)),
                        "topics": .array($0.topics.map { .string($0) }), "addresses": .array($0.addresses.map { .string($0) }),
                    ])
                }),
            "calls_per_block": .number(Amount.fixed(fetch.callsPerBlock, 3)), "blocks": .integer(blocks), "calls": .integer(calls(fetch)),
            "tables": .array(schemas(pipeline).map(RegisterPages.json)),
        ])
    }
}
