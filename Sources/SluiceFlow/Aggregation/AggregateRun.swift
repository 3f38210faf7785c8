import SluiceCore
public import SluiceStore
import SluiceTelemetry
import Synchronization

/// One run of a pipeline that combines streams.
///
/// Each stream is a branch of its network's graph, like any pipeline's, with the aggregator in the place of a sink. What the aggregator
/// makes goes into the pipeline's sinks as batches of a chain of bundles. The sinks know how far that has come, and the records of bundles
/// know how far each stream had come then: that is where the next run goes on.
public final class AggregateRun: PipelineRun {
    public let definition: AggregateDefinition
    /// How far the sinks are, counted in bundles.
    public let progress: PipelineProgress
    /// How far each stream is read, counted in its blocks.
    public let streams: [PipelineProgress]
    private let until: UInt64?
    private let sinks: [SinkAttachment]
    private let store: StateStore
    private let limits: AggregateStage.Limits
    private let notify: @Sendable (Branch.Event) -> Void
    private let watch = RunWatch()
    private let branches = Mutex<[Branch]>([])
    private let phases: Mutex<Phases>

    /// What the streams have said of themselves.
    private struct Phases {
        var live: Set<Int> = []
        var told: String?
    }

    /// - Parameters:
    ///   - until: the last block of each stream; nil: whatever comes.
    ///   - store: keeps the records of bundles.
    ///   - notify: told what happens, in order; it must not block.
    public init(
        _ definition: AggregateDefinition, until: UInt64?, sinks: [SinkAttachment], progress: PipelineProgress, store: StateStore,
        limits: AggregateStage.Limits = AggregateStage.Limits(), notify: @escaping @Sendable (Branch.Event) -> Void = { _ in }
    ) {
        self.definition = definition
        self.until = until
        self.sinks = sinks
        self.progress = progress
        self.store = store
        self.limits = limits
        self.notify = notify
        streams = definition.streams.map { _ in PipelineProgress() }
        phases = Mutex(Phases())
    }

    public func ended() async -> Branch.End { await watch.ended() }
    public func openedOrFailed() async throws { try await watch.openedOrFailed() }

    public func leave() {
        watch.leave()
        for branch in branches.withLock({ $0 }) { branch.leave() }
    }

    /// What the sinks hold, in bundles, and what was read and troubles the streams.
    public var snapshot: PipelineProgress.Snapshot {
        var all = progress.snapshot
        let parts = streams.map(\.snapshot)
        all.receivedBytes = parts.reduce(0) { $0 + $1.receivedBytes }
        all.trouble = parts.lazy.compactMap(\.trouble).first
        return all
    }

    public func abandon() { watch.end(.left) { notify(.ended(.left)) } }

    public func work() async {
        let end: Branch.End
        do { end = try await run() } catch { end = Task.isCancelled ? .left : .failed(error) }
        watch.end(end) { notify(.ended(end)) }
    }

    // MARK: - The run

    private var surroundings: Hub.Surroundings { definition.streams[0].hub.surroundings }
    private var id: StreamID { StreamID(pipeline: definition.name, chainID: definition.chainID) }

    private func run() async throws -> Branch.End {
        let aggregator = try definition.makeAggregator()
        let refused = RefusedRows(
            journal: surroundings.journal, stream: id, registers: RefusedRows.registers([definition.register]), log: surroundings.log)
        let opened = try await sinks.opened(for: id, tables: aggregator.schemas, refused: refused)
        let resume = try await settle(opened)
        let outlet = AggregateOutlet(
            ways: zip(opened, resume.ahead).map { sink, ahead in
                AggregateOutlet.Way(sink: sink, edge: surroundings.edge(into: sink), ahead: ahead)
            }, progress: progress)
        let (progress, names, journal, id) = (progress, opened.map(\.name), surroundings.journal, id)
        let records = StoredBundles(store: store, pipeline: definition.name) {
            let durable = progress.snapshot.durable
            return names.map { durable[$0]?.number ?? 0 }.min() ?? 0
        }
        let stage = try AggregateStage(
            aggregator, streams: definition.streams.count, chainID: definition.chainID, into: outlet, resuming: resume.chain,
            records: records, limits: limits, time: surroundings.time
        ) { said in try await journal.keep(said.deadLetters, of: id) }
        let made = branches(stage, resume)
        branches.withLock { $0 = made }
        notify(.opened)
        watch.open()
        let component = surroundings.identities.next(definition.register)
        notify(.component(ActivityChange(component: component, state: .live)))
        defer { notify(.component(ActivityChange(component: component, state: .terminated))) }
        // Asked to leave before there was anybody to ask.
        if watch.isLeaving { for branch in made { branch.leave() } }
        return try await carry(stage, made, outlet)
    }

