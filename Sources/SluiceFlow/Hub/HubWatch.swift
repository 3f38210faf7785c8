import SluiceCore
import SluiceStore
import SluiceTelemetry
import Synchronization

/// What a hub does for its branches beside reading: it tells what their sinks hold, and replays dead letters when somebody asks for it.
final class HubWatch: Sendable {
    private struct Watched {
        let branch: Branch
        /// By pipeline and sink.
        var told: [String: [String: [Segment]]] = [:]
    }

    private let surroundings: Hub.Surroundings
    private let watched = Mutex<[Watched]>([])
    private let isOver = StopSignal()

    /// How often it looks: whoever waits for an answer waits no longer than that.
    private static let interval = Duration.seconds(1)

    init(_ surroundings: Hub.Surroundings) { self.surroundings = surroundings }

    func add(_ branches: [Branch]) { watched.withLock { $0 += branches.map { Watched(branch: $0) } } }

    /// Lets `run` return, once it has told the last of it.
    func end() { isOver.raise() }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.replayRepeatedly() }
            group.addTask {
                _ = try? await self.isOver.interrupting {
                    while true {
                        await self.tell()
                        try await self.surroundings.time.sleep(Self.interval)
                    }
                }
                await self.tell()
            }
        }
    }

    // MARK: - Telling

    /// Tells what has changed since it was told last.
    private func tell() async {
        for one in watched.withLock({ $0 }) {
            let isLast = one.branch.isOver
            let all = one.branch.all
            // One of its branches tells for a pipeline: the first that works, and each that ends.
            guard isLast || (all.first(where: \.isActive) ?? one.branch) === one.branch else { continue }
            let sinks = Dictionary(grouping: one.branch.known, by: \.id.pipeline)
            let held = sinks.mapValues { Dictionary($0.map { ($0.name, $0.durable) }, uniquingKeysWith: { first, _ in first }) }
            var told = one.told
            for (pipeline, sinks) in held where told[pipeline] != sinks {
                do {
                    try await surroundings.journal.tell(sinks, of: pipeline)
                    told[pipeline] = sinks
                } catch {
                    // It is only for those who look; a store that refuses meets the pipeline itself.
                    surroundings.log.debug("cannot tell what sinks hold", ["pipeline": "\(pipeline)", "error": "\(error)"])
                }
            }
            watched.withLock { watched in
                guard let index = watched.firstIndex(where: { $0.branch === one.branch }) else { return }
                watched[index].told = told
                if isLast { watched.remove(at: index) }
            }
        }
    }

    // MARK: - Replaying

    private func replayRepeatedly() async {
        _ = try? await isOver.interrupting {
            var pause = Self.interval
            while true {
                var failure: (any Error)?
                for one in self.watched.withLock({ $0 }) where one.branch.isActive {
                    do { try await self.replay(one.branch) } catch {
                        try Task.checkCancellation()
                        // Of one that has left meanwhile the letters stay marked: its next run replays them.
                        if one.branch.isActive { failure = error }
                    }
                }
                pause = failure == nil ? Self.interval : min(pause * 2, .seconds(16))
                if let failure {
                    self.surroundings.log.warning(
                        "dead letters could not be replayed; trying again", ["error": "\(failure)", "in": "\(pause)"])
                }
                try await self.surroundings.time.sleep(pause)
            }
        }
    }

    /// Replays what was asked for of one branch.
    private func replay(_ branch: Branch) async throws {
        // Once for all sinks of a pipeline: while one of them is not there, what it holds cannot be mended.
        let all = branch.all
        guard all.first === branch, all.allSatisfy({ $0.isActive && !$0.opened.isEmpty }) else { return }
        let letters = try await surroundings.journal.wantedReplays(of: branch.stream)
        guard !letters.isEmpty else { return }
        let runtime = BranchReplay(branch: branch, surroundings: surroundings)
        let replayer = DeadLetterReplayer(journal: surroundings.journal, stream: branch.stream, runtime: runtime)
        let outcomes = try await replayer.replay(letters)
        surroundings.log.info(
            "replayed dead letters",
            ["pipeline": "\(branch.name)", "letters": "\(outcomes.count)", "done": "\(outcomes.values.count { $0.isDone })"])
    }
}
