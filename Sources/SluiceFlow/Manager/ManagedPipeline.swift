import SluiceCore
import SluiceStore

/// A pipeline as the manager carries it.
struct ManagedPipeline {
    let request: PipelineRequest
    let puuid: PUUID
    let fingerprint: Fingerprint
    var lifecycle: PipelineLifecycle
    /// What it does now, or did last.
    var run: (any PipelineRun)?
    /// Counts its runs: what an earlier one still has to say is of the past.
    var runs = 0
    let progress = PipelineProgress()
    /// Pipelines whose work this one does as well.
    var followers: [PUUID] = []
    var leader: PUUID?
}

/// A run that is ready to begin.
enum Start {
    case branch(Hub, Branch)
    case aggregate(AggregateRun)
}

extension PipelineRecord {
    /// The identity that it was kept under; nil when it cannot be read.
    var id: PUUID? {
        guard let pid = PipelinePID(bytes: pid), let uuid = UUID128(puuid.suffix(36)) else { return nil }
        return PUUID(pid: pid, uuid: uuid)
    }
}
