import SluiceCore
import Synchronization

/// What a pipeline has done, from what was done for each of its sinks.
final class LaneProgress: Sendable {
    private struct Lane {
        let progress = PipelineProgress()
        var failures = 0
    }

    private let lanes = Mutex<[String: Lane]>([:])

    /// What is done for one sink.
    func lane(_ name: String) -> PipelineProgress {
        lanes.withLock { lanes in
            let lane = lanes[name] ?? Lane()
            lanes[name] = lane
            return lane.progress
        }
    }

    /// Notes that a sink failed with an error: what it was sent and did not keep is sent to it once more.
    func failed(_ name: String, _ error: any Error) {
        lanes.withLock { $0[name, default: Lane()].failures += 1 }
        lane(name).update { $0.trouble = "sink \(name): \(error)" }
    }

    /// Most of it is done once for all of them: of those that failed least, the one that was sent most tells.
    var snapshot: PipelineProgress.Snapshot {
        let parts = lanes.withLock { $0.sorted { ($0.value.failures, $0.key) < ($1.value.failures, $1.key) } }
        let snapshots = parts.map(\.value.progress.snapshot)
        let steady = zip(parts, snapshots).filter { $0.0.value.failures == parts.first?.value.failures }.map(\.1)
        guard var all = steady.max(by: { $0.blocks < $1.blocks }) else { return PipelineProgress.Snapshot() }
        for part in snapshots {
            if part.head?.latest ?? 0 > all.head?.latest ?? 0 { all.head = part.head }
            if part.emitted?.number ?? 0 > all.emitted?.number ?? 0 {
                (all.emitted, all.emittedTimestamp) = (part.emitted, part.emittedTimestamp)
            }
            all.durable.merge(part.durable) { first, _ in first }
            all.reorganisations = max(all.reorganisations, part.reorganisations)
            all.deepestReorganisation = max(all.deepestReorganisation, part.deepestReorganisation)
            all.receivedBytes = max(all.receivedBytes, part.receivedBytes)
            all.trouble = all.trouble ?? part.trouble
        }
        return all
    }
}
