public import SluiceCore

/// One entry of the store: a run of blocks that a sink holds for a pipeline.
public struct SegmentRecord: Sendable, Hashable {
    public let pipeline: String
    public let chainID: UInt64
    public let sink: String
    public let segment: Segment
    /// Microseconds since 1970 of the last change.
    public let updated: Int64

    public init(pipeline: String, chainID: UInt64, sink: String, segment: Segment, updated: Int64) {
        self.pipeline = pipeline
        self.chainID = chainID
        self.sink = sink
        self.segment = segment
        self.updated = updated
    }
}
