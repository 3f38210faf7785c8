public import SluiceCore

/// What an edge does with a batch for which it has no room.
public enum EdgePolicy: Sendable {
    /// Suspends the sender until there is room: the slowest reader sets the pace of all.
    case block
    /// Writes to disk what memory has no room for, in order, and goes on. The sender is suspended only when the space on disk is used
    /// up, or when the disk takes less than the sender gives.
    case spill(SpillSpace)
    /// Drops the batch, and counts it. What undoes or seals (`rollback`, `finalized`) always passes. The batch that passes next begins a
    /// new segment in the sink; the hole is filled like any other gap.
    case dropNewest

    /// As it is written in a configuration.
    public var name: String {
        switch self {
        case .block: "block"
        case .spill: "spill"
        case .dropNewest: "drop_newest"
        }
    }
}

/// A place on disk for what one edge cannot keep in memory.
///
/// It is no durable queue: what lies there belongs to one run. After a crash the upstream is read again from where the sink stands, so
/// that files of an earlier run are deleted when the edge opens, and each file when it was read.
public struct SpillSpace: Sendable, Hashable {
    /// A folder that belongs to this edge alone; made when it is not there. Its `.spill` files are deleted at the start.
    public let folder: String
    /// Bytes of files that may be there at a time.
    public let limit: Int
    /// Bytes after which a new file begins. Space is given back by whole files.
    public let segmentSize: Int

    /// Files hold a quarter of the limit at most, so that space comes back before all of it was read.
    public init(folder: String, limit: Int, segmentSize: Int = 16 << 20) {
        precondition(limit > 0 && segmentSize > 0, "a spill without room")
        self.folder = folder
        self.limit = limit
        self.segmentSize = max(1, min(segmentSize, limit / 4))
    }
}

extension SluiceError.Code {
    /// An edge cannot write to its folder any more.
    public static let spillUnavailable = SluiceError.Code("spill_unavailable")
    /// A spilled file does not hold what was written.
    public static let spillDamaged = SluiceError.Code("spill_damaged")
}

/// Something was sent into an edge that had been finished.
struct EdgeFinished: Error {}
