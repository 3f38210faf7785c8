import SluiceCore

/// How long a sink that failed is left alone before it is tried again. Pure.
///
/// This is its circuit breaker: while it is open nothing is sent to the sink, and one attempt, which opens the sink and makes something
/// durable there, closes it.
struct SinkRetry: Sendable {
    private var pause: Duration?

    /// What passes by itself is tried soon, what somebody has to mend seldom.
    private static func range(_ error: SluiceError) -> ClosedRange<Duration>? {
        switch error.class {
        case .retry, .endpoint, .split: .milliseconds(500) ... .seconds(30)
        case .pause: .seconds(5) ... .seconds(60)
        case .deadLetter, .config, .data, .fatal: nil
        }
    }

    /// How long to wait after a failure; nil when trying again cannot mend it.
    /// - Parameter worked: something was made durable since the failure before.
    mutating func pause(after error: any Error, worked: Bool) -> Duration? {
        guard let error = error as? SluiceError, let range = Self.range(error) else { return nil }
        let next = worked ? range.lowerBound : pause.map { min(max($0 * 2, range.lowerBound), range.upperBound) } ?? range.lowerBound
        pause = next
        return next
    }
}
