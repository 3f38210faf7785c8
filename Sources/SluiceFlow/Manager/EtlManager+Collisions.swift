import SluiceCore
import SluiceTelemetry

// Pipelines that turn out to be the same.
extension EtlManager {
    /// Two live pipelines that do the same are one: the later one ends, its PID is taken off the list, what it shares and its sinks go
    /// to the first.
    func mergeIfPossible(_ puuid: PUUID) async throws {
        guard !isShuttingDown, let late = entries[puuid], late.leader == nil, late.followers.isEmpty, late.lifecycle.work == .live else {
            return
        }
        let first = sorted.first { other in
            other.puuid != puuid && other.puuid.pid == puuid.pid && other.fingerprint == late.fingerprint && other.leader == nil
                && other.lifecycle.work == .live
        }
        guard let first else { return }
        surroundings.log.info("merging pipelines that do the same", ["pipeline": "\(late.request.name)", "into": "\(first.request.name)"])
        try await perform(.merged(into: first.puuid), on: puuid)
        entries[puuid]?.leader = first.puuid
        entries[first.puuid]?.followers.append(puuid)
        try await restart(first.puuid)
    }

    /// Lets a pipeline go on with what it has to do now.
    func restart(_ puuid: PUUID) async throws {
        guard let entry = entries[puuid], entry.lifecycle.work != nil else { return }
        entry.run?.leave()
        var joining: [Start] = []
        _ = try await begin(puuid, into: &joining)
        join(joining)
    }

    /// What was merged is a pipeline of its own again: the one that did its work is gone.
    func separate(_ puuid: PUUID, into joining: inout [Start]) async throws {
        guard var entry = entries[puuid] else { return }
        entry.leader = nil
        entry.lifecycle = PipelineLifecycle(type: .live)
        entries[puuid] = entry
        try await keepState(entry.request)
        try await perform(.start(hasHistory: entry.request.hasHistory), on: puuid, into: &joining)
    }
}
