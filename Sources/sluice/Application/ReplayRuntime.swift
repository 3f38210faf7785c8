import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore

extension SluiceError.Code {
    /// Dead letters can be marked for replay, but not replayed.
    static let replayUnavailable = Self("replay_unavailable")
}

/// Where a replay of dead letters gets the runtime from that reads blocks again and loads rows.
enum ReplayRuntime {
    /// The one place where the replay of dead letters meets oracles, pipes and sinks: whatever `sluice dlq replay` does is driven by what
    /// this returns.
    static func open(
        _ stream: StreamID, _ configuration: SluiceConfiguration, _ store: StateStore
    ) async throws -> any DeadLetterReplay {
        throw SluiceError(
            .replayUnavailable, .fatal, "the dead letters of \(stream.pipeline) are marked, but this build cannot replay them yet",
            mend: "they stay open and marked; a backfill into an empty sink reads their blocks again")
    }
}
