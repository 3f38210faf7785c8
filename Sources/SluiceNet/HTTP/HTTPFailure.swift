/// A request that brought no whole response.
public struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What a request was doing.
    public enum Step: String, Sendable, Hashable {
        case resolve, connect, tls, send, firstByte, receive
    }

    /// Where it failed, or why.
    public enum Phase: Sendable, Hashable {
        case resolve, connect, tls, send
        /// The connection ended before a response began.
        case firstByte
        /// The response ended early or was malformed.
        case receive
        /// The body's content coding is unknown or broken.
        case decode
        /// The body is larger than the limit.
        case tooLarge
        /// A limit of time was reached in this step.
        case timeout(Step)
        /// The task was cancelled or the client shut down.
        case cancelled
        /// The request itself cannot be made (a malformed URL).
        case request
    }

    public let phase: Phase
    /// Lower case; holds no URL.
    public let message: String

    public init(_ phase: Phase, _ message: String) {
        self.phase = phase
        self.message = message
    }

    /// The phase in one word, for counters and logs.
    public var name: String {
        switch phase {
        case .timeout(let step): "timeout_\(step.rawValue)"
        default: "\(phase)"
        }
    }

    public var description: String { "\(name): \(message)" }
}
