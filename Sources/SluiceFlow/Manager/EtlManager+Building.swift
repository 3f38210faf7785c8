import SluiceCore
import SluiceStore

// What pipelines are made of.
extension EtlManager {
    var sorted: [ManagedPipeline] { entries.values.sorted { ($0.request.name, $0.puuid.uuid) < ($1.request.name, $1.puuid.uuid) } }

    func known(_ puuid: PUUID) throws -> ManagedPipeline {
        guard let entry = entries[puuid] else { throw SluiceError(.unknownPipeline, .config, "there is no pipeline \(puuid)") }
        return entry
    }

    private func network(_ name: String, of request: PipelineRequest) throws -> Network {
        guard let network = surroundings.networks[name] else {
            throw SluiceError(
                .invalidPipeline, .config, "pipeline \(request.name): there is no network \(name)",
                mend: "there is " + surroundings.networks.keys.sorted().joined(separator: ", "))
        }
        return network
    }

    /// Checks a request, and gives it an identity.
    func build(_ request: PipelineRequest, as puuid: PUUID? = nil) throws -> ManagedPipeline {
        func wrong(_ what: String, _ mend: String) -> SluiceError {
            SluiceError(.invalidPipeline, .config, "pipeline \(request.name) \(what)", mend: mend)
        }
        guard let first = request.registers.first else { throw wrong("asks for no register", "name at least one") }
        guard let stream = request.streams.first else { throw wrong("reads no network", "name one") }
        let networks = try request.streams.map { try network($0.network, of: request) }
        for name in request.registers { _ = try surroundings.registry.path(of: name) }
        for use in request.sinks where surroundings.sinks[use.sink] == nil {
            throw SluiceError(
                .invalidPipeline, .config, "pipeline \(request.name): there is no sink \(use.sink)",
                mend: "there is " + surroundings.sinks.keys.sorted().joined(separator: ", "))
        }
        var configuration = request.options
        configuration["network"] = stream.network
        configuration["chain"] = "\(networks[0].chainID)"
        configuration["registers"] = request.registers.joined(separator: ",")
        let kinds = try request.registers.map { try surroundings.registry.register($0).kind }
        if request.synchronization != nil || request.streams.count > 1 || kinds.contains(.aggregator) {
            guard kinds == [.aggregator] else {
                throw wrong("combines streams, but asks for \(request.registers.joined(separator: ", "))", "ask for one aggregator alone")
            }
            guard surroundings.store != nil else { throw wrong("combines streams, and there is no store for its bundles", "give it one") }
            _ = try aggregate(request)
            // Bundles begin where the pipeline begins: no two make the same.
            configuration["pipeline"] = request.name
        }
        // Each takes part in the sharing by itself.
        if networks[0].isShared { configuration["pipeline"] = request.name }
        let own = try registers(of: request)
        try surroundings.registry.checkTold(own)
        let registry = surroundings.registry.with(own)
        if try own.flatMap({ try registry.path(of: $0.name) }).contains(where: \.keepsFindings) {
            // What its components know goes back to where it began: no two know the same.
            configuration["pipeline"] = request.name
        }
        let pid = try surroundings.registry.pipelinePID(of: first, network: networks[0].kind, type: .live)
        let fingerprint = try surroundings.registry.fingerprint(of: first, configuration: configuration)
        return ManagedPipeline(
            request: request, puuid: puuid ?? PUUID(pid: pid, uuid: UUID128(using: &random)), fingerprint: fingerprint,
            lifecycle: PipelineLifecycle(type: .live))
    }

    /// What a pipeline asks for, as it wants it.
    private func registers(of request: PipelineRequest) throws -> [Register] {
        try surroundings.registers?(request) ?? request.registers.map { try surroundings.registry.register($0) }
    }

    private func aggregate(_ request: PipelineRequest) throws -> AggregateDefinition {
        guard let policy = request.synchronization else {
            throw SluiceError(
                .invalidPipeline, .config, "pipeline \(request.name) does not say how its streams are synchronized",
                mend: "name a policy")
        }
        return try AggregateDefinition(
            name: request.name, register: try surroundings.registry.register(request.registers[0]), registry: surroundings.registry,
            policy: policy,
            streams: try request.streams.map { stream in
                let network = try network(stream.network, of: request)
                guard let hub = network.hub else {
                    throw SluiceError(
                        .invalidPipeline, .config, "pipeline \(request.name) cannot combine \(stream.network), which is no chain",
                        mend: "read it by a pipeline of its own")
                }
                return AggregateDefinition.Stream(network: stream.network, chainID: network.chainID, hub: hub, start: stream.start)
            })
    }

