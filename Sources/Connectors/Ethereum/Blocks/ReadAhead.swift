import SluiceCore

/// How many blocks to ask for ahead of the one that is handed on next. Pure.
///
/// What is asked for ahead hides the upstream's latency and costs memory; the right number differs by two orders of magnitude
/// between a node beside us and one across an ocean. By Little's law it is the rate times the latency. The rate is what comes out at
/// the end, so a slow sink needs little read ahead; the latency is the least seen lately, because what lies above it is queueing that
/// a larger window only makes longer. Five times that product leaves room for latencies that vary, and for growth: where the
/// window is what limits the rate, the next one is larger. Of the first milliseconds twice is enough: a node beside us varies little.
struct ReadAhead: Sendable {
    /// Latency, in seconds, of a node beside us.
    private static let near = 0.002

    /// Blocks that may be on their way.
    private(set) var window: Int
    private let least: Int
    private var roundStart: MonotonicTime?
    private var roundBlocks = 0
    /// The round before: after a stall blocks come out in a burst, which says nothing without the stall.
    private var last = (blocks: 0, seconds: 0.0)
    /// The least latency of this span of fetches, and of the one before.
    private var floors = (now: Double.infinity, before: Double.infinity)
    private var fetches = 0

    /// - Parameters:
    ///   - least: the window never falls below it.
    ///   - latency: how long the upstream took to answer before; the first window is meant for a few hundred blocks a second.
    init(least: Int = 4, latency: Duration?) {
        self.least = least
        window = max(2 * least, min(64, Int((latency ?? .milliseconds(50)).seconds * 1000)))
    }

    /// Notes how long a fetch took, from the wish to the checked blocks.
    mutating func fetched(in latency: Duration) {
        floors.now = min(floors.now, latency.seconds)
        fetches += 1
        guard fetches >= 256 else { return }
        floors = (now: .infinity, before: floors.now)
        fetches = 0
    }

    /// Notes one block handed on.
    /// - Parameter most: what fits the memory.
    mutating func handedOn(at now: MonotonicTime, most: Int) {
        guard let start = roundStart else {
            // Until the first block comes nothing is known of the rate.
            roundStart = now
            return
        }
        roundBlocks += 1
        guard roundBlocks >= max(8, window / 2) else { return }
        let seconds = (now - start).seconds
        let floor = min(floors.now, floors.before)
        if seconds > 0, floor.isFinite {
            let rate = Double(last.blocks + roundBlocks) / (last.seconds + seconds)
            let covered = 5 * floor - 3 * min(floor, Self.near)
            window = max(least, min(least + Int(covered * rate), 2 * window, most))
        }
        last = (roundBlocks, seconds)
        roundStart = now
        roundBlocks = 0
    }
}
