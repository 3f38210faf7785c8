import SluiceCore
import SluiceTelemetry
import Synchronization

/// Branches that joined together: they read what they lack together, then become part of the live reading together.
struct Convoy: Sendable {
    private let members: [Branch]
    private let surroundings: Hub.Surroundings
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
    private func each(_ branches: [Branch], _ body: @escaping @Sendable (Branch) async throws -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for branch in branches {
                group.addTask {
                    do { try await body(branch) } catch { branch.end(Task.isCancelled ? .left : .failed(error)) }
                }
            }
        }
    }

    private func open() async {
        // One behind the other: several of them may open the same file.
        for branch in members where branch.isActive {
            do { try await branch.open() } catch { branch.end(Task.isCancelled ? .left : .failed(error)) }
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
        } catch { for branch in bounded { branch.end(Task.isCancelled ? .left : .failed(error)) } }
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
                let plan = CoveragePlan(wants.map(\.want), through: until.map { min($0, head.latest) } ?? head.latest)
                guard Self.isFar(plan, of: wants.filter { $0.want.from != nil }.count) else { return }
                for branch in following { branch.tell(.backfilling) }
                try await fill(plan, wants: wants)
                pause = .milliseconds(500)
            } catch {
                guard LiveReading.passes(error), !Task.isCancelled else {
                    for branch in following { branch.end(Task.isCancelled ? .left : .failed(error)) }
                    return
                }
                await wait(pause, after: error)
                pause = min(pause * 2, .seconds(30))
            }
        }
    }

    private var until: UInt64? {
        let untils = following.map(\.until)
        return untils.contains(nil) ? nil : untils.compactMap { $0 }.max()
    }

    /// Whether more is missing than a few blocks at the end that all lack alike.
    private static func isFar(_ plan: CoveragePlan, of count: Int) -> Bool {
        guard let last = plan.phases.last else { return false }
        return plan.phases.count > 1 || last.sinks.count < count || last.range.count > near
    }

    private func wait(_ pause: Duration, after failure: any Error) async {
        surroundings.log.error("the upstream fails; trying again", ["error": "\(failure)", "in": "\(pause)"])
        for branch in active { branch.progress.update { $0.trouble = "\(failure)" } }
        try? await surroundings.time.sleep(pause)
        for branch in active { branch.progress.update { $0.trouble = nil } }
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
                    joined = ready
                    try await live.graph.add(ready)
                    live.release()
                    break
                }
                live.release()
            } catch {
                live.release()
                guard LiveReading.passes(error), !Task.isCancelled else {
                    for branch in following { branch.end(Task.isCancelled ? .left : .failed(error)) }
                    return
                }
                await wait(pause, after: error)
            }
            try? await surroundings.time.sleep(pause)
            pause = min(pause * 2, .seconds(5))
            if Task.isCancelled { return }
        }
        for (branch, edges) in joined {
            if branch.attach(to: live.graph) { branch.tell(.live) } else { live.graph.remove(branch) }
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
            var own: [GraphEdge] = []
            for sink in branch.opened {
                let segment = try await sink.segment()
                if let segment { positions.insert(segment.last) }
                own.append(GraphEdge(sink: sink, start: branch.start, segment: segment, edge: edge(into: sink)))
            }
            edges.append((branch, own))
        }
        // On another branch of the chain than the others nobody joins: with the next block one of them is undone.
        if let end { return positions.allSatisfy { $0 == end } ? edges : nil }
        guard positions.count <= 1 else { return nil }
        let position = positions.first
        // A start behind what is held is where reading begins; what was held before stays as it is.
        let start = active.compactMap(\.start).min()
        live.graph.start(at: position.flatMap { end in start.map { end.number + 1 >= $0 } ?? true ? end : nil })
        return edges
    }

    // MARK: - Reading

    private struct SinkWant {
        let branch: Branch
        let sink: OpenedSink
        let want: CoveragePlan.Want
    }

    private func wants(_ branches: [Branch]) async -> [SinkWant] {
        let collected = Mutex<[(Int, [SinkWant])]>([])
        let order = branches
        await each(branches) { branch in
            var held: [(OpenedSink, [Segment])] = []
            for sink in branch.opened {
                let segments = try await sink.stream.coverage()
                if let last = segments.last { branch.progress.update { $0.durable[sink.name] = last.last } }
                // What waits for finality was taken already and is not asked for again.
                held.append((sink, segments + sink.held.withLock { $0.segments }))
            }
            // "From the head" means the head of the first run: a later one goes on where the sink that is furthest behind ends.
            let from = branch.start ?? held.compactMap { $0.1.map(\.last.number).max() }.min().map { $0 + 1 }
            let wants = held.map { SinkWant(branch: branch, sink: $0, want: CoveragePlan.Want(coverage: $1, from: from)) }
            collected.withLock { $0.append((order.firstIndex { $0 === branch } ?? 0, wants)) }
        }
        return collected.withLock { $0.sorted { $0.0 < $1.0 }.flatMap(\.1) }
    }

    /// Undoes what the network has orphaned of the newest blocks of each sink. Throws what the upstream fails with: whoever is not settled
    /// must not be read for.
    private func settle(_ branches: [Branch]) async throws {
        guard !branches.isEmpty else { return }
        let oracle = oracle(branches)
        struct Asked: Hashable {
            let position: Position
            let finalized: UInt64?
        }
        var known: [Asked: Position] = [:]
        for branch in branches where branch.isActive {
            do {
                for sink in branch.opened {
                    guard let segment = try await sink.segment() else { continue }
                    let last = segment.last
                    // Pipelines that stand at the same block ask once.
                    let asked = Asked(
                        position: last, finalized: try await surroundings.journal.finalized(of: sink.id, sink: sink.name))
                    let settled: Position
                    if let answer = known[asked] {
                        settled = answer
                    } else {
                        settled = try await oracle.settle(last, finalized: asked.finalized)
                        known[asked] = settled
                    }
                    // Whoever began behind that block loses all that it got, and no more.
                    let target = settled.number < segment.first ? Position(number: segment.first &- 1, hash: settled.hash) : settled
                    guard settled != last else { continue }
                    surroundings.log.info(
                        "undoing blocks that were orphaned meanwhile",
                        ["sink": "\(sink.name)", "from": "\(last.number)", "to": "\(settled.number)"])
                    _ = try await sink.rollback(to: target)
                    try await surroundings.journal.forgetLetters(of: branch.stream, behind: target)
                    for register in branch.definition.registers where register.keepsFindings && target.number &+ 1 <= last.number {
                        try await surroundings.journal.replaceFindings(
                            [], in: target.number &+ 1...last.number, of: branch.stream, register: register.name)
                    }
                    branch.progress.note(.reorganisation(depth: Int(last.number - min(last.number, settled.number))))
                }
            } catch {
                // The upstream is asked again with the next round; a sink that fails, or a chain that is not the one it was, is not.
                if LiveReading.passes(error), !Task.isCancelled { throw error }
                branch.end(Task.isCancelled ? .left : .failed(error))
            }
        }
    }

    private func oracle(_ branches: [Branch]) -> any Oracle {
        surroundings.makeOracle(surroundings.registry.needs(of: branches.map(\.definition))) { event in
            for branch in branches where branch.isActive { branch.progress.note(event) }
        }
    }

    /// Reads the phases of a plan. Returns early when nobody is left to read for.
    private func fill(_ plan: CoveragePlan, wants: [SinkWant]) async throws {
        var before: Position?
        for step in plan.phases {
            let sinks = step.sinks.map { wants[$0] }.filter(\.branch.isActive)
            guard !sinks.isEmpty else { continue }
            let ends = [before] + sinks.flatMap(\.want.coverage).map(\.last)
            let befores = Set(ends.compactMap { $0 }.filter { $0.number + 1 == step.range.lowerBound })
            guard befores.count <= 1 else { throw Self.onTwoBranches(befores) }
            surroundings.log.debug(
                "reading blocks that are missing",
                [
                    "from": "\(step.range.lowerBound)", "to": "\(step.range.upperBound)",
                    "behind": "\(befores.first.map { "\($0.number)" } ?? "-")",
                    "sinks": "\(sinks.map { "\($0.branch.name)/\($0.sink.name)" }.joined(separator: " "))",
                ])
            before = try await phase(step.range, after: befores.first, sinks: sinks)
            try Task.checkCancellation()
        }
    }

    private static func onTwoBranches(_ positions: Set<Position>) -> SluiceError {
        let shown = positions.map(\.description).sorted().joined(separator: " and ")
        return SluiceError(.onTwoBranches, .retry, "sinks stand at \(shown): the chain changed while they were looked at")
    }

    /// Reads one range into some sinks: what was read lands in all of them before it ends. A sink that fails ends its branch, and no
    /// other.
    private func phase(_ range: ClosedRange<UInt64>, after position: Position?, sinks: [SinkWant]) async throws -> Position? {
        let signal = StopSignal()
        let graph = ComponentGraph(
            registry: surroundings.registry, position: position, floor: range.lowerBound, journal: surroundings.journal
        ) { change in
            if case .empty = change { signal.raise() }
        }
        var branches: [(branch: Branch, edges: [GraphEdge])] = []
        for want in sinks {
            let segment = want.want.coverage.first { $0.last.number + 1 == range.lowerBound }
            let edge = GraphEdge(sink: want.sink, start: nil, segment: segment, edge: edge(into: want.sink))
            if let index = branches.firstIndex(where: { $0.branch === want.branch }) {
                branches[index].edges.append(edge)
            } else {
                branches.append((want.branch, [edge]))
            }
        }
        try await graph.add(branches)
        for (branch, _) in branches where !branch.attach(to: graph) { graph.remove(branch) }
        let oracle = oracle(branches.map(\.branch))
        let travellers = branches
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (branch, edges) in travellers {
                group.addTask {
                    do { try await drain(branch, edges, graph: graph, flushesWhenIdle: false) } catch {
                        graph.remove(branch, failing: error)
                        branch.end(Task.isCancelled ? .left : .failed(error))
                    }
                }
            }
            defer {
                surroundings.tally.add(graph.components)
                for (branch, _) in travellers { _ = branch.attach(to: nil) }
            }
            do {
                _ = try await signal.interrupting { try await oracle.backfill(range, after: position, into: graph) }
            } catch is NobodyReads {} catch {
                // What was read lands; the error is for whoever asked for the range.
                graph.finish()
                try await group.waitForAll()
                throw error
            }
            graph.finish()
            try await group.waitForAll()
            return graph.position
        }
    }

    private func edge(into sink: OpenedSink) -> Edge {
        let log = surroundings.log
        return Edge(capacity: surroundings.edgeCapacity, policy: sink.policy) { trouble in
            log.warning("an edge cannot spill any more: it holds its sender up instead", ["sink": "\(sink.name)", "error": "\(trouble)"])
        }
    }

    /// Takes what comes along the edges of a branch into its sinks until they end.
    private func drain(_ branch: Branch, _ edges: [GraphEdge], graph: ComponentGraph, flushesWhenIdle: Bool) async throws {
        let journal = surroundings.journal
        try await withThrowingTaskGroup(of: Void.self) { group in
            for edge in edges {
                let loop = SinkLoop(
                    sink: edge.sink, edge: edge.edge, progress: branch.progress, flushesWhenIdle: flushesWhenIdle,
                    stream: edge.sink.id, journal: journal, time: surroundings.time)
                group.addTask {
                    do { try await loop.run() } catch {
                        // Whoever sends to this sink must not wait for it for ever, and its siblings get no more.
                        graph.remove(branch, failing: error)
                        for other in edges { other.edge.fail(error) }
                        throw error
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

extension Branch.Goal {
    /// Where it begins, for sorting.
    fileprivate var order: UInt64 { if case .range(let range) = self { range.lowerBound } else { .max } }
}

extension Branch {
    /// Makes durable what is held, in a smaller unit if need be, and says what is not final.
    func finish(log: Log) async throws {
        for sink in opened {
            if let position = try await sink.stream.finish() { progress.update { $0.durable[sink.name] = position } }
            for segment in sink.held.withLock({ $0.segments }) {
                log.warning(
                    "blocks are not final yet and were held back",
                    ["sink": "\(sink.name)", "first": "\(segment.first)", "last": "\(segment.last.number)"])
            }
        }
    }
}
