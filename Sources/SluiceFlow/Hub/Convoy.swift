import SluiceCore
import SluiceTelemetry
import Synchronization

/// Branches that joined together: they read what they lack together, then become part of the live reading together.
struct Convoy: Sendable {
    let members: [Branch]
    let surroundings: Hub.Surroundings
    private let live: LiveReading

    /// Blocks that are not worth another round before the live reading is held.
    private static let near: UInt64 = 64

    init(_ members: [Branch], surroundings: Hub.Surroundings, live: LiveReading) {
        self.members = members
        self.surroundings = surroundings
        self.live = live
    }

    private var active: [Branch] { members.filter(\.isActive) }
    private var bounded: [Branch] { active.filter { if case .range = $0.goal { true } else { false } } }
    private var following: [Branch] { active.filter { if case .follow = $0.goal { true } else { false } } }

    /// Returns when all members have ended.
    func travel() async {
        // Opening the stores and asking the network have nothing to wait for in each other.
        async let head = bounded.isEmpty ? nil : askHead(oracle(bounded))
        await open()
        await readRanges(head: await head)
        await catchUp()
        await follow()
        for member in members { member.end(.left) }
    }

    /// Lets those go that were asked to leave, at a moment when nothing is being done for them.
    private func sweep(but joined: [Branch] = []) {
        for member in members where member.isLeaving && !joined.contains(where: { $0 === member }) { member.end(.left) }
    }

