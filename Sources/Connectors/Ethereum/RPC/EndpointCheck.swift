import SluiceCore
import SluiceFormats
import SluiceNet
import SluiceTelemetry
import Synchronization

/// Sees to it that every endpoint serves the right chain before it is believed, and looks again at those that did not answer.
final class EndpointCheck: Sendable {
    private let client: RPCClient
    private let time: TimeSource
    private let log: Log
    private let lastTried = Mutex<MonotonicTime?>(nil)
    /// Told where the network stands, as an endpoint of the right chain says.
    private let tip: @Sendable (ChainTip) -> Void

    init(client: RPCClient, time: TimeSource, log: Log, tip: @escaping @Sendable (ChainTip) -> Void) {
        self.client = client
        self.tip = tip
        self.time = time
        self.log = log
    }

    /// Asks every endpoint that is not verified for its chain id. Returns when all answered or failed.
    /// - Throws: `wrong_chain` (class `config`) when no endpoint is left and at least one serves another chain; the last failure when none answers.
    func run() async throws {
        lastTried.withLock { $0 = time.now() }
        let open = client.pool.snapshots.filter { $0.state == "unverified" }
        guard !open.isEmpty else { return }
        var wrong: [String] = []
        var failure: (any Error)?
        await withTaskGroup(of: (EndpointSnapshot, Result<(chainID: UInt64, tip: ChainTip), any Error>).self) { group in
            for endpoint in open { group.addTask { (endpoint, await self.ask(endpoint.id)) } }
            for await (endpoint, result) in group {
                switch result {
                case .success(let answer) where answer.chainID == client.network.chainID:
                    client.pool.verified(endpoint.id)
                    tip(answer.tip)
                case .success(let other):
                    let reason = "serves chain \(other.chainID), not \(client.network.chainID)"
                    wrong.append("\(endpoint.url) \(reason)")
                    client.pool.quarantine(endpoint.id, reason)
                case .failure(let error):
                    failure = error
                    log.warning("endpoint does not answer", ["endpoint": "\(endpoint.url)", "error": "\(error)"])
                }
            }
        }
        try Task.checkCancellation()
        if client.pool.snapshots.contains(where: { $0.state == "verified" }) { return }
        if failure == nil, !wrong.isEmpty {
            throw SluiceError(
                .wrongChain, .config, "network \(client.network.name): " + wrong.joined(separator: "; "),
                mend: "set the network's chain_id, or point its endpoints at the right chain")
        }
        if let failure { throw failure }
    }

    /// The same, at most twice a minute, for endpoints that were down when the run began; failures are only logged.
    func runSometimes() async {
        let due = lastTried.withLock { last in last.map { time.now() - $0 > .seconds(30) } ?? true }
        if due { try? await run() }
    }

    /// The chain id, and in the same breath where the chain stands.
    private func ask(_ id: EndpointID) async -> Result<(chainID: UInt64, tip: ChainTip), any Error> {
        do {
            var demand = Demand()
            demand.only = id
            let answer = try await client.call([.chainID()] + ChainTip.calls, demand: demand) { reply throws -> (UInt64, ChainTip) in
                guard case .value(let text) = reply.answers[0], let chain = Hex.quantity(text) else {
                    throw SluiceError(.malformedReply, .endpoint, "eth_chainId was not answered with a quantity")
                }
                // What a wrong chain's head looks like is nobody's business.
                if chain != self.client.network.chainID { return (chain, ChainTip.unknown) }
                return (chain, try ChainTip(reply.answers[1...], client: self.client, endpoint: id))
            }
            return .success(answer)
        } catch {
            return .failure(error)
        }
    }
}
