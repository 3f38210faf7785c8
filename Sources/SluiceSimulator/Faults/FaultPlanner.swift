import SluiceCore

/// Decides what happens to each request. Pure: the same seed and the same questions give the same answers.
struct FaultPlanner {
    private let options: FaultOptions
    var random: SeededRandom
    private var tokens: Double
    private var filledAt: MonotonicTime?

    init(_ options: FaultOptions) {
        self.options = options
        random = SeededRandom(seed: options.seed)
        tokens = max(1, options.requestsPerSecond ?? 1)
    }

    /// Whether the rate limit lets so many calls through. A batch larger than the bucket passes when the bucket is full.
    mutating func admits(calls: Int, now: MonotonicTime) -> Bool {
        guard let rate = options.requestsPerSecond else { return true }
        let capacity = max(1, rate)
        if let filledAt { tokens = min(capacity, tokens + rate * (now - filledAt).seconds) }
        filledAt = now
        guard tokens >= min(Double(calls), capacity) else { return false }
        tokens -= Double(calls)
        return true
    }

    /// The fault of one request, drawn once; a kind that cannot happen to it (`isPossible`) leaves it whole.
    mutating func fault(isPossible: (FaultKind) -> Bool) -> FaultKind? {
        guard !options.rates.isEmpty || options.faultRate > 0 else { return nil }
        var draw = Double.random(in: 0..<1, using: &random)
        for kind in FaultKind.allCases {
            let rate = options.rate(kind)
            if draw < rate { return isPossible(kind) ? kind : nil }
            draw -= rate
        }
        return nil
    }

    /// How long this answer takes.
    mutating func latency() -> Duration {
        guard options.latency > .zero || options.latencySpread > .zero else { return .zero }
        let spread = Double.random(in: -1...1, using: &random) * options.latencySpread.seconds
        return .seconds(max(0, options.latency.seconds + spread))
    }

    /// Breaks JSON text so that no parser can take it.
    mutating func malform(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count > 1 else { return [] }
        var bytes = bytes
        let start = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes.removeLast()
        case 1: bytes.removeSubrange(max(1, start)...)
        default:
            // `":` is only found behind a key, never inside the strings that are served here.
            let mark = (start..<bytes.count - 1).first { bytes[$0] == 0x22 && bytes[$0 + 1] == 0x3A }
            if let mark { bytes[mark + 1] = UInt8(ascii: ";") } else { bytes.removeLast() }
        }
        return bytes
    }
}
