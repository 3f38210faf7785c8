public import SluiceCore

/// What moves a pipeline from one state to another: what its operator asks for, and what the runtime has to tell.
public enum PipelineCommand: Sendable {
    /// Begin for the first time.
    /// - Parameter hasHistory: whether there are blocks between where it starts and the newest one that it has to read first.
    case start(hasHistory: Bool)
    /// Read nothing more until resumed.
    case pause
    /// Go on from the last position.
    case resume
    /// End for good.
    case stop
    /// Begin again: where it starts, and what its stores lack, is looked up anew.
    /// - Parameter hasHistory: as for `start`.
    case restart(hasHistory: Bool)
    /// The runtime tells that all history is read.
    case backfillDone
    /// The runtime tells that something failed which the pipeline cannot go on without.
    case fail(SluiceError)
    /// The runtime tells that another pipeline does the same and takes over what this one shared.
    case merged(into: PUUID)

    /// The commands without what they carry.
    public enum Name: String, Sendable, CaseIterable {
        case start, pause, resume, stop, restart
        case backfillDone = "backfill_done"
        case fail, merged
    }

    public var name: Name {
        switch self {
        case .start: .start
        case .pause: .pause
        case .resume: .resume
        case .stop: .stop
        case .restart: .restart
        case .backfillDone: .backfillDone
        case .fail: .fail
        case .merged: .merged
        }
    }
}

/// What the runtime has to do because of a command, in order.
public enum PipelineAction: Hashable, Sendable {
    /// Where reading begins.
    public enum Origin: String, Sendable {
        /// Where the pipeline starts; what its stores hold already is not read again.
        case start
        /// Behind the last position that was reached.
        case lastPosition = "last_position"
    }

    /// Let the components read and process.
    case begin(PipelineWork, from: Origin)
    /// Let the components end in good order, all of them: what was read still lands.
    case end
    /// Give what the pipeline keeps in the shared state to another one, and take its PID off the manager's list.
    case handOver(to: PUUID)
}
