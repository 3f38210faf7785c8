/// A moving average: counters over the last seconds. Pure; time comes in.
public struct RateWindow: Sendable {
    private var samples: [(at: Double, counts: [Double])] = []
    private let seconds: Double

    /// - Parameter seconds: how far back the average looks.
    public init(seconds: Double = 10) { self.seconds = seconds }

    /// Notes counters that only grow, at a time in seconds. A counter that went back (rows undone) starts the window anew.
    public mutating func add(_ counts: [Double], at time: Double) {
        if let last = samples.last, zip(counts, last.counts).contains(where: { $0 < $1 }) || last.counts.count != counts.count {
            samples = []
        }
        samples.append((time, counts))
        // One sample older than the window stays, so that the window is always covered.
        while samples.count > 2, samples[1].at <= time - seconds { samples.removeFirst() }
    }

    /// Of each counter, how much it grew a second; nil before there are two samples.
    public var rates: [Double]? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        return zip(last.counts, first.counts).map { ($0 - $1) / (last.at - first.at) }
    }
}
