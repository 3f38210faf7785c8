/// A run of blocks that a sink holds, as the process that runs the pipeline told it the last time.
public struct CoverageRecord: Sendable, Hashable {
    public let pipeline: String
    public let sink: String
    public let first: UInt64
    public let last: UInt64
    /// Microseconds since 1970 when a run that begins at `first` was told of first: since then the blocks before it are known to be missing.
    public let since: Int64
    /// Microseconds since 1970 when it was told.
    public let updated: Int64

    public init(pipeline: String, sink: String, first: UInt64, last: UInt64, since: Int64, updated: Int64) {
        self.pipeline = pipeline
        self.sink = sink
        self.first = first
        self.last = last
        self.since = since
        self.updated = updated
    }
}
