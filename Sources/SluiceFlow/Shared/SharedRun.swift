public import SluiceCore
public import SluiceTelemetry
import Synchronization

/// A network whose parts are shared out among processes, as pipelines are made on it.
public struct SharedNetwork: Sendable {
    let source: any SharedSource
    let registry: Registry
    let journal: any StreamJournal
    let time: TimeSource
    let log: Log
    let identities: ComponentIdentities

    public init(
        source: any SharedSource, registry: Registry, journal: any StreamJournal, time: TimeSource, log: Log,
        identities: ComponentIdentities
    ) {
        self.source = source
        self.registry = registry
        self.journal = journal
        self.time = time
        self.log = log
        self.identities = identities
    }

    /// A hub that reads one part for a pipeline.
    func hub(_ part: SourcePart, for pipeline: String, _ board: PartBoard) -> Hub {
        Hub(
            Hub.Surroundings(
                registry: registry, journal: PartJournal(journal: journal, part: part, board: board), time: time, log: log,
                identities: identities
            ) { [source] _, observe in source.oracle(of: part, for: pipeline, observe: observe) })
    }
}

/// One run of a pipeline over a source whose parts are shared out.
///
/// It takes part in the sharing. Whatever part becomes its own is read from where the sinks stand, by lanes of its own; before it is given
/// back, what was read has landed and the others have been told how far that is.
final class SharedRun: PipelineRun {
    private struct State {
        var parts: [SourcePart: PartRun] = [:]
        var trouble: String?
        var live: Set<SourcePart> = []
        var toldLive = false
        /// Whether its sinks could be opened once.
        var hasWorked = false
        /// Of parts that were given back.
        var past = PipelineProgress.Snapshot()
    }

    private let definition: PipelineDefinition
    private let network: SharedNetwork
    private let lanes: [PipelineLanes.Lane]
    private let notify: @Sendable (Branch.Event) -> Void
    private let watch = RunWatch()
    private let board = PartBoard()
    private let state = Mutex(State())

    /// - Parameter notify: told what happens, in order; it must not block.
    init(
        _ definition: PipelineDefinition, network: SharedNetwork, lanes: [PipelineLanes.Lane],
        notify: @escaping @Sendable (Branch.Event) -> Void
    ) {
        self.definition = definition
        self.network = network
        self.lanes = lanes
        self.notify = notify
    }

    func ended() async -> Branch.End { await watch.ended() }
    func openedOrFailed() async throws { try await watch.openedOrFailed() }
    func leave() { watch.leave() }
    func abandon() { end(.left) }
    private func end(_ end: Branch.End) { watch.end(end) { notify(.ended(end)) } }

    private var log: Log { network.log }
    private var time: TimeSource { network.time }

    /// All parts together: of offsets, how many there are and how many are done.
    var snapshot: PipelineProgress.Snapshot {
        let (parts, past, trouble) = state.withLock { ($0.parts.values.map(\.snapshot), $0.past, $0.trouble) }
        var all = PipelineProgress.Snapshot.sum(of: parts, lanes.map(\.attachment.name))
        all.add(past)
        all.trouble = trouble ?? all.trouble
        return all
    }

    // MARK: - Taking part

    func work() async {
        var pause = Duration.milliseconds(500)
        while watch.isActive, !Task.isCancelled {
            do {
                let member = try await network.source.join(definition.name)
                state.withLock { $0.trouble = nil }
                notify(.opened)
                watch.open()
                pause = .milliseconds(500)
                return end(try await takePart(member))
            } catch {
                guard Hub.passes(error), !Task.isCancelled else { return end(Task.isCancelled ? .left : .failed(error)) }
                log.error("the source cannot be joined; trying again", ["error": "\(error)", "in": "\(pause)"])
                state.withLock { $0.trouble = "\(error)" }
                let until = time.now() + pause
                while watch.isActive, time.now() < until { try? await time.sleep(.milliseconds(50)) }
                pause = min(pause * 2, .seconds(30))
            }
        }
        end(.left)
    }