    /// A run of a pipeline, ready to begin.
    func start(_ entry: ManagedPipeline) throws -> Start {
        let request = entry.request
        let continuation = events.continuation
        let (puuid, run) = (entry.puuid, entry.runs + 1)
        entries[puuid]?.begin()
        let notify: @Sendable (Branch.Event) -> Void = { event in continuation.yield(.of(puuid, run: run, event)) }
        if request.synchronization != nil, let store = surroundings.store {
            return .aggregate(
                AggregateRun(
                    try aggregate(request), until: surroundings.until, sinks: attachments(entry, chainID: nil),
                    progress: entry.progress.lane(request.name), store: store, notify: notify))
        }
        let stream = request.streams[0]
        let network = try network(stream.network, of: request)
        let definition = PipelineDefinition(
            name: request.name, chainID: network.chainID, registers: try registers(of: request), start: stream.start,
            state: surroundings.reader)
        let lanes = attachments(entry, chainID: network.chainID).map { attachment in
            PipelineLanes.Lane(attachment: attachment, startup: surroundings.startup[attachment.name] ?? .fail)
        }
        switch network.way {
        case .hub(let hub):
            return .lanes(
                hub,
                PipelineLanes(definition, hub: hub, until: surroundings.until, lanes: lanes, progress: entry.progress, notify: notify))
        case .shared(let shared): return .shared(SharedRun(definition, network: shared, lanes: lanes, notify: notify))
        }
    }

    /// The sinks of a pipeline, and of those whose work it does.
    private func attachments(_ entry: ManagedPipeline, chainID: UInt64?) -> [SinkAttachment] {
        var attachments: [SinkAttachment] = []
        for request in ([entry] + entry.followers.compactMap { entries[$0] }).map(\.request) {
            let stream = request.name == entry.request.name ? nil : chainID.map { StreamID(pipeline: request.name, chainID: $0) }
            // A sink that both write into gets the rows once: they are the same.
            for use in request.sinks where !attachments.contains(where: { $0.name == use.sink }) {
                guard let sink = surroundings.sinks[use.sink] else { continue }
                let folder = "\(surroundings.spillFolder)/\(request.name)/\(use.sink)"
                attachments.append(SinkAttachment(use.sink, sink, policy: use.whenFull.policy(folder: folder), stream: stream))
            }
        }
        return attachments
    }

    func keepState(_ request: PipelineRequest) async throws {
        guard let state = surroundings.state else { return }
        for (register, members) in request.state {
            guard let shape = try surroundings.registry.register(register).stateKey else { continue }
            let key = shape.key(of: request.name)
            try await state.set(Array(members.keys), of: key)
            for (member, own) in members where !own.isEmpty { try await state.insert(own, into: key, under: member) }
        }
    }

    func record(_ entry: ManagedPipeline) -> PipelineRecord {
        PipelineRecord(
            puuid: entry.puuid.fullText, pid: entry.puuid.pid.bytes, name: entry.request.name, definition: entry.request.json,
            state: PipelineRecord.State(rawValue: entry.lifecycle.state.rawValue) ?? .stopped, error: entry.lifecycle.failure?.message,
            fingerprint: "\(entry.fingerprint)")
    }

    func keepRecord(_ entry: ManagedPipeline) async throws {
        let record = record(entry)
        try await surroundings.shelf.setState(record.state, error: record.error, of: record.puuid)
    }

    func view(_ entry: ManagedPipeline) -> PipelineView {
        PipelineView(
            puuid: entry.puuid, request: entry.request,
            state: entry.leader.flatMap { entries[$0] }?.lifecycle.state ?? entry.lifecycle.state,
            failure: entry.lifecycle.failure, mergedInto: entry.leader,
            components: (entry.leader.flatMap { entries[$0] } ?? entry).components,
            progress: entry.run?.snapshot ?? entry.progress.snapshot,
            commands: entry.lifecycle.commands)
    }
}
