import SluiceCore
import SluiceTelemetry

// What a command to a pipeline sets off: one step after the other.
extension EtlManager {
    func perform(_ command: PipelineCommand, on puuid: PUUID) async throws {
        var joining: [Start] = []
        try await perform(command, on: puuid, into: &joining)
        join(joining)
    }

    func perform(_ command: PipelineCommand, on puuid: PUUID, into joining: inout [Start]) async throws {
        var entry = try known(puuid)
        let before = entry.lifecycle.state
        let actions = try entry.lifecycle.on(command)
        entries[puuid]?.lifecycle = entry.lifecycle
        for action in actions {
            switch action {
            case .end:
                entries[puuid]?.run?.leave()
                _ = await entries[puuid]?.run?.ended()
            case .begin(_, from: .lastPosition) where before == .backfill: break  // The branch goes on by itself.
            case .begin: guard try await begin(puuid, into: &joining) else { return }
            case .handOver(let other):
                try await surroundings.state?.merge(pipeline: entry.request.name, into: try known(other).request.name)
            }
        }
        // One that was merged comes back as what it was, to be merged again.
        if case .merged = command { return }
        if let now = entries[puuid], now.lifecycle.state != before { try await keepRecord(now) }
    }

    /// Lets a pipeline begin once what it did before has ended. Returns false when something else was asked for meanwhile.
    func begin(_ puuid: PUUID, into joining: inout [Start]) async throws -> Bool {
        _ = await entries[puuid]?.run?.ended()
        guard let now = entries[puuid], now.lifecycle.work != nil else { return false }
        let start = try start(now)
        entries[puuid]?.run = start.run
        joining.append(start)
        return true
    }

    func join(_ starts: [Start]) {
        var left: [(hub: Hub, branch: Branch)] = []
        for start in starts {
            guard !isShuttingDown else {
                start.run.abandon()
                continue
            }
            events.continuation.yield(.carry(start.run))
            if case .lanes(let hub, let run) = start { left += run.branches.map { (hub, $0) } }
        }
        // Those of one network travel together.
        while let first = left.first {
            let own = left.filter { $0.hub === first.hub }.map(\.branch)
            left.removeAll { $0.hub === first.hub }
            first.hub.join(own)
        }
    }
}
