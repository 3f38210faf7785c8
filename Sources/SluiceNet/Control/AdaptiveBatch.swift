/// How many calls go into one request: grows while all is well, halves when the upstream says that it was too much, and aims
/// at a size of response.
public struct AdaptiveBatch: Sendable {
    public let maximum: Int
    private let targetBytes: Int
    private var size: Double
    /// The largest size that came back well.
    public private(set) var largestGood = 0
    /// The least size that was too much; growth stops below it, until it has held for long.
    private var tooLarge: Int?
    private var successesSinceSplit = 0
    private var bytesPerCall: Double?

    /// `maximum` 1: no batching.
    public init(initial: Int = 1, maximum: Int, targetBytes: Int = 4 << 20) {
        self.maximum = max(1, maximum)
        self.targetBytes = max(1, targetBytes)
        size = Double(min(self.maximum, max(1, initial)))
    }

    /// Calls for the next request.
    public var current: Int {
        var most = min(Int(size), maximum)
        if let bytesPerCall, bytesPerCall > 0 { most = min(most, Int(Double(targetBytes) / bytesPerCall)) }
        return max(1, most)
    }

    /// `calls` in one request brought `bytes` and were fine.
    public mutating func succeeded(calls: Int, bytes: Int) {
        guard calls > 0 else { return }
        largestGood = max(largestGood, calls)
        let each = Double(bytes) / Double(calls)
        // Rises at once, so that a run of large blocks does not overshoot; falls slowly.
        bytesPerCall = bytesPerCall.map { each > $0 ? each : $0 * 0.9 + each * 0.1 } ?? each
        successesSinceSplit += 1
        if successesSinceSplit >= 200 {
            // Long fine: what was too much once may have been one unlucky range.
            tooLarge = nil
            successesSinceSplit = 0
        }
        guard calls >= Int(size) else { return }
        let ceiling = Double(min(maximum, tooLarge.map { max(1, $0 - 1) } ?? maximum))
        size = min(max(size, 1) * (tooLarge == nil ? 2 : 1.1), max(ceiling, 1))
        // A tenth of a small number is no step.
        if tooLarge != nil, Int(size) == calls, Double(calls) < ceiling { size = Double(calls + 1) }
    }

    /// `calls` in one request were too much.
    public mutating func split(calls: Int) {
        successesSinceSplit = 0
        tooLarge = min(tooLarge ?? .max, max(2, calls))
        largestGood = min(largestGood, max(0, calls - 1))
        size = max(1, min(size, Double(calls) / 2).rounded(.down))
    }
}
