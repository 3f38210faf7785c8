public import SluiceCore
import SluiceNet

extension SluiceError.Code {
    /// The upstream answered with a JSON-RPC error.
    public static let rpcError = SluiceError.Code("rpc_error")
    /// The upstream does not offer a method.
    public static let methodUnsupported = SluiceError.Code("method_unsupported")
    /// The upstream does not have a block that it should have.
    public static let blockMissing = SluiceError.Code("block_missing")
    /// The upstream has the block, but not the state of the accounts at it any more.
    public static let stateUnavailable = SluiceError.Code("state_unavailable")
    /// An endpoint serves another network.
    public static let wrongChain = SluiceError.Code("wrong_chain")
}

/// Reads the errors of providers: which mean "later", which "less", which "not here". The texts are those that geth, erigon, nethermind,
/// besu and the large providers use; what is unknown counts as a fault of the endpoint and is tried elsewhere.
enum RPCFault {
    private static let rate = [
        "rate limit", "ratelimit", "too many requests", "request limit", "per second", "throughput", "throttl", "capacity", "quota",
        "credits",
    ]
    private static let size = [
        "query returned more than", "more than 10000 results", "response size", "block range", "range is too", "too many blocks",
        "too large",
        "limited to", "query timeout", "log response size", "exceeds max results", "max results", "query exceeds",
        // A server without batches, or with smaller ones: asked for less at a time it may serve.
        "batch",
    ]
    private static let unsupported = [
        "method not found", "not supported", "does not exist/is not available", "not available", "unsupported", "unknown method",
    ]
    private static let missing = [
        "header not found", "header for hash not found", "block not found", "unknown block", "could not find block", "not yet available",
    ]
    private static let pruned = [
        "missing trie node", "historical state", "state is not available", "state not available", "state unavailable",
        "no state available", "state is pruned", "state already discarded", "old data not available", "archive", "pruned",
        "exceeds maximum proof window",
    ]

    /// The error to throw for an answer of an error object.
    /// - Parameter batch: how many calls the request held.
    static func error(_ call: RPCCall, code: Int, message: String, batch: Int = 1) -> any Error {
        let text = message.lowercased()
        func mentions(_ phrases: [String]) -> Bool { phrases.contains { text.contains($0) } }
        let shown = String(message.prefix(200))
        if batch > 1, text.contains("batch") { return SluiceError(.rpcError, .split, "\(call.method): \(shown) (\(code))") }
        if mentions(size) { return SluiceError(.rpcError, .split, "\(call.method): \(shown) (\(code))") }
        if code == 429 || code == -32005 || mentions(rate) { return RateLimited("\(call.method): \(shown) (\(code))") }
        if mentions(pruned) { return SluiceError(.stateUnavailable, .endpoint, "\(call.method): \(shown) (\(code))") }
        if code == -32601 || mentions(unsupported) {
            return SluiceError(.methodUnsupported, .endpoint, "\(call.method): \(shown) (\(code))")
        }
        if mentions(missing) { return SluiceError(.blockMissing, .endpoint, "\(call.method): \(shown) (\(code))") }
        return SluiceError(.rpcError, .endpoint, "\(call.method): \(shown) (\(code))")
    }
}
