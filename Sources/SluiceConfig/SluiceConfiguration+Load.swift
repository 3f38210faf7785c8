internal import SluiceCore

extension SluiceConfiguration {
    /// Reads and checks a file. Throws all problems at once.
    public static func load(
        path: String, catalog: ConfigCatalog, environment: ConfigEnvironment = .live
    ) throws(ConfigError) -> SluiceConfiguration {
        let text: String
        do {
            text = try FileText.read(path, limit: YAMLParser.byteLimit)
        } catch {
            throw .whole(path, "cannot read the configuration: \(error.message)", "name another file, or make one with `sluice init`")
        }
        return try load(text: text, file: path, catalog: catalog, environment: environment)
    }

    /// Checks a text; `file` is its name in messages. Throws all problems at once.
    public static func load(
        text: String, file: String, catalog: ConfigCatalog, environment: ConfigEnvironment = .live
    ) throws(ConfigError) -> SluiceConfiguration {
        var configured: [String: [ConfiguredRegister]] = [:]
        var combined: [String: CombineCheck.Combination] = [:]
        let document = try ConfigDocument.decode(text: text, file: file, spec: spec(catalog), environment: environment) {
            root, tree, decoder in
            ReferenceCheck.run(root, tree, catalog, &decoder)
            combined = CombineCheck.run(root, tree, catalog, &decoder)
            configured = OptionsCheck.run(root, tree, catalog, environment, &decoder)
            SharedStateSettings.check(root, catalog, &decoder)
        }
        return SluiceConfiguration(document, configured, combined, SharedStateSettings(document, catalog))
    }

    /// From an object without problems, and what its pipelines made of their registers.
    private init(
        _ root: ConfigObject, _ configured: [String: [ConfiguredRegister]], _ combined: [String: CombineCheck.Combination],
        _ sharedState: SharedStateSettings?
    ) {
        maxPipelines = root.int("max_pipelines")
        self.sharedState = sharedState
        state = root.string("state")
        networks = root.map("networks").compactMap { entry in entry.value.object.map { NetworkSettings.of(entry.key, $0) } }
        sinks = root.map("sinks").compactMap { entry in
            entry.value.object.map { SinkSettings(name: entry.key, type: $0.tag ?? "", options: $0) }
        }
        pipelines = root.map("pipelines").compactMap { entry in
            entry.value.object.map { PipelineSettings(entry.key, $0, configured[entry.key] ?? [], combined[entry.key]) }
        }
    }
}

extension NetworkSettings {
    /// A chain, or a service: that has no blocks that would have to be waited for, and what it has said is final.
    fileprivate static func of(_ name: String, _ object: ConfigObject) -> NetworkSettings {
        guard let type = object.tag, type != ConfigCatalog.ethereum else { return NetworkSettings(name, object) }
        return NetworkSettings(
            name: name, chainID: MadeChain.id([name]), kind: .service, blockTime: .seconds(1), finalityDepth: 0, pollInterval: .seconds(1),
            requestTimeout: .seconds(30), connectTimeout: .seconds(5), maxResponse: 0, memoryBudget: 0, verify: .links, retryAttempts: 1,
            retryBudget: .zero, endpoints: [], service: ServiceSettings(type: type, options: object))
    }

    private init(_ name: String, _ object: ConfigObject) {
        service = nil
        let written = object.int(ifSet: "chain_id").map { UInt64($0) }
        let preset = NetworkPreset.named(name) ?? written.flatMap(NetworkPreset.of(chainID:))
        self.name = name
        chainID = written ?? preset?.chainID ?? 0
        kind = object.string(ifSet: "kind").flatMap { NetworkKind(name: $0) } ?? preset?.kind ?? .otherLayer1
        blockTime = object.duration(ifSet: "block_time") ?? preset?.blockTime ?? .seconds(12)
        finalityDepth = object.int(ifSet: "finality_depth").map { UInt64($0) } ?? preset?.finalityDepth ?? 65
        pollInterval = object.duration("poll_interval")
        requestTimeout = object.duration("request_timeout")
        connectTimeout = object.duration("connect_timeout")
        maxResponse = object.bytes("max_response")
        memoryBudget = object.bytes("memory_budget")
        verify = object.string(ifSet: "verify").flatMap(Verification.init) ?? (preset?.verifiesHeaderHash == true ? .full : .links)
        retryAttempts = object.int("retry_attempts")
        retryBudget = object.duration("retry_budget")
        endpoints = object.list("endpoints").compactMap { value in
            value.object.map(EndpointSettings.init) ?? value.url.map(EndpointSettings.init)
        }
    }
}

extension EndpointSettings {
    fileprivate init(_ object: ConfigObject) {
        url = object.url("url")
        headers = object.map("headers").compactMap { entry in entry.value.secret.map { (entry.key, $0) } }
        requestsPerSecond = object.float(ifSet: "requests_per_second")
        computeUnitsPerSecond = object.float(ifSet: "compute_units_per_second")
        maxInFlight = object.int("max_in_flight")
        maxBatch = object.int("max_batch")
    }

    /// A bare URL: the limits' defaults.
    fileprivate init(_ url: ConfigURL) {
        self.init(url: url, headers: [], requestsPerSecond: nil, computeUnitsPerSecond: nil, maxInFlight: 64, maxBatch: 100)
    }
}

extension PipelineSettings {
    fileprivate init(
        _ name: String, _ object: ConfigObject, _ configured: [ConfiguredRegister], _ combined: CombineCheck.Combination?
    ) {
        self.name = name
        self.configured = configured
        registers = object.string(ifSet: "register").map { [$0] } ?? object.list("registers").compactMap(\.string)
        streams = combined?.streams ?? [Stream(network: object.string(ifSet: "network") ?? "", start: Start(object))]
        synchronization = combined?.policy
        uses = object.list("sinks").compactMap { value in
            if let name = value.string { return SinkUse(sink: name, whenFull: .block) }
            return value.object.map { SinkUse(sink: $0.string("sink"), whenFull: WhenFull($0)) }
        }
    }
}

extension PipelineSettings.Start {
    /// The field `start` of a pipeline or a stream.
    init(_ object: ConfigObject) { self = object.int(ifSet: "start").map { .block(UInt64($0)) } ?? .latest }
}

extension WhenFull {
    fileprivate init(_ object: ConfigObject) {
        switch object.string("when_full") {
        case "spill": self = .spill(limit: object.bytes("spill_limit"))
        case "drop_newest": self = .dropNewest
        default: self = .block
        }
    }
}
