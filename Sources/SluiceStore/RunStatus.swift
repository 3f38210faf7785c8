/// How a pipeline is doing, as another process may show it.
public struct RunStatus: Sendable, Hashable {
    public let pipeline: String
    public let chainID: UInt64
    /// `backfill`, `live`, `paused`, `stopped` or `error`; what the runtime calls it.
    public var state: String
    /// Why, when the state needs a reason.
    public var message: String?
    /// Last block of the chain that was seen.
    public var head: UInt64?
    /// Last block that cannot be undone.
    public var finalized: UInt64?
    /// Last block that is in every sink.
    public var position: UInt64?
    public var reorgs: UInt64
    /// Blocks undone by the deepest reorganisation.
    public var deepestReorg: UInt64
    /// Rows written since the start, by table.
    public var rows: [String: UInt64]
    /// Microseconds since 1970 when the run began.
    public var started: Int64
    /// Microseconds since 1970 of the last write; set by the store.
    public var updated: Int64

    public init(
        pipeline: String, chainID: UInt64, state: String, message: String? = nil, head: UInt64? = nil, finalized: UInt64? = nil,
        position: UInt64? = nil, reorgs: UInt64 = 0, deepestReorg: UInt64 = 0, rows: [String: UInt64] = [:], started: Int64 = 0,
        updated: Int64 = 0
    ) {
        self.pipeline = pipeline
        self.chainID = chainID
        self.state = state
        self.message = message
        self.head = head
        self.finalized = finalized
        self.position = position
        self.reorgs = reorgs
        self.deepestReorg = deepestReorg
        self.rows = rows
        self.started = started
        self.updated = updated
    }
}
