import SluiceCore

/// Tells when the block that all others wait for is late enough to be asked for once more. Pure.
struct Straggler: Sendable {
    /// Moving average of the latencies of fetches that were not late themselves.
    private var usual: Double?
    /// The block that is waited for, since when, and how often it was asked for again.
    private var due: (number: UInt64, since: MonotonicTime, repeats: Int)?

    /// How long a block may be waited for: several times the usual, so that asking again stays rare.
    var patience: Duration { .seconds(max(0.5, min(5, 4 * (usual ?? 0.25)))) }

    /// Notes how long a fetch took.
    mutating func fetched(in latency: Duration) {
        let seconds = min(latency.seconds, 4 * (usual ?? latency.seconds))
        usual = usual.map { $0 + (seconds - $0) / 16 } ?? seconds
    }

    /// Asked once every `patience`: whether block `number`, which everything waits for, is to be asked for again.
    mutating func isLate(_ number: UInt64, at now: MonotonicTime) -> Bool {
        guard let due, due.number == number else {
            self.due = (number, now, 0)
            return false
        }
        // Each further time twice as patiently: an upstream that is slow altogether must not be buried.
        guard due.repeats < 4, (now - due.since).seconds >= patience.seconds * Double(1 << due.repeats) * 0.9 else { return false }
        self.due = (number, now, due.repeats + 1)
        return true
    }
}