    /// Works as a member until it is asked to leave or a part fails.
    /// - Throws: what the source fails with.
    private func takePart(_ member: any SourceMembership) async throws -> Branch.End {
        forget(state.withLock { Array($0.parts.keys) })
        let result: Result<Branch.End, any Error> = await withTaskGroup(of: Void.self) { group in
            var result = Result<Branch.End, any Error>.success(.left)
            do {
                var told: [SourcePart: UInt64] = [:]
                var next = time.now() + network.source.tellsEvery
                var failures = PartFailures(grace: network.source.graceOfLoss)
                while watch.isActive, !Task.isCancelled, case .success(.left) = result {
                    switch try await member.next() {
                    case .nothing: break
                    case .assigned(let parts):
                        for part in parts { begin(part, start: nil, in: &group) }
                        try await member.take(parts)
                    case .revoked(let parts, let areLost):
                        await give(parts, of: member, areLost: areLost, &told)
                        forget(parts)
                        failures.forget(parts)
                        try await member.giveBack(parts)
                    }
                    if let failure = try await failure(&failures, in: &group) { result = .success(.failed(failure)) }
                    guard time.now() >= next else { continue }
                    next = time.now() + network.source.tellsEvery
                    await tell(member, &told)
                }
            } catch { result = .failure(error) }
            var told: [SourcePart: UInt64] = [:]
            let parts = state.withLock { Array($0.parts.keys) }
            await give(parts, of: member, areLost: false, &told)
            await member.leave()
            return result
        }
        return try result.get()
    }

    // MARK: - Parts

    private func begin(_ part: SourcePart, start: UInt64?, in group: inout TaskGroup<Void>) {
        log.info("a part of the source is ours", ["pipeline": "\(definition.name)", "part": "\(part)"])
        // Sinks that were there once are waited for.
        let isLater = state.withLock { $0.hasWorked }
        let run = PartRun(
            part, of: definition, start: start, hub: network.hub(part, for: definition.name, board),
            lanes: lanes.map { PipelineLanes.Lane(attachment: $0.attachment.of(part), startup: isLater ? .wait : $0.startup) }
        ) { [weak self] event in self?.take(event, of: part) }
        state.withLock { state in
            state.parts[part] = run
            state.live.remove(part)
        }
        group.addTask { await run.work() }
    }

    /// Lets parts end in good order, and tells how far they have come.
    private func give(_ parts: [SourcePart], of member: any SourceMembership, areLost: Bool, _ told: inout [SourcePart: UInt64]) async {
        let runs = state.withLock { state in parts.compactMap { state.parts[$0] } }
        for run in runs { run.leave() }
        for run in runs { _ = await run.ended() }
        // Of what is lost others tell by now.
        if !areLost { await tell(member, &told) }
        for run in runs {
            log.info("a part of the source is given back", ["pipeline": "\(definition.name)", "part": "\(run.part)", "lost": "\(areLost)"])
            told[run.part] = nil
        }
    }

    /// Forgets parts that are others' by now, but for what was counted.
    private func forget(_ parts: [SourcePart]) {
        for part in parts { board.forget(part) }
        state.withLock { state in
            for part in parts {
                state.live.remove(part)
                if let run = state.parts.removeValue(forKey: part) { state.past.add(run.snapshot) }
            }
        }
    }

    /// Tells the others what is new of how far the sinks have come.
    private func tell(_ member: any SourceMembership, _ told: inout [SourcePart: UInt64]) async {
        var news: [SourcePart: UInt64] = [:]
        for (part, run) in state.withLock({ $0.parts }) {
            if let end = run.durableEnd, told[part] != end { news[part] = end }
        }
        guard !news.isEmpty else { return }
        do {
            try await member.tell(news)
            told.merge(news) { _, new in new }
        } catch {
            log.warning("the source could not be told how far the sinks are; trying again", ["error": "\(error)"])
        }
    }

