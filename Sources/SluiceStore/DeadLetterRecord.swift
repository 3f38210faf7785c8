public import SluiceCore

/// A dead letter as the store keeps it.
public struct DeadLetterRecord: Sendable, Hashable {
    /// What has become of it.
    public enum State: String, Sendable, CaseIterable {
        /// It waits for somebody to look at it.
        case open
        /// Its rows have been loaded since.
        case replayed
        /// The operator does not want it any more. It stays dropped when the row fails again.
        case dropped
    }

    /// Names it in commands; never given to another one.
    public let id: Int64
    public let stream: StreamID
    /// As it failed the last time.
    public let letter: DeadLetter
    /// Microseconds since 1970.
    public let firstSeen: Int64
    /// Microseconds since 1970.
    public let lastSeen: Int64
    /// How often the row has failed.
    public let tries: UInt64
    public let state: State
    /// Microseconds since 1970 when somebody asked for a replay that has not been tried yet.
    public let replayWanted: Int64?

    public init(
        id: Int64, stream: StreamID, letter: DeadLetter, firstSeen: Int64, lastSeen: Int64, tries: UInt64, state: State,
        replayWanted: Int64? = nil
    ) {
        self.id = id
        self.stream = stream
        self.letter = letter
        self.firstSeen = firstSeen
        self.lastSeen = lastSeen
        self.tries = tries
        self.state = state
        self.replayWanted = replayWanted
    }
}

/// Which dead letters are meant; what is nil does not matter.
public struct DeadLetterFilter: Sendable, Hashable {
    public var pipeline: String?
    public var register: String?
    public var reason: String?
    public var state: DeadLetterRecord.State?
    /// Only those with a replay that was asked for and not tried yet.
    public var isReplayWanted: Bool

    public init(
        pipeline: String? = nil, register: String? = nil, reason: String? = nil, state: DeadLetterRecord.State? = nil,
        isReplayWanted: Bool = false
    ) {
        self.pipeline = pipeline
        self.register = register
        self.reason = reason
        self.state = state
        self.isReplayWanted = isReplayWanted
    }
}

/// How many dead letters of a pipeline have the same reason and state.
public struct DeadLetterCount: Sendable, Hashable {
    public let pipeline: String
    public let reason: String
    public let state: DeadLetterRecord.State
    public let count: Int

    public init(pipeline: String, reason: String, state: DeadLetterRecord.State, count: Int) {
        self.pipeline = pipeline
        self.reason = reason
        self.state = state
        self.count = count
    }
}
