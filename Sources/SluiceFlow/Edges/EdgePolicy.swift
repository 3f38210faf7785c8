/// What an edge does when its receiver is slower than its sender.
public enum EdgePolicy: String, Sendable, CaseIterable {
    /// The sender waits.
    case block
    /// What does not fit goes to disk; the sender goes on.
    case spill
    /// The newest rows are dropped, and counted.
    case dropNewest = "drop_newest"
}
