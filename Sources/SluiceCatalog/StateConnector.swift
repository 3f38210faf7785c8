public import SluiceConfig
public import SluiceCore
public import SluiceTelemetry

/// A store for the state that several processes share, as it can be named in a configuration, and how it is opened.
public struct StateConnector: Sendable {
    public let options: SharedStateOptions
    /// Connects, so that a wrong address or password shows at once.
    public let open: @Sendable (_ options: ConfigObject, _ time: TimeSource, _ log: Log) async throws -> OpenedState

    public init(
        _ options: SharedStateOptions,
        open: @escaping @Sendable (_ options: ConfigObject, _ time: TimeSource, _ log: Log) async throws -> OpenedState
    ) {
        self.options = options
        self.open = open
    }
}

/// The shared state of a process.
public struct OpenedState: Sendable {
    /// For those who change it: what cannot be done now is tried for a while.
    public let state: any SharedState
    /// For those who read it while they work and go on without when it is away.
    public let reader: any SharedState
    /// Where it is, as it may be shown.
    public let shown: String
    public let close: @Sendable () async -> Void

    public init(_ state: any SharedState, reader: any SharedState, shown: String, close: @escaping @Sendable () async -> Void) {
        self.state = state
        self.reader = reader
        self.shown = shown
        self.close = close
    }
}