    /// Fails a member with what `body` throws; the others go on.
    func each(_ branches: [Branch], _ body: @escaping @Sendable (Branch) async throws -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for branch in branches {
                group.addTask {
                    do { try await body(branch) } catch { branch.end(failing: error) }
                }
            }
        }
    }

    private func open() async {
        // One behind the other: several of them may open the same file.
        for branch in members where branch.isActive {
            do { try await branch.open(surroundings) } catch { branch.end(failing: error) }
        }
    }

    // MARK: - Ranges

    private func askHead(_ oracle: any Oracle) async -> Result<ChainHead, any Error>? {
        do { return .success(try await oracle.head()) } catch { return .failure(error) }
    }

    private func readRanges(head: Result<ChainHead, any Error>?) async {
        guard let head, !bounded.isEmpty else { return }
        do {
            let head = try head.get()
            for branch in bounded { branch.progress.note(.head(head)) }
            for branch in bounded {
                guard case .range(let range) = branch.goal, range.upperBound > head.latest else { continue }
                branch.end(
                    .failed(
                        SluiceError(
                            .beyondHead, .config,
                            "backfilling \(branch.name): block \(range.upperBound) is beyond the head \(head.latest)",
                            mend: "end the range at \(head.latest) or before, or use sluice run to follow the head")))
            }
            for branch in bounded { branch.tell(.backfilling) }
            // Ranges that differ are read one behind the other, those that are equal together.
            for range in Set(bounded.map(\.goal)).sorted(by: { $0.order < $1.order }) {
                guard case .range(let blocks) = range else { continue }
                let branches = bounded.filter { $0.goal == range }
                try await fill(branches, through: blocks.upperBound)
                await each(branches.filter(\.isActive)) { branch in
                    try await branch.finish(log: surroundings.log)
                    branch.end(.completed)
                }
            }
        } catch { for branch in bounded { branch.end(failing: error) } }
    }

    /// Reads what sinks lack of a range. When the chain changes below it meanwhile, they are settled, and it is read again.
    private func fill(_ branches: [Branch], through last: UInt64) async throws {
        var attempts = 0
        while true {
            do {
                try await settle(branches)
                let wants = await wants(branches)
                return try await fill(CoveragePlan(wants.map(\.want), through: last), wants: wants)
            } catch let error as SluiceError where error.code == .onTwoBranches && attempts < 8 {
                attempts += 1
                try await surroundings.time.sleep(.milliseconds(250 * attempts))
            }
        }
    }

    // MARK: - History

    /// Reads what the members lack until they are near the head. An upstream that fails is asked again, for ever.
    private func catchUp() async {
        var pause = Duration.milliseconds(500)
        while !following.isEmpty {
            sweep()
            do {
                try await settle(following)
                let head = try await oracle(following).head()
                for branch in following { branch.progress.note(.head(head)) }
                let wants = await wants(following)
                for want in wants where want.want.from == nil {
                    // It would wait for a block that lies behind it.
                    guard let until = want.branch.until, until < head.latest else { continue }
                    want.branch.end(failing: Self.beyondUntil(want.branch, head: head.latest, until: until))
                }
                let plan = CoveragePlan(wants.map(\.want), through: min(following.lastWanted ?? .max, head.latest))
                guard Self.isFar(plan, of: wants.filter { $0.want.from != nil }.count) else { return }
                for branch in following { branch.tell(.backfilling) }
                try await fill(plan, wants: wants)
                pause = .milliseconds(500)
            } catch {
                guard Hub.passes(error), !Task.isCancelled else {
                    for branch in following { branch.end(failing: error) }
                    return
                }
                await surroundings.wait(pause, after: error, of: active)
                pause = min(pause * 2, .seconds(30))
            }
        }
    }

    private static func beyondUntil(_ branch: Branch, head: UInt64, until: UInt64) -> SluiceError {
        SluiceError(
            .beyondUntil, .config, "following for \(branch.name): it begins at the head, block \(head), and should end at block \(until)",
            mend: "give the pipeline a start at block \(until) or before, or a later last block")
    }

    /// Whether more is missing than a few blocks at the end that all lack alike.
    private static func isFar(_ plan: CoveragePlan, of count: Int) -> Bool {
        guard let last = plan.phases.last else { return false }
        return plan.phases.count > 1 || last.sinks.count < count || last.range.count > near
    }

    // MARK: - The head

    /// Joins the live reading, and stays until all members have ended.
    private func follow() async {
        var pause = Duration.milliseconds(100)
        var joined: [(branch: Branch, edges: [GraphEdge])] = []
        while !following.isEmpty {
            sweep()
            await live.hold()
            do {
                if let ready = try await align(following) {
                    try await live.graph.add(ready)
                    joined = ready
                    // Before anything is read: whoever looks for what is on its way to a sink must find the edge.
                    for (branch, edges) in ready where !branch.attach(to: live.graph, edges: edges) { live.graph.remove(branch) }
                    live.release()
                    break
                }
                live.release()
            } catch {
                live.release()
                guard Hub.passes(error), !Task.isCancelled else {
                    for branch in following { branch.end(failing: error) }
                    return
                }
                await surroundings.wait(pause, after: error, of: active)
            }
            try? await surroundings.time.sleep(pause)
            pause = min(pause * 2, .seconds(5))
            if Task.isCancelled { return }
        }
        for (branch, edges) in joined {
            if branch.isActive { branch.tell(.live) }
            // Whoever needs nothing more than it has is done before it begins.
            if let until = branch.until, edges.allSatisfy({ $0.position.map { $0.number >= until } ?? false }) { live.graph.remove(branch) }
        }
        sweep(but: joined.map(\.branch))
        let graph = live.graph
        let travellers = joined
        await each(travellers.map(\.branch)) { branch in
            let edges = travellers.first { $0.branch === branch }?.edges ?? []
            do {
                try await drain(branch, edges, graph: graph, flushesWhenIdle: true)
                let isDone = branch.until.map { until in edges.allSatisfy { ($0.position?.number ?? 0) >= until } } ?? false
                if isDone { try await branch.finish(log: surroundings.log) }
                branch.end(isDone ? .completed : .left)
            } catch {
                graph.remove(branch, failing: error)
                throw error
            }
        }
    }

    /// Brings all members to the block where the live reading is held, or finds where it is to begin. Nil: not possible now.
    private func align(_ branches: [Branch]) async throws -> [(branch: Branch, edges: [GraphEdge])]? {
        let end = live.graph.position
        try await settle(branches)
        let wants = await wants(branches)
        // The first ones here decide where it begins: where the one ends that is furthest.
        if let furthest = end ?? wants.flatMap(\.want.coverage).map(\.last).max(by: { $0.number < $1.number }) {
            // Whoever has no block yet and no wish where to begin begins behind the block where the others are.
            try await fill(CoveragePlan(wants.map(\.want), through: furthest.number), wants: wants)
        }
        let active = branches.filter(\.isActive)
        var edges: [(branch: Branch, edges: [GraphEdge])] = []
        var positions: Set<Position> = []
        for branch in active {
            do {
                var own: [GraphEdge] = []
                for sink in branch.opened {
                    let segment = try await branch.using { try await sink.inTurn { try await sink.segment() } }
                    own.append(GraphEdge(sink: sink, start: branch.start, segment: segment, edge: surroundings.edge(into: sink)))
                }
                positions.formUnion(own.compactMap(\.position))
                edges.append((branch, own))
            } catch { branch.end(failing: error) }
        }
        // On another branch of the chain than the others nobody joins: with the next block one of them is undone.
        if let end { return positions.allSatisfy { $0 == end } ? edges : nil }
        guard positions.count <= 1 else { return nil }
        let position = positions.first
        // A start behind what is held is where reading begins; what was held before stays as it is. Others that came just before and have
        // nothing yet must not lose what lies between: then all is read from there, and edges leave out what they have.
        let start = active.compactMap(\.start).min()
        let waiting = live.graph.branches.compactMap(\.start).min()
        live.graph.start(
            at: position.flatMap { end in
                (start ?? 0) <= end.number + 1 && (waiting ?? .max) > end.number ? end : nil
            })
        return edges
    }
}

extension Branch.Goal {
    /// Where it begins, for sorting.
    fileprivate var order: UInt64 { if case .range(let range) = self { range.lowerBound } else { .max } }
}

extension Branch {
    func finish(log: Log) async throws { try await using { try await opened.finish(progress: progress, log: log) } }
}

extension [OpenedSink] {
    /// Makes durable what is held, in a smaller unit if need be, and says what is not final.
    func finish(progress: PipelineProgress, log: Log) async throws {
        for sink in self {
            if let position = try await sink.inTurn({ try await sink.finish() }) { progress.update { $0.durable[sink.name] = position } }
            for segment in sink.held.withLock({ $0.segments }) {
                log.warning(
                    "blocks are not final yet and were held back",
                    ["sink": "\(sink.name)", "first": "\(segment.first)", "last": "\(segment.last.number)"])
            }
        }
    }
}
