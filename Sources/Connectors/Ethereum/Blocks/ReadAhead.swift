/// How many blocks to ask for ahead of the one that is handed on next. Pure.
///
/// What is asked for ahead hides the upstream's latency and costs memory. So the window grows while blocks are waited for, and
/// shrinks while they wait: behind a slow sink or beside a fast node a few are enough, across an ocean it takes dozens.
struct ReadAhead: Sendable {
    /// Blocks that may be on their way.
    private(set) var window: Int
    private let least: Int
    private var forUpstream = Duration.zero
    private var forDownstream = Duration.zero
    private var handedOn = 0

    init(least: Int = 4) {
        self.least = least
        window = 2 * least
    }

    /// Notes one block handed on: how long it was waited for, and how long it took to get rid of it.
    /// - Parameter most: what fits the memory.
    mutating func note(waitedForUpstream upstream: Duration, waitedForDownstream downstream: Duration, most: Int) {
        forUpstream += upstream
        forDownstream += downstream
        handedOn += 1
        // A verdict once a window: its blocks were asked for under the same conditions.
        guard handedOn >= max(least, window / 2) else { return }
        if forUpstream > forDownstream * 2 {
            window *= 2
        } else if forDownstream > forUpstream * 4 {
            window -= max(1, window / 4)
        }
        window = max(least, min(window, most))
        forUpstream = .zero
        forDownstream = .zero
        handedOn = 0
    }
}