    /// Brings the sinks to where they stand on one chain of bundles, and says where to go on.
    private func settle(_ opened: [OpenedSink]) async throws -> AggregateResume {
        var lasts: [BlockRef?] = []
        for sink in opened { lasts.append(try await sink.coverage().last?.last) }
        let resume = try AggregateResume(
            definition.name, lasts: lasts, records: try await StoredBundles.load(definition.name, from: store),
            streams: definition.streams.count, isRepeatable: definition.policy.isRepeatable)
        for (index, position) in resume.rollbacks.sorted(by: { $0.key < $1.key }) {
            surroundings.log.info(
                "undoing bundles that were undone meanwhile", ["sink": "\(opened[index].name)", "to": "\(position.number)"])
            _ = try await opened[index].rollback(to: position)
            lasts[index] = position.number > 0 ? position : nil
        }
        for (sink, last) in zip(opened, lasts) { progress.update { $0.durable[sink.name] = last } }
        return resume
    }

    private func branches(_ stage: AggregateStage, _ resume: AggregateResume) -> [Branch] {
        definition.streams.indices.map { index in
            let behind = stage.readFrom[index] ?? resume.began[index]
            let began = resume.chain.lazy.compactMap { $0.marks[index].began }.first ?? resume.began[index]
            let first = min(began.map { $0.number + 1 } ?? 0, behind?.number ?? 0)
            let inlet = AggregateInlet(ingress: stage.ingresses[index], held: behind.map { Segment(first: first, last: $0) })
            return Branch(
                definition.definition(of: index), goal: .follow(until: until), sinks: [SinkAttachment("aggregator", inlet)],
                progress: streams[index]
            ) { [weak self] event in self?.take(event, of: index) }
        }
    }

    /// What a stream says of itself is said of the pipeline: it is live when all of them are.
    private func take(_ event: Branch.Event, of stream: Int) {
        // They work for the pipeline, whichever stream they stand in.
        if case .component = event { return notify(event) }
        let said: Branch.Event? = phases.withLock { phases in
            switch event {
            case .opened, .ended, .component: return nil
            case .backfilling:
                phases.live.remove(stream)
                guard phases.told != "backfilling" else { return nil }
                phases.told = "backfilling"
                return .backfilling
            case .live:
                phases.live.insert(stream)
                guard phases.live.count == definition.streams.count, phases.told != "live" else { return nil }
                phases.told = "live"
                return .live
            }
        }
        if let said { notify(said) }
    }

    private enum Part: Sendable {
        case stream(Branch.End)
        case rest
    }

    /// Lets streams, aggregator and sinks work until the streams have ended and all that was made of them has landed.
    private func carry(_ stage: AggregateStage, _ branches: [Branch], _ outlet: AggregateOutlet) async throws -> Branch.End {
        for (stream, branch) in zip(definition.streams, branches) { stream.hub.join([branch]) }
        let ends = try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                defer { outlet.finish() }
                try await stage.run()
                return .rest
            }
            for way in outlet.ways {
                let loop = SinkLoop(
                    sink: way.sink, edge: way.graphEdge, progress: progress, flushesWhenIdle: true, journal: surroundings.journal,
                    time: surroundings.time)
                group.addTask {
                    do { try await loop.run() } catch {
                        // Whoever sends to it must not wait for ever, and its siblings get no more.
                        outlet.fail(error)
                        throw error
                    }
                    return .rest
                }
            }
            for (branch, ingress) in zip(branches, stage.ingresses) {
                group.addTask {
                    let end = await branch.ended()
                    if case .failed(let error) = end { throw error }
                    try await ingress.finish()
                    return .stream(end)
                }
            }
            do {
                var ends: [Branch.End] = []
                while let part = try await group.next() { if case .stream(let end) = part { ends.append(end) } }
                return ends
            } catch {
                // The others end as well: without one of them nothing more can be made.
                for branch in branches { branch.leave() }
                throw error
            }
        }
        guard ends.allSatisfy({ if case .completed = $0 { true } else { false } }) else { return .left }
        try await outlet.ways.map(\.sink).finish(progress: progress, log: surroundings.log)
        return .completed
    }
}
