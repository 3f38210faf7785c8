import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore
import SluiceTelemetry

extension SluiceError.Code {
    /// Dead letters are marked for replay, and whoever runs the pipelines has not replayed them.
    static let replayPending = Self("replay_pending")
}

/// One run of `sluice dlq replay`, over letters that are marked: it replays them itself when nobody runs pipelines on the state file, and
/// waits for who does when somebody does.
struct ReplaySession {
    let configuration: SluiceConfiguration
    /// A connection beside that of the process that runs the pipelines.
    let store: StateStore
    let log: Log
    /// Microseconds since 1970 when the letters were marked.
    let since: Int64
    /// How long it waits while nothing moves.
    let patience: Duration

    /// What came of the letters, and what ended it early.
    func run(_ ids: Set<Int64>) async -> (ReplayReport, (any Error)?) {
        var failure: (any Error)?
        do {
            var isDone = false
            while !isDone {
                do {
                    try await replay(ids)
                    isDone = true
                } catch let error as SluiceError where error.code == .storeLocked {
                    isDone = try await waited(for: ids, on: error)
                }
            }
        } catch { failure = error }
        do { return (try await report(ids), failure) } catch { return (ReplayReport(), failure ?? error) }
    }

    // MARK: - Doing it

    /// Replays letters one pipeline after the other.
    /// - Throws: `store_locked` when another process runs pipelines on the state file; what the sources and the sinks throw.
    private func replay(_ ids: Set<Int64>) async throws {
        let application = try await Application.open(configuration, log: log)
        do {
            // What the configuration says by now, not what it said when the letters were written.
            try await application.keepConfigured(configuration.pipelines)
            var branches: [StreamID: Branch] = [:]
            var last: Int64 = 0
            let filter = DeadLetterFilter(state: .open, isReplayWanted: true)
            while case let part = try await store.deadLetters(filter, after: last, limit: 1000), let end = part.last {
                last = end.id
                let own = Dictionary(grouping: part.filter { ids.contains($0.id) }, by: \.stream)
                for (stream, letters) in own.sorted(by: { $0.key.description < $1.key.description }) {
                    try await replay(letters, of: stream, application, &branches)
                }
            }
            await application.close()
        } catch {
            await application.close()
            throw error
        }
    }

    private func replay(
        _ letters: [DeadLetterRecord], of stream: StreamID, _ application: Application, _ branches: inout [StreamID: Branch]
    ) async throws {
        if let pipeline = configuration.pipelines.first(where: { $0.name == stream.pipeline }), application.shared[pipeline.network] != nil
        {
            // Its streams are opened by whoever has the partition, and nobody else.
            let words = "letters of a topic are replayed by sluice run, while it has their partition: start it, then replay them"
            return try await store.note(letters.map { ReplayResult($0, .impossible(words)) })
        }
        guard let pipeline = configuration.pipelines.first(where: { $0.name == stream.pipeline }),
            let network = configuration.network(pipeline.network), network.chainID == stream.chainID,
            let hub = application.hubs[network.name],
            let branch = branches[stream] ?? application.branch(pipeline, goal: .follow(until: nil))
        else {
            let words = "the configuration has no pipeline \(stream.pipeline) on chain \(stream.chainID)"
            return try await store.note(letters.map { ReplayResult($0, .impossible(words)) })
        }
        branches[stream] = branch
        _ = try await hub.replay(letters, of: branch)
    }

    // MARK: - Waiting for it

    /// Waits until whoever has the state file has replayed letters. Returns false when nobody has it any more.
    /// - Throws: `replay_pending` when nothing moves for too long.
    private func waited(for ids: Set<Int64>, on holder: SluiceError) async throws -> Bool {
        var left = ids.count + 1
        var moved = ContinuousClock.now
        while true {
            let wanted = try await store.wantedReplays().intersection(ids).count
            if wanted == 0 { return true }
            if wanted != left { (left, moved) = (wanted, .now) }
            if StateStore.isFree(configuration.state) { return false }
            guard ContinuousClock.now - moved < patience else {
                let letters = Amount.count(UInt64(wanted), "dead letter") + (wanted == 1 ? " stays" : " stay")
                throw SluiceError(
                    .replayPending, .pause,
                    "\(letters) marked: \(holder.message), which has replayed none for \(Amount.time(patience.seconds))",
                    mend:
                        "sluice run replays them once it follows their pipeline and its source answers; with nothing running, this command does"
                )
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// What is known of letters by now.
    private func report(_ ids: Set<Int64>) async throws -> ReplayReport {
        let outcomes = try await store.replayOutcomes(since: since)
        let wanted = try await store.wantedReplays()
        var report = ReplayReport()
        for id in ids where !wanted.contains(id) {
            if let outcome = outcomes[id] {
                report.outcomes[id] = outcome
            } else if let record = try await store.deadLetter(id) {
                // Its block was read anew meanwhile, and it failed again; or somebody dropped it.
                report.outcomes[id] =
                    record.state == .dropped
                    ? .impossible("it was dropped meanwhile") : .failed(reason: record.letter.reason, message: record.letter.message)
            } else {
                report.outcomes[id] = .orphaned
            }
        }
        return report
    }
}
