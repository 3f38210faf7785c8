import SluiceCore
public import SluiceFlow

/// One pipeline at one moment, with all that the live view, the plain lines, the summary and `status` show of it. Pure.
public struct PipelineReport: Sendable {
    /// What the pipeline is doing; the raw values are those of `RunStatus.state`.
    public enum State: String, Sendable {
        case starting, backfill, live, waiting, paused, stopped, done, error
    }

    /// A sink of the pipeline.
    public struct SinkReport: Sendable {
        public let name: String
        public let type: String
        public let delivery: String
        public let holdsBack: Bool
        public let durable: UInt64?

        public init(name: String, type: String, delivery: String, holdsBack: Bool, durable: UInt64?) {
            self.name = name
            self.type = type
            self.delivery = delivery
            self.holdsBack = holdsBack
            self.durable = durable
        }
    }

    public let name: String
    public let network: String
    public var state: State
    public let snapshot: PipelineProgress.Snapshot
    public let sinks: [SinkReport]
    /// The bounded job, if it is one.
    public let range: ClosedRange<UInt64>?
    public let blockSeconds: Double
    /// Seconds since 1970.
    public let now: Double
    /// Averages a second; nil when not known yet.
    public let blocksPerSecond: Double?
    public let rowsPerSecond: Double?
    public let bytesPerSecond: Double?
    /// Why it ended, when it ended badly.
    public let failure: String?

    public init(
        name: String, network: String, state: State, snapshot: PipelineProgress.Snapshot, sinks: [SinkReport], range: ClosedRange<UInt64>?,
        blockSeconds: Double, now: Double, rates: [Double]?, failure: String?
    ) {
        self.name = name
        self.network = network
        self.state = state
        self.snapshot = snapshot
        self.sinks = sinks
        self.range = range
        self.blockSeconds = blockSeconds
        self.now = now
        blocksPerSecond = rates?.first
        rowsPerSecond = rates.flatMap { $0.count > 1 ? $0[1] : nil }
        bytesPerSecond = rates.flatMap { $0.count > 2 ? $0[2] : nil }
        self.failure = failure
    }

    /// What a running pipeline is doing, by what it has reached.
    public static func runningState(_ snapshot: PipelineProgress.Snapshot, bounded: Bool) -> State {
        if snapshot.trouble != nil { return .waiting }
        guard let head = snapshot.head else { return .starting }
        if bounded { return .backfill }
        guard let position = snapshot.emitted?.number else { return .starting }
        return position + 3 >= head.latest ? .live : .backfill
    }

    /// Blocks between the head and what was sent on.
    public var lag: UInt64? {
        guard let head = snapshot.head?.latest, let position = snapshot.emitted?.number else { return nil }
        return head - min(head, position)
    }

    /// The same in seconds: by the age of the block where that is believable, else by the network's block time.
    public var lagSeconds: Double? {
        guard let lag else { return nil }
        let age = now - Double(snapshot.emittedTimestamp)
        // A simulated or recorded chain has times of its own.
        return snapshot.emittedTimestamp > 0 && age >= 0 && age < Double(lag + 20) * blockSeconds + 600 ? age : Double(lag) * blockSeconds
    }

    /// The last block that is in every sink that can have it.
    public var durable: UInt64? { sinks.allSatisfy { $0.durable != nil } ? sinks.compactMap(\.durable).min() : nil }

    public var rowCount: Int { snapshot.rows.values.reduce(0, +) }

    /// How far a bounded job is.
    public var bar: ProgressBar? {
        guard let range else { return nil }
        let total = range.upperBound - range.lowerBound + 1
        if state == .done { return ProgressBar(done: total, total: total) }
        // What was there already counts as done: the last block sent on says how far the job is.
        let reached = snapshot.emitted.map { $0.number < range.lowerBound ? 0 : $0.number - range.lowerBound + 1 } ?? 0
        return ProgressBar(done: reached, total: total)
    }
}
