/// What went along an edge, and where it is now. Taken in one moment, so that it always balances.
public struct EdgeAccounts: Hashable, Sendable {
    /// Batches and their rows.
    public struct Tally: Hashable, Sendable {
        public var batches: Int
        public var rows: Int

        public init(batches: Int = 0, rows: Int = 0) {
            self.batches = batches
            self.rows = rows
        }

        public static func + (a: Tally, b: Tally) -> Tally { Tally(batches: a.batches + b.batches, rows: a.rows + b.rows) }
        public static func += (a: inout Tally, b: Tally) { a = a + b }
        public static func -= (a: inout Tally, b: Tally) { a = Tally(batches: a.batches - b.batches, rows: a.rows - b.rows) }
    }

    /// What the edge took from its senders. A sender that is suspended, or was cancelled, has not sent yet.
    public internal(set) var sent = Tally()
    /// What the reader took.
    public internal(set) var received = Tally()
    /// What the policy dropped for want of room.
    public internal(set) var dropped = Tally()
    /// What waited when the edge failed. The next run reads it again.
    public internal(set) var abandoned = Tally()
    public internal(set) var inMemory = Tally()
    public internal(set) var onDisk = Tally()
    /// What was ever written to disk.
    public internal(set) var spilled = Tally()
    /// Weight of what waits in memory.
    public internal(set) var memoryBytes = 0
    /// Bytes of the files on disk, with what was read of them already.
    public internal(set) var diskBytes = 0
    /// Senders that are suspended now.
    public internal(set) var suspended = 0
    /// How often a sender was suspended, ever.
    public internal(set) var suspensions = 0

    public init() {}

    public var waiting: Tally { inMemory + onDisk }

    /// Whether everything that was sent is somewhere.
    public var isBalanced: Bool { sent == received + dropped + abandoned + waiting }
}
