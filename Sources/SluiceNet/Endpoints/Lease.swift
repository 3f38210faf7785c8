public import SluiceCore

/// The right to send one request to one endpoint.
public struct Lease: Sendable {
    public let endpoint: EndpointID
    public let url: String
    public let headers: [(name: String, value: String)]
    /// Most calls that may go into the request; never more than were asked for.
    public let calls: Int
    /// 1 for the first try of a demand.
    public let attempt: Int
    /// When it was granted.
    public let grantedAt: MonotonicTime
    let cost: Double
    let units: Double
    let inFlight: Int
}

/// Thrown by a request's body when the upstream refuses for its rate other than by status 429 (an error inside a 200).
public struct RateLimited: Error, Sendable, CustomStringConvertible {
    public let retryAfter: Duration?
    public let message: String
    public init(retryAfter: Duration? = nil, _ message: String) {
        self.retryAfter = retryAfter
        self.message = message
    }
    public var description: String { "refused for its rate: \(message)" }
}

/// What is known about an endpoint at one moment, for status pages and tests.
public struct EndpointSnapshot: Sendable {
    public let id: EndpointID
    /// The URL as it may be shown.
    public let url: String
    /// `verified`, `unverified`, `quarantined: <reason>`, `unauthorized`, `open` (its breaker).
    public let state: String
    /// Whether it was seen to serve the right chain, and not left for good since; `state` may hide that behind an open breaker.
    public let isVerified: Bool
    public let isQuarantined: Bool
    public let height: UInt64?
    public let inFlight: Int
    public let window: Int
    /// Requests (or calls, as the endpoint counts) a second; nil: no limit known.
    public let rate: Double?
    public let batch: Int
    /// Moving average, in seconds.
    public let latency: Double?
    public let requests: UInt64
    public let calls: UInt64
    public let throttled: UInt64
    public let failures: [String: UInt64]
    public let lastFailure: String?
}
