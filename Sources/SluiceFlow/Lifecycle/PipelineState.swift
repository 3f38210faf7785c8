/// What a pipeline is doing, as everybody sees it.
public enum PipelineState: String, Sendable, CaseIterable {
    /// Reads in order from some height up to the newest block.
    case backfill
    /// Reads new blocks as they appear.
    case live
    /// Reads and processes nothing; may be resumed at any time.
    case paused
    /// Reads and processes nothing; must be restarted. A pipeline that never ran is stopped, too.
    case stopped
    /// Reads and processes nothing, because something failed; may be resumed at any time.
    case error
}

/// What a pipeline is doing while it works.
public enum PipelineWork: String, Sendable, CaseIterable {
    case backfill
    case live
}
