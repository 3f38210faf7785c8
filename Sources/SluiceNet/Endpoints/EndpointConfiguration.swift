/// One upstream and what is known about its limits.
public struct EndpointConfiguration: Sendable {
    public var url: String
    /// Sent with every request (keys, tokens).
    public var headers: [(name: String, value: String)]
    /// nil: found out from refusals.
    public var requestsPerSecond: Double?
    /// A second limit, in the provider's own units.
    public var computeUnitsPerSecond: Double?
    public var maxInFlight: Int
    /// Calls in one request; 1: no batching.
    public var maxBatch: Int
    /// True when the upstream counts a batch as one request; most count its calls.
    public var countsBatchOnce: Bool
    /// Size of response that batches aim at, in bytes.
    public var targetResponseBytes: Int

    public init(
        url: String, headers: [(name: String, value: String)] = [], requestsPerSecond: Double? = nil,
        computeUnitsPerSecond: Double? = nil, maxInFlight: Int = 64, maxBatch: Int = 1, countsBatchOnce: Bool = false,
        targetResponseBytes: Int = 4 << 20
    ) {
        self.url = url
        self.headers = headers
        self.requestsPerSecond = requestsPerSecond
        self.computeUnitsPerSecond = computeUnitsPerSecond
        self.maxInFlight = maxInFlight
        self.maxBatch = maxBatch
        self.countsBatchOnce = countsBatchOnce
        self.targetResponseBytes = targetResponseBytes
    }
}

/// Names an endpoint of a pool: its place in the configuration, which is also the order of failover.
public struct EndpointID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let index: Int
    public init(_ index: Int) { self.index = index }
    public static func < (a: Self, b: Self) -> Bool { a.index < b.index }
    public var description: String { "#\(index)" }
}
