import SluiceCore
import SluiceFormats
import SluiceNet

/// Sends calls to whichever endpoint of a network can answer them.
struct RPCClient: Sendable {
    let network: EthereumNetwork
    let http: HTTPClient
    let pool: EndpointPool
    let decoder: BlockDecoder
    let observe: @Sendable (OracleEvent) -> Void

    /// What one request brought.
    struct Reply: Sendable {
        let answers: [JSONAnswer]
        let byteCount: Int
        let endpoint: EndpointID
    }

    /// Sends as many of the calls as the endpoint takes in one request, the first ones. Errors of single calls are left to the caller,
    /// unless all calls failed with the same kind: then that is thrown, so that the pool can act on it.
    func send(_ calls: [RPCCall], lease: Lease) async throws -> Reply {
        let reply = try await exchange(calls, lease: lease)
        var firstError: (any Error)?
        for (call, answer) in zip(calls, reply.answers) {
            guard case .error(let code, let message) = answer else { return reply }
            firstError = firstError ?? RPCFault.error(call, code: code, message: message)
        }
        if let firstError { throw firstError }
        return reply
    }

    /// The same, with all errors of calls left to the caller.
    func exchange(_ calls: [RPCCall], lease: Lease) async throws -> Reply {
        let sent = Array(calls.prefix(lease.calls))
        let response = try await http.send(
            HTTPRequest(
                method: "POST", url: lease.url, headers: [("Content-Type", "application/json")] + lease.headers,
                body: RPCCall.body(sent, firstID: 1), limits: network.limits)
        ).checked()
        observe(.received(bytes: response.body.count))
        ThreadPriority.standBack()
        let answers = try decoder.read(response.body, firstID: 1, calls: sent.map(\.reading))
        pool.note(calls: sent.count, bytes: response.body.count, for: lease)
        return Reply(answers: answers, byteCount: response.body.count, endpoint: lease.endpoint)
    }

    /// Sends one call, or a few that belong together, until it is answered; `take` reads the answers and may throw to have it tried elsewhere.
    func call<T>(_ calls: [RPCCall], demand: Demand? = nil, _ take: (Reply) throws -> T) async throws -> T {
        var demand = demand ?? Demand()
        demand.calls = calls.count
        demand.units = calls.reduce(0) { $0 + $1.units }
        return try await splitting { canSplit in
            try await pool.withEndpoint(demand) { lease in
                var answers: [JSONAnswer] = []
                var bytes = 0
                // An endpoint without batching gets the calls one by one under the same lease: there are never more than a few.
                var rest = calls[...]
                while !rest.isEmpty {
                    canSplit = lease.calls > 1 && rest.count > 1
                    let reply = try await send(Array(rest), lease: lease)
                    answers += reply.answers
                    bytes += reply.byteCount
                    rest = rest.dropFirst(reply.answers.count)
                }
                return try take(Reply(answers: answers, byteCount: bytes, endpoint: lease.endpoint))
            }
        }
    }

    /// Runs a request again as long as several of its calls at once were too much: the pool grants fewer each time, and in the end one.
    func splitting<T>(_ body: (_ canSplit: inout Bool) async throws -> T) async throws -> T {
        while true {
            var canSplit = false
            do { return try await body(&canSplit) } catch let error as SluiceError where error.class == .split && canSplit {}
        }
    }
}
