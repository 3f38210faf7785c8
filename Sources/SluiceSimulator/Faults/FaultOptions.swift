/// What can go wrong on purpose. Each raw value is its name in statistics and options.
public enum FaultKind: String, CaseIterable, Sendable {
    /// HTTP 429 without and with `Retry-After`.
    case tooManyRequests = "too_many_requests"
    case tooManyRequestsRetryAfter = "too_many_requests_retry_after"
    /// HTTP 500, 502 or 503.
    case serverError = "server_error"
    /// A JSON-RPC error object: -32000, -32005 or -32603.
    case rpcError = "rpc_error"
    /// `Content-Length` promises more than comes before the connection closes.
    case truncatedBody = "truncated_body"
    /// The connection is reset before any byte.
    case reset
    /// The body is no JSON: a byte changed or dropped, or the end missing.
    case malformedBody = "malformed_body"
    /// The request is never answered.
    case timeout
    /// The body comes a few bytes at a time.
    case trickle
    /// The answers of a batch in another order, one missing, one with the id of another.
    case batchReordered = "batch_reordered"
    case batchMissing = "batch_missing"
    case batchDuplicated = "batch_duplicated"
    /// A block close to the tip is not known yet.
    case nullAtTip = "null_at_tip"
    /// This request meets a node behind the balancer that is some blocks behind.
    case lagging
    /// Valid JSON, one tie field of the block set changed. Only by its own rate.
    case alteredBody = "altered_body"
    /// Another chain answers. Only by its own rate.
    case wrongChainID = "wrong_chain_id"
}

/// How often and how answers fail. All seeded: the same requests in the same order meet the same faults.
public struct FaultOptions: Sendable {
    public var seed: UInt64 = 1
    /// Share of the requests that meet a kind, 0...1.
    public var rates: [FaultKind: Double] = [:]
    /// A share that is spread evenly over the kinds in `spread`, on top of `rates`.
    public var faultRate = 0.0
    /// Without the kinds that are lies rather than failures, unless they are put in.
    public var spread = Set(FaultKind.allCases).subtracting([.alteredBody, .wrongChainID])
    /// Every answer takes this long, give or take the spread.
    public var latency: Duration = .zero
    public var latencySpread: Duration = .zero
    /// Calls a second above which 429 is answered; each call of a batch counts. Nil for no limit.
    public var requestsPerSecond: Double?
    /// Seconds that `Retry-After` names.
    public var retryAfterSeconds = 1
    /// The trickle: so many bytes at a time, this far apart.
    public var trickleBytes = 4096
    public var trickleInterval: Duration = .milliseconds(5)
    /// A lagging node is 1 to this many blocks behind.
    public var lagBlocks: UInt64 = 5
    /// So many blocks from the head can be null.
    public var tipBlocks: UInt64 = 2

    public init() {}

    /// The share of one kind.
    func rate(_ kind: FaultKind) -> Double {
        (rates[kind] ?? 0) + (spread.contains(kind) ? faultRate / Double(spread.count) : 0)
    }
}
