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
        let way: Way

        /// How it is read.
        enum Way: Sendable {
            /// As a whole.
            case hub(Hub)
            /// In parts, as others leave them to us.
            case shared(SharedNetwork)
        }

        public init(kind: NetworkKind, chainID: UInt64, hub: Hub) {
            self.kind = kind
            self.chainID = chainID
            way = .hub(hub)
        }

        public init(kind: NetworkKind, chainID: UInt64, shared: SharedNetwork) {
            self.kind = kind
            self.chainID = chainID
            way = .shared(shared)
        }

        /// What reads it as a whole.
        var hub: Hub? { if case .hub(let hub) = way { hub } else { nil } }
        var isShared: Bool { hub == nil }
    }

    /// What the manager works with.
    public struct Surroundings: Sendable {
        let registry: Registry
        let networks: [String: Network]
        let sinks: [String: any Sink]
        let startup: [String: Startup]
        let shelf: any PipelineShelf
        let store: StateStore?
        let state: (any SharedState)?
        let reader: (any SharedState)?
        let registers: (@Sendable (PipelineRequest) -> [Register])?
        let spillFolder: String
        let until: UInt64?
        let limit: Int
        let log: Log

        /// - Parameters:
        ///   - startup: of sinks, by their names, that may be away at first; of all others a pipeline that cannot open one fails.
        ///   - store: keeps the records of what aggregators make; without one no pipeline can have an aggregator.
        ///   - state: where addresses are put; `reader` is the same for those who read it while they work, where that is another way there.
        ///   - registers: what a pipeline asks for, as it wants them; nil: as they are in the registry.
        ///   - spillFolder: under which edges that spill have folders of their own.
        ///   - until: the last block of every pipeline; nil: they follow the head.
        ///   - limit: how many pipelines there may be.
        public init(
            registry: Registry, networks: [String: Network], sinks: [String: any Sink], startup: [String: Startup] = [:],
            shelf: any PipelineShelf, store: StateStore? = nil,
            state: (any SharedState)? = nil, reader: (any SharedState)? = nil,
            registers: (@Sendable (PipelineRequest) -> [Register])? = nil,
            spillFolder: String = "sluice.spill", until: UInt64? = nil, limit: Int = 100, log: Log
        ) {
            self.registry = registry
            self.networks = networks
            self.sinks = sinks
            self.startup = startup
            self.shelf = shelf
            self.store = store
            self.state = state
            self.reader = reader ?? state
            self.registers = registers
            self.spillFolder = spillFolder
            self.until = until
            self.limit = limit
            self.log = log
        }
    }

    let surroundings: Surroundings
    var random: any RandomNumberGenerator & Sendable
    var entries: [PUUID: ManagedPipeline] = [:]
    private(set) var isShuttingDown = false
    let events: (stream: AsyncStream<Event>, continuation: AsyncStream<Event>.Continuation)
    /// Who waits for all pipelines to have come to rest.
    private var resting: [CheckedContinuation<Void, Never>] = []

    enum Event: Sendable {
        case of(PUUID, run: Int, Branch.Event)
        /// A run that begins.
        case carry(any PipelineRun)
        case end
    }

    public init(_ surroundings: Surroundings, random: any RandomNumberGenerator & Sendable) {
        self.surroundings = surroundings
        self.random = random
        events = AsyncStream.makeStream()
    }

    // MARK: - Running

    /// Runs the networks' hubs and takes in what becomes of the pipelines, until `shutDown`.
    public func run() async {
        let hubs = surroundings.networks.sorted { $0.key < $1.key }.compactMap(\.value.hub)
        let stream = events.stream
        await withTaskGroup(of: Void.self) { group in
            for hub in hubs { group.addTask { await hub.run() } }
            events: for await event in stream {
                switch event {
                case .of(let puuid, let run, let what): await take(what, of: puuid, run: run)
                case .carry(let run): group.addTask { await run.work() }
                case .end: break events
                }
            }
            if Task.isCancelled { group.cancelAll() }
        }
    }

    /// Lets all pipelines end in good order, and `run` return. They come back with the next process as they are now.
    public func shutDown() async {
        // What is under way between two steps finds out that nothing may begin any more.
        isShuttingDown = true
        for entry in entries.values { entry.run?.leave() }
        for entry in sorted { _ = await entry.run?.ended() }
        for network in surroundings.networks.values { network.hub?.end() }
        events.continuation.yield(.end)
        wakeResting()
    }

    /// Returns when no pipeline works any more: all of them are paused, stopped or failed. Or when the manager shuts down.
    public func atRest() async {
        guard !isShuttingDown, entries.values.contains(where: { $0.lifecycle.work != nil }) else { return }
        await withCheckedContinuation { resting.append($0) }
    }

    private func wakeResting() {
        guard isShuttingDown || !entries.values.contains(where: { $0.lifecycle.work != nil }) else { return }
        for waiter in resting { waiter.resume() }
        resting = []
    }

    private func take(_ event: Branch.Event, of puuid: PUUID, run: Int) async {
        guard let entry = entries[puuid], entry.runs == run else { return }
        if case .ended = event { entries[puuid]?.componentsEnded() }
        do {
            switch event {
            case .opened, .backfilling: break
            case .component(let change): entries[puuid]?.note(change)
            case .live:
                try await perform(.backfillDone, on: puuid)
                try await mergeIfPossible(puuid)
            case .ended(.left): break
            case .ended(.completed): try await perform(.stop, on: puuid)
            case .ended(.failed(let error)):
                surroundings.log.error("a pipeline failed", ["pipeline": "\(entry.request.name)", "error": "\(error)"])
                try await perform(.fail(error as? SluiceError ?? SluiceError(.init("failed"), .fatal, "\(error)")), on: puuid)
            }
        } catch {
            surroundings.log.error("a pipeline's state could not be kept", ["pipeline": "\(entry.request.name)", "error": "\(error)"])
        }
        wakeResting()
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
            throw Self.tooMany(requests.count, beside: entries.count, limit: surroundings.limit)
        }
        var made: [ManagedPipeline] = []
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
        var joining: [Start] = []
        for entry in made {
            try await perform(.start(hasHistory: entry.request.hasHistory), on: entry.puuid, into: &joining)
        }
        join(joining)
        for entry in made { try await mergeIfPossible(entry.puuid) }
        return made.map(\.puuid)
    }

    private static func tooMany(_ count: Int, beside others: Int, limit: Int) -> SluiceError {
        SluiceError(
            .tooManyPipelines, .config, "\(count) pipelines\(others > 0 ? " beside \(others)" : ""): the limit is \(limit)",
            mend: "remove one, or raise max_pipelines")
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
        var joining: [Start] = []
        for follower in entry.followers { try await separate(follower, into: &joining) }
        join(joining)
    }

    public func pause(_ puuid: PUUID) async throws { try await perform(.pause, on: puuid) }
    public func resume(_ puuid: PUUID) async throws { try await perform(.resume, on: puuid) }
    public func stop(_ puuid: PUUID) async throws { try await perform(.stop, on: puuid) }
    public func restart(stopped puuid: PUUID) async throws {
        try await perform(.restart(hasHistory: try known(puuid).request.hasHistory), on: puuid)
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
        old.run?.leave()
        _ = await old.run?.ended()
        entries[puuid] = nil
        entries[new.puuid] = new
        guard wasWorking else { return new.puuid }
        do {
            try await keepState(request)
            try await perform(.start(hasHistory: request.hasHistory), on: new.puuid)
            if let started = entries[new.puuid]?.run { try await started.openedOrFailed() }
            return new.puuid
        } catch {
            entries[new.puuid]?.run?.leave()
            _ = await entries[new.puuid]?.run?.ended()
            entries[new.puuid] = nil
            var again = old
            again.lifecycle = PipelineLifecycle(type: .live)
            entries[puuid] = again
            try await surroundings.shelf.replace(old: new.puuid.fullText, with: record(again))
            try await keepState(old.request)
            try await perform(.start(hasHistory: old.request.hasHistory), on: puuid)
            throw error
        }
    }

    /// Brings back what an earlier process left: what worked, had failed or was stopped with its process goes on from where its sinks stand,
    /// what was paused stays so.
    /// - Throws: as `create`. Nothing has begun then.
    public func restore() async throws {
        try await adopt(try await surroundings.shelf.all().map { try PipelineRequest(json: $0.definition) })
    }

    /// Makes the pipelines what they are asked for to be, as an earlier process left them: those that are the same as they were go on from where their
    /// sinks stand, with the identity that they had, and what was paused stays so; those that are asked for otherwise take the place of the
    /// old; those that nobody asks for any more are forgotten. What had failed or was stopped with its process is tried anew.
    /// - Throws: as `create`. Nothing has begun then.
    public func adopt(_ requests: [PipelineRequest]) async throws {
        let kept = try await surroundings.shelf.all()
        var fresh: [ManagedPipeline] = []
        var known: [(entry: ManagedPipeline, isPaused: Bool)] = []
        var replaced: [String] = []
        guard requests.count <= surroundings.limit else { throw Self.tooMany(requests.count, beside: 0, limit: surroundings.limit) }
        for request in requests {
            let record = kept.first { $0.name == request.name }
            if let record, record.definition == request.json, let puuid = record.id {
                known.append((try build(request, as: puuid), record.state == .paused))
            } else {
                fresh.append(try build(request))
                if let record { replaced.append(record.puuid) }
            }
        }
        for record in kept where replaced.contains(record.puuid) || !requests.contains(where: { $0.name == record.name }) {
            try await surroundings.shelf.remove(record.puuid)
        }
        for entry in fresh { try await surroundings.shelf.save(record(entry)) }
        for entry in fresh + known.map(\.entry) {
            try await keepState(entry.request)
            entries[entry.puuid] = entry
        }
        var joining: [Start] = []
        for (entry, isPaused) in known where isPaused {
            entries[entry.puuid]?.lifecycle = PipelineLifecycle(type: .live, phase: .paused(.live))
        }
        for entry in sorted where entry.lifecycle.state != .paused {
            try await perform(.start(hasHistory: entry.request.hasHistory), on: entry.puuid, into: &joining)
        }
        join(joining)
        for entry in fresh { try await mergeIfPossible(entry.puuid) }
    }
}
