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
    let progress = LaneProgress()
    /// Pipelines whose work this one does as well.
    var followers: [PUUID] = []
    var leader: PUUID?
    /// What its components do, oracles included; those that have ended are gone, but for one that failed.
    private(set) var components: [CUUID: ActivityState] = [:]

    /// Takes in what a component tells.
    mutating func note(_ change: ActivityChange) {
        components[change.component] = change.state == .terminated && change.cause == nil ? nil : change.state
    }

    /// Its run has ended, and with that all that was still at work for it.
    mutating func componentsEnded() { components = components.filter { $0.value == .terminated } }

    /// A new run begins, with components of its own.
    mutating func begin() {
        runs += 1
        components = [:]
    }
}

/// A run that is ready to begin.
enum Start {
    case lanes(Hub, PipelineLanes)
    case aggregate(AggregateRun)
    case shared(SharedRun)

    var run: any PipelineRun {
        switch self {
        case .lanes(_, let run): run
        case .aggregate(let run): run
        case .shared(let run): run
        }
    }
}

extension PipelineRecord {
    /// The identity that it was kept under; nil when it cannot be read.
    var id: PUUID? {
        guard let pid = PipelinePID(bytes: pid), let uuid = UUID128(puuid.suffix(36)) else { return nil }
        return PUUID(pid: pid, uuid: uuid)
    }
}
