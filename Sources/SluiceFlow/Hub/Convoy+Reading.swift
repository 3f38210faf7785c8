import SluiceCore
import SluiceTelemetry
import Synchronization

// What a convoy does with its members' sinks: asks what they hold, undoes what is orphaned, and reads what they lack into them.
extension Convoy {
    struct SinkWant {
        let branch: Branch
        let sink: OpenedSink
        let want: CoveragePlan.Want
    }

    func wants(_ branches: [Branch]) async -> [SinkWant] {
        let collected = Mutex<[(Int, [SinkWant])]>([])
        let order = branches
        await each(branches) { branch in
            var held: [(OpenedSink, [Segment])] = []
            for sink in branch.opened {
                let segments = try await branch.using { try await sink.inTurn { try await sink.coverage() } }
                if let last = segments.last { branch.progress.update { $0.durable[sink.name] = last.last } }
                // What waits for finality was taken already and is not asked for again.
                held.append((sink, segments + sink.held.withLock { $0.segments }))
            }
            // "From the head" means the head of the first run: a later one goes on where the sink that is furthest behind ends, and who has
            // nothing begins where the others began.
            let ends = held.compactMap { $0.1.map(\.last.number).max() }
            let from = branch.start ?? ends.min().map { $0 + 1 } ?? branch.begin
            let wants = held.map { SinkWant(branch: branch, sink: $0, want: CoveragePlan.Want(coverage: $1, from: from)) }
            collected.withLock { $0.append((order.firstIndex { $0 === branch } ?? 0, wants)) }
        }
        return collected.withLock { $0.sorted { $0.0 < $1.0 }.flatMap(\.1) }
    }

    /// Undoes what the network has orphaned of the newest blocks of each sink. Throws what the upstream fails with: whoever is not settled
    /// must not be read for.
    func settle(_ branches: [Branch]) async throws {
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
                    guard let segment = try await branch.using({ try await sink.inTurn { try await sink.segment() } }) else { continue }
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
                    _ = try await branch.using { try await sink.inTurn { try await sink.rollback(to: target) } }
                    // What others of the pipeline hold is not orphaned.
                    let boundary = branch.boundary(of: target, undoing: [sink])
                    try await surroundings.journal.forgetLetters(of: branch.stream, behind: boundary)
                    for register in branch.definition.registers where register.keepsFindings && boundary.number &+ 1 <= last.number {
                        try await surroundings.journal.replaceFindings(
                            [], in: boundary.number &+ 1...last.number, of: branch.stream, register: register.name)
                    }
                    branch.progress.note(.reorganisation(depth: Int(last.number - min(last.number, settled.number))))
                }
            } catch {
                // The upstream is asked again with the next round; a sink that fails, or a chain that is not the one it was, is not.
                if Hub.passes(error), !branch.hasSinkFailed, !Task.isCancelled { throw error }
                branch.end(failing: error)
            }
        }
    }

    /// One that looks up where the network stands.
    func oracle(_ branches: [Branch]) -> any Oracle {
        oracle(reading: surroundings.registry.needs(of: branches.map(\.definition)), for: branches)
    }

    private func oracle(reading needs: [Need], for branches: [Branch]) -> any Oracle {
        surroundings.makeOracle(needs) { event in
            for branch in branches where branch.isActive { branch.progress.note(event) }
        }
    }

    /// Reads the phases of a plan. Returns early when nobody is left to read for.
    func fill(_ plan: CoveragePlan, wants: [SinkWant]) async throws {
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
        let graph = ComponentGraph(surroundings, position: position, floor: range.lowerBound) { change in
            if case .empty = change { signal.raise() }
        }
        var branches: [(branch: Branch, edges: [GraphEdge])] = []
        for want in sinks {
            let segment = want.want.coverage.first { $0.last.number + 1 == range.lowerBound }
            let edge = GraphEdge(sink: want.sink, start: nil, segment: segment, edge: surroundings.edge(into: want.sink))
            if let index = branches.firstIndex(where: { $0.branch === want.branch }) {
                branches[index].edges.append(edge)
            } else {
                branches.append((want.branch, [edge]))
            }
        }
        try await graph.add(branches)
        for (branch, edges) in branches where !branch.attach(to: graph, edges: edges) { graph.remove(branch) }
        let travellers = branches
        // As the graph was told: all of the range is read for the same wishes.
        let oracle = oracle(reading: graph.needs, for: travellers.map(\.branch))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (branch, edges) in travellers {
                group.addTask {
                    do { try await drain(branch, edges, graph: graph, flushesWhenIdle: false) } catch {
                        graph.remove(branch, failing: error)
                        branch.end(failing: error)
                    }
                }
            }
            defer {
                surroundings.tally.add(graph.components)
                for (branch, _) in travellers { _ = branch.attach(to: nil) }
            }
            do {
                graph.begin()
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

    /// Takes what comes along the edges of a branch into its sinks until they end.
    func drain(_ branch: Branch, _ edges: [GraphEdge], graph: ComponentGraph, flushesWhenIdle: Bool) async throws {
        let journal = surroundings.journal
        try await withThrowingTaskGroup(of: Void.self) { group in
            for edge in edges {
                let loop = SinkLoop(
                    sink: edge.sink, edge: edge, progress: branch.progress, flushesWhenIdle: flushesWhenIdle,
                    journal: journal, time: surroundings.time)
                group.addTask {
                    do { try await branch.using { try await loop.run() } } catch {
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