    /// What a part failed with that cannot be got over. One that was fenced off may have been lost without knowing; one whose records are
    /// lost goes on behind them where that is wished.
    private func failure(_ failures: inout PartFailures, in group: inout TaskGroup<Void>) async throws -> (any Error)? {
        for (part, run) in state.withLock({ $0.parts }) {
            guard case .failed(let error) = await run.end else { continue }
            if let lost = error as? SluiceError, lost.code == .recordsLost, network.source.goesOnBehindLosses {
                let start = try await network.source.begin(of: part)
                log.warning("going on behind records that are lost", ["part": "\(part)", "error": "\(lost.message)", "at": "\(start)"])
                begin(part, start: start, in: &group)
                continue
            }
            if failures.isFinal(part, error, at: time.now()) { return error }
        }
        return nil
    }

    // MARK: - What is told

    private func take(_ event: Branch.Event, of part: SourcePart) {
        switch event {
        case .component: notify(event)
        case .opened: state.withLock { $0.hasWorked = true }
        case .ended, .backfilling: break
        case .live:
            let isNews = state.withLock { state in
                state.live.insert(part)
                guard !state.toldLive, state.parts.keys.allSatisfy(state.live.contains) else { return false }
                state.toldLive = true
                return true
            }
            if isNews { notify(.live) }
        }
    }
}

extension SinkAttachment {
    /// The same for one part of a source: what waits on disk is in a folder of its own.
    fileprivate func of(_ part: SourcePart) -> SinkAttachment {
        guard case .spill(let space) = policy else { return self }
        return SinkAttachment(
            name, sink, policy: .spill(SpillSpace(folder: "\(space.folder)/\(part.number)", limit: space.limit)), stream: stream)
    }
}

/// Which failures of parts are the end of a run. Pure.
struct PartFailures {
    let grace: Duration
    private var since: [SourcePart: MonotonicTime] = [:]

    init(grace: Duration) { self.grace = grace }

    /// What becomes ours again begins anew.
    mutating func forget(_ parts: [SourcePart]) { for part in parts { since[part] = nil } }

    /// Another process that has fenced this one off is right if the part is not ours any more, of which we may hear a little later.
    mutating func isFinal(_ part: SourcePart, _ error: any Error, at now: MonotonicTime) -> Bool {
        guard let error = error as? SluiceError, error.code.rawValue.hasSuffix("fenced") else { return true }
        let first = since[part] ?? now
        since[part] = first
        return now - first >= grace
    }
}

extension PipelineProgress.Snapshot {
    /// Of several parts, each of which counts from 0: how many offsets there are, were sent on, and are in every sink.
    static func sum(of parts: [Self], _ sinks: [String]) -> Self {
        var all = Self()
        func plus(_ number: UInt64?, _ other: UInt64?) -> UInt64? { other.map { (number ?? 0) + $0 + 1 } ?? number }
        var (latest, emitted): (UInt64?, UInt64?)
        var durable: [String: UInt64] = [:]
        for part in parts {
            latest = plus(latest, part.head?.latest)
            emitted = plus(emitted, part.emitted?.number)
            for sink in sinks { durable[sink] = plus(durable[sink], part.durable[sink]?.number) }
            all.emittedTimestamp = max(all.emittedTimestamp, part.emittedTimestamp)
            all.trouble = all.trouble ?? part.trouble
            all.add(part)
        }
        all.head = latest.map { ChainHead(latest: $0, finalized: $0) }
        all.emitted = emitted.map { Position(number: $0, hash: .zero) }
        all.durable = durable.mapValues { Position(number: $0, hash: .zero) }
        return all
    }

    /// Adds what another one has counted.
    fileprivate mutating func add(_ other: Self) {
        blocks += other.blocks
        receivedBytes += other.receivedBytes
        rows.merge(other.rows, uniquingKeysWith: +)
    }
}
