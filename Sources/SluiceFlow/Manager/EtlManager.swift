public import SluiceCore
public import SluiceStore
public import SluiceTelemetry

extension SluiceError.Code {
    /// What was asked for names something that is not there, or is there already.
    public static let invalidPipeline = SluiceError.Code("invalid_pipeline")
    /// No more pipelines may be made.
    public static let tooManyPipelines = SluiceError.Code("too_many_pipelines")
    /// No pipeline has that id.
    public static let unknownPipeline = SluiceError.Code("unknown_pipeline")
}

/// Administers pipelines: makes, removes, merges and updates them, lets them pause, resume and stop, and brings them back after a crash.
///
/// What a pipeline may do in a state is decided by `PipelineLifecycle`; what has to be done is done here, one step at a time for each
/// pipeline: nothing of it begins before what went before has ended.
public actor EtlManager {
    /// A network that pipelines can be made on.
    public struct Network: Sendable {
        public let kind: NetworkKind
        public let chainID: UInt64
        public let hub: Hub

        public init(kind: NetworkKind, chainID: UInt64, hub: Hub) {
            self.kind = kind
            self.chainID = chainID
            self.hub = hub
        }
    }

    /// What the manager works with.
    public struct Surroundings: Sendable {
        let registry: Registry
        let networks: [String: Network]
        let sinks: [String: any Sink]
        let shelf: any PipelineShelf
        let state: (any SharedState)?
        let limit: Int
        let log: Log

        /// - Parameter limit: how many pipelines there may be.
        public init(
            registry: Registry, networks: [String: Network], sinks: [String: any Sink], shelf: any PipelineShelf,
            state: (any SharedState)? = nil, limit: Int = 100, log: Log
        ) {
            self.registry = registry
            self.networks = networks
            self.sinks = sinks
            self.shelf = shelf
            self.state = state
            self.limit = limit
            self.log = log
        }
    }

    private struct Entry {
        var request: PipelineRequest
        let puuid: PUUID
        let fingerprint: Fingerprint
        var lifecycle: PipelineLifecycle
        var branch: Branch?
        /// Counts its branches: what an earlier one still has to say is of the past.
        var run = 0
        var progress = PipelineProgress()
        /// Pipelines whose work this one does as well.
        var followers: [PUUID] = []
        var leader: PUUID?
    }

    private let surroundings: Surroundings
    private var random: any RandomNumberGenerator & Sendable
    private var entries: [PUUID: Entry] = [:]
    private var isShuttingDown = false
    private let events: (stream: AsyncStream<Event>, continuation: AsyncStream<Event>.Continuation)

    private struct Event: Sendable {
        let puuid: PUUID
        let run: Int
        let what: Branch.Event?
    }

    public init(_ surroundings: Surroundings, random: any RandomNumberGenerator & Sendable) {
        self.surroundings = surroundings
        self.random = random
        events = AsyncStream.makeStream()
    }

    // MARK: - Running

    /// Runs the networks' hubs and takes in what becomes of the pipelines, until `shutDown`.
    public func run() async {
        let hubs = surroundings.networks.sorted { $0.key < $1.key }.map(\.value.hub)
        let stream = events.stream
        await withTaskGroup(of: Void.self) { group in
            for hub in hubs { group.addTask { await hub.run() } }
            for await event in stream {
                guard let what = event.what else { break }
                await take(what, of: event.puuid, run: event.run)
            }
            if Task.isCancelled { group.cancelAll() }
        }
    }

    /// Lets all pipelines end in good order, and `run` return. They come back with the next process as they are now.
    public func shutDown() async {
        // What is under way between two steps finds out that nothing may begin any more.
        isShuttingDown = true
        for entry in entries.values { entry.branch?.leave() }
        for entry in sorted { _ = await entry.branch?.ended() }
        for network in surroundings.networks.values { network.hub.end() }
        events.continuation.yield(Event(puuid: .zero, run: 0, what: nil))
    }

    private func take(_ event: Branch.Event, of puuid: PUUID, run: Int) async {
        guard let entry = entries[puuid], entry.run == run else { return }
        do {
            switch event {
            case .opened, .backfilling: break
            case .live:
                try await perform(.backfillDone, on: puuid)
                try await mergeIfPossible(puuid)
            case .ended(.left): break
            case .ended(.completed): try await perform(.stop, on: puuid)
            case .ended(.failed(let error)):
                try await perform(.fail(error as? SluiceError ?? SluiceError(.init("failed"), .fatal, "\(error)")), on: puuid)
            }
        } catch {
            surroundings.log.error("a pipeline's state could not be kept", ["pipeline": "\(entry.request.name)", "error": "\(error)"])
        }
    }

    // MARK: - Administering

    public var list: [PipelineView] { sorted.map(view) }

    public func pipeline(_ puuid: PUUID) -> PipelineView? { entries[puuid].map(view) }

    public func pipeline(named name: String) -> PipelineView? { entries.values.first { $0.request.name == name }.map(view) }

    /// Makes a pipeline and starts it. One that does what another does already, and reads no history, is merged into that at once.
    /// - Throws: `invalid_pipeline`, `too_many_pipelines`, `unknown_register` (all `config`); what the store throws.
    @discardableResult
    public func create(_ request: PipelineRequest) async throws -> PUUID {
        try await create([request])[0]
    }

    /// Makes several at once, which read their history together. All or none.
    @discardableResult
    public func create(_ requests: [PipelineRequest]) async throws -> [PUUID] {
        guard entries.count + requests.count <= surroundings.limit else {
            throw SluiceError(
                .tooManyPipelines, .config, "\(entries.count) pipelines and \(requests.count) more: the limit is \(surroundings.limit)",
                mend: "remove one, or raise the limit")
        }
        var made: [Entry] = []
        for request in requests {
            guard !entries.values.contains(where: { $0.request.name == request.name }),
                !made.contains(where: { $0.request.name == request.name })
            else {
                throw SluiceError(.invalidPipeline, .config, "there is a pipeline \(request.name) already", mend: "choose another name")
            }
            made.append(try build(request))
        }
        for entry in made {
            try await keepState(entry.request)
            try await surroundings.shelf.save(record(entry))
        }
        for entry in made { entries[entry.puuid] = entry }
        var joining: [(Hub, Branch)] = []
        for entry in made {
            try await perform(.start(hasHistory: entry.request.start != nil), on: entry.puuid, into: &joining)
        }
        join(joining)
        for entry in made { try await mergeIfPossible(entry.puuid) }
        return made.map(\.puuid)
    }

    /// Ends a pipeline and forgets it; its tables stay. What was merged into it goes on by itself.
    public func remove(_ puuid: PUUID) async throws {
        let entry = try known(puuid)
        if let leader = entry.leader {
            entries[leader]?.followers.removeAll { $0 == puuid }
            try await restart(leader)
        }
        if entry.lifecycle.work != nil { try await perform(.stop, on: puuid) }
        entries[puuid] = nil
        try await surroundings.shelf.remove(puuid.fullText)
        try await surroundings.state?.delete(pipeline: entry.request.name)
        var joining: [(Hub, Branch)] = []
        for follower in entry.followers { try await separate(follower, into: &joining) }
        join(joining)
    }

    public func pause(_ puuid: PUUID) async throws { try await perform(.pause, on: puuid) }
    public func resume(_ puuid: PUUID) async throws { try await perform(.resume, on: puuid) }
    public func stop(_ puuid: PUUID) async throws { try await perform(.stop, on: puuid) }
    public func restart(stopped puuid: PUUID) async throws {
        try await perform(.restart(hasHistory: try known(puuid).request.start != nil), on: puuid)
    }

    /// Puts a pipeline in the place of another, under the same name. First the new one is built whole, then they are exchanged; when
    /// anything fails on the way, the old one goes on.
    @discardableResult
    public func update(_ puuid: PUUID, to request: PipelineRequest) async throws -> PUUID {
        let old = try known(puuid)
        guard request.name == old.request.name else {
            throw SluiceError(
                .invalidPipeline, .config, "an update cannot rename \(old.request.name) to \(request.name)", mend: "make a new pipeline")
        }
        guard old.leader == nil, old.followers.isEmpty else {
            throw SluiceError(
                .invalidPipeline, .config, "\(request.name) is merged with another pipeline", mend: "remove one of the two first")
        }
        let wasWorking = old.lifecycle.work != nil
        let new = try build(request)
        try await surroundings.shelf.replace(old: puuid.fullText, with: record(new))
        old.branch?.leave()
        _ = await old.branch?.ended()
        entries[puuid] = nil
        entries[new.puuid] = new
        guard wasWorking else { return new.puuid }
        do {
            try await keepState(request)
            try await perform(.start(hasHistory: request.start != nil), on: new.puuid)
            if let started = entries[new.puuid]?.branch { try await started.openedOrFailed() }
            return new.puuid
        } catch {
            entries[new.puuid]?.branch?.leave()
            _ = await entries[new.puuid]?.branch?.ended()
            entries[new.puuid] = nil
            var again = old
            again.lifecycle = PipelineLifecycle(type: .live)
            entries[puuid] = again
            try await surroundings.shelf.replace(old: new.puuid.fullText, with: record(again))
            try await keepState(old.request)
            try await perform(.start(hasHistory: old.request.start != nil), on: puuid)
            throw error
        }
    }

    /// Brings back what an earlier process left: what worked goes on from where its sinks stand, what was paused, stopped or had failed
    /// stays so.
    /// - Parameter read: turns a kept definition into a request.
    public func restore(_ read: (PipelineRecord) async throws -> PipelineRequest?) async throws {
        var joining: [(Hub, Branch)] = []
        for record in try await surroundings.shelf.all() {
            guard let pid = PipelinePID(bytes: record.pid), let uuid = UUID128(record.puuid.suffix(36)) else {
                throw SluiceError(.invalidPipeline, .pause, "the kept pipeline \(record.name) has no id that can be read: \(record.puuid)")
            }
            let puuid = PUUID(pid: pid, uuid: uuid)
            guard let request = try await read(record) else { continue }
            var entry = try build(request, as: puuid)
            switch record.state {
            case .backfill, .live:
                entries[puuid] = entry
                try await perform(.start(hasHistory: request.start != nil), on: puuid, into: &joining)
            case .paused: entry.lifecycle = PipelineLifecycle(type: .live, phase: .paused(.live))
            case .stopped: entry.lifecycle = PipelineLifecycle(type: .live, phase: .stopped)
            case .error:
                let error = SluiceError(.init("failed"), .pause, record.error ?? "it failed in an earlier process")
                entry.lifecycle = PipelineLifecycle(type: .live, phase: .failed(.live, error))
            }
            if entries[puuid] == nil { entries[puuid] = entry }
        }
        join(joining)
    }

    // MARK: - Steps

    private func perform(_ command: PipelineCommand, on puuid: PUUID) async throws {
        var joining: [(Hub, Branch)] = []
        try await perform(command, on: puuid, into: &joining)
        join(joining)
    }

    private func perform(_ command: PipelineCommand, on puuid: PUUID, into joining: inout [(Hub, Branch)]) async throws {
        var entry = try known(puuid)
        let before = entry.lifecycle.state
        let actions = try entry.lifecycle.on(command)
        entries[puuid]?.lifecycle = entry.lifecycle
        for action in actions {
            switch action {
            case .end:
                entries[puuid]?.branch?.leave()
                _ = await entries[puuid]?.branch?.ended()
            case .begin(_, from: .lastPosition) where before == .backfill: break  // The branch goes on by itself.
            case .begin: guard try await begin(puuid, into: &joining) else { return }
            case .handOver(let other):
                try await surroundings.state?.merge(pipeline: entry.request.name, into: try known(other).request.name)
            }
        }
        // One that was merged comes back as what it was, to be merged again.
        if case .merged = command { return }
        if let now = entries[puuid], now.lifecycle.state != before { try await keepRecord(now) }
    }

    /// Lets a pipeline begin once what it did before has ended. Returns false when something else was asked for meanwhile.
    private func begin(_ puuid: PUUID, into joining: inout [(Hub, Branch)]) async throws -> Bool {
        _ = await entries[puuid]?.branch?.ended()
        guard let now = entries[puuid], now.lifecycle.work != nil else { return false }
        let branch = try branch(of: now)
        entries[puuid]?.branch = branch
        joining.append((try network(now.request).hub, branch))
        return true
    }

    private func join(_ branches: [(hub: Hub, branch: Branch)]) {
        var left = branches
        // Those of one network travel together.
        while let first = left.first {
            let own = left.filter { $0.hub === first.hub }.map(\.branch)
            left.removeAll { $0.hub === first.hub }
            guard !isShuttingDown else {
                for branch in own { branch.end(.left) }
                continue
            }
            first.hub.join(own)
        }
    }

    // MARK: - Collisions

    /// Two live pipelines that do the same are one: the later one ends, its PID is taken off the list, what it shares and its sinks go
    /// to the first.
    private func mergeIfPossible(_ puuid: PUUID) async throws {
        guard !isShuttingDown, let late = entries[puuid], late.leader == nil, late.followers.isEmpty, late.lifecycle.work == .live else {
            return
        }
        let first = sorted.first { other in
            other.puuid != puuid && other.puuid.pid == puuid.pid && other.fingerprint == late.fingerprint && other.leader == nil
                && other.lifecycle.work == .live
        }
        guard let first else { return }
        surroundings.log.info("merging pipelines that do the same", ["pipeline": "\(late.request.name)", "into": "\(first.request.name)"])
        try await perform(.merged(into: first.puuid), on: puuid)
        entries[puuid]?.leader = first.puuid
        entries[first.puuid]?.followers.append(puuid)
        try await restart(first.puuid)
    }

    /// Lets a pipeline go on with what it has to do now.
    private func restart(_ puuid: PUUID) async throws {
        guard let entry = entries[puuid], entry.lifecycle.work != nil else { return }
        entry.branch?.leave()
        var joining: [(Hub, Branch)] = []
        _ = try await begin(puuid, into: &joining)
        join(joining)
    }

    /// What was merged is a pipeline of its own again: the one that did its work is gone.
    private func separate(_ puuid: PUUID, into joining: inout [(Hub, Branch)]) async throws {
        guard var entry = entries[puuid] else { return }
        entry.leader = nil
        entry.lifecycle = PipelineLifecycle(type: .live)
        entries[puuid] = entry
        try await keepState(entry.request)
        try await perform(.start(hasHistory: entry.request.start != nil), on: puuid, into: &joining)
    }

    // MARK: - Pieces

    private var sorted: [Entry] { entries.values.sorted { ($0.request.name, $0.puuid.uuid) < ($1.request.name, $1.puuid.uuid) } }

    private func known(_ puuid: PUUID) throws -> Entry {
        guard let entry = entries[puuid] else { throw SluiceError(.unknownPipeline, .config, "there is no pipeline \(puuid)") }
        return entry
    }

    private func network(_ request: PipelineRequest) throws -> Network {
        guard let network = surroundings.networks[request.network] else {
            throw SluiceError(
                .invalidPipeline, .config, "pipeline \(request.name): there is no network \(request.network)",
                mend: "there is " + surroundings.networks.keys.sorted().joined(separator: ", "))
        }
        return network
    }

    /// Checks a request, and gives it an identity.
    private func build(_ request: PipelineRequest, as puuid: PUUID? = nil) throws -> Entry {
        let network = try network(request)
        guard let first = request.registers.first else {
            throw SluiceError(.invalidPipeline, .config, "pipeline \(request.name) asks for no register", mend: "name at least one")
        }
        for name in request.registers { _ = try surroundings.registry.path(of: name) }
        for sink in request.sinks where surroundings.sinks[sink] == nil {
            throw SluiceError(
                .invalidPipeline, .config, "pipeline \(request.name): there is no sink \(sink)",
                mend: "there is " + surroundings.sinks.keys.sorted().joined(separator: ", "))
        }
        let pid = try surroundings.registry.pipelinePID(of: first, network: network.kind, type: .live)
        let fingerprint = try surroundings.registry.fingerprint(
            of: first,
            configuration: [
                "network": request.network, "chain": "\(network.chainID)", "registers": request.registers.joined(separator: ","),
            ])
        return Entry(
            request: request, puuid: puuid ?? PUUID(pid: pid, uuid: UUID128(using: &random)), fingerprint: fingerprint,
            lifecycle: PipelineLifecycle(type: .live))
    }

    private func branch(of entry: Entry) throws -> Branch {
        let network = try network(entry.request)
        let registers = try entry.request.registers.map { try surroundings.registry.register($0) }
        let definition = PipelineDefinition(
            name: entry.request.name, chainID: network.chainID, registers: registers, start: entry.request.start, state: surroundings.state)
        var attachments: [SinkAttachment] = []
        // A sink that both write into gets the rows once: they are the same.
        for (request, name) in ([entry] + entry.followers.compactMap { entries[$0] }).flatMap({ one in
            one.request.sinks.map { (one.request, $0) }
        })
        where !attachments.contains(where: { $0.name == name }) {
            guard let sink = surroundings.sinks[name] else { continue }
            attachments.append(
                SinkAttachment(
                    name, sink,
                    stream: request.name == entry.request.name ? nil : StreamID(pipeline: request.name, chainID: network.chainID)))
        }
        let continuation = events.continuation
        let (puuid, run) = (entry.puuid, entry.run + 1)
        entries[puuid]?.run = run
        return Branch(definition, goal: .follow(until: nil), sinks: attachments, progress: entry.progress) { event in
            continuation.yield(Event(puuid: puuid, run: run, what: event))
        }
    }

    private func keepState(_ request: PipelineRequest) async throws {
        guard let state = surroundings.state else { return }
        for (register, members) in request.state {
            guard let shape = try surroundings.registry.register(register).stateKey else { continue }
            let key = shape.key(of: request.name)
            try await state.set(Array(members.keys), of: key)
            for (member, own) in members where !own.isEmpty { try await state.insert(own, into: key, under: member) }
        }
    }

    private func record(_ entry: Entry) -> PipelineRecord {
        PipelineRecord(
            puuid: entry.puuid.fullText, pid: entry.puuid.pid.bytes, name: entry.request.name, definition: entry.request.json,
            state: PipelineRecord.State(rawValue: entry.lifecycle.state.rawValue) ?? .stopped, error: entry.lifecycle.failure?.message,
            fingerprint: "\(entry.fingerprint)")
    }

    private func keepRecord(_ entry: Entry) async throws {
        let record = record(entry)
        try await surroundings.shelf.setState(record.state, error: record.error, of: record.puuid)
    }

    private func view(_ entry: Entry) -> PipelineView {
        PipelineView(
            puuid: entry.puuid, request: entry.request,
            state: entry.leader.flatMap { entries[$0] }?.lifecycle.state ?? entry.lifecycle.state,
            failure: entry.lifecycle.failure, mergedInto: entry.leader, progress: entry.progress.snapshot,
            commands: entry.lifecycle.commands)
    }
}
