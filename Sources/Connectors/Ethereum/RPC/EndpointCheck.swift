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
    private let node: EthereumNode
    /// Told where the network stands, as an endpoint of the right chain says.
    private let tips: TipMemory

    init(client: RPCClient, node: EthereumNode) {
        self.client = client
        tips = node.tips
        time = node.time
        log = node.log
        self.node = node
    }

    /// How long those that do not answer are waited for once there is one to work with.
    private let patience = Duration.milliseconds(500)

    /// Asks every endpoint that is not verified for its chain id. Returns when all answered or failed, or when one is verified and the
    /// others were given a moment: they are asked again later.
    /// - Throws: `wrong_chain` (class `config`) when no endpoint is left and at least one serves another chain; the last failure when none answers.
    func run() async throws {
        node.checkedAt.withLock { $0 = time.now() }
        let open = client.pool.snapshots.filter { !$0.isVerified && !$0.isQuarantined }
        guard !open.isEmpty else { return }
        var wrong: [String] = []
        var failure: (any Error)?
        await withTaskGroup(of: (EndpointSnapshot, Result<(chainID: UInt64, tip: ChainTip?), any Error>)?.self) { group in
            for endpoint in open { group.addTask { (endpoint, await self.ask(endpoint.id)) } }
            var left = open.count
            var isTimed = false
            func limit() {
                guard !isTimed, client.pool.snapshots.contains(where: \.isVerified) else { return }
                isTimed = true
                group.addTask {
                    try? await self.time.sleep(self.patience)
                    return nil
                }
            }
            limit()
            while left > 0, let answer = await group.next() {
                guard let (endpoint, result) = answer else { break }
                left -= 1
                switch result {
                case .success(let answer) where answer.chainID == client.network.chainID:
                    client.pool.verified(endpoint.id)
                    if let tip = answer.tip { tips.keep(tip, at: time.now()) }
                    limit()
                case .success(let other):
                    let reason = "serves chain \(other.chainID), not \(client.network.chainID)"
                    wrong.append("\(endpoint.url) \(reason)")
                    client.pool.quarantine(endpoint.id, reason)
                case .failure(let error):
                    failure = error
                    log.warning("endpoint does not answer", ["endpoint": "\(endpoint.url)", "error": "\(error)"])
                }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
        if client.pool.snapshots.contains(where: \.isVerified) { return }
        if failure == nil, !wrong.isEmpty {
            throw SluiceError(
                .wrongChain, .config, "network \(client.network.name): " + wrong.joined(separator: "; "),
                mend: "set the network's chain_id, or point its endpoints at the right chain")
        }
        if let failure { throw failure }
    }

    /// The same, at most twice a minute, for endpoints that were down when the run began; failures are only logged.
    func runSometimes() async {
        let due = node.checkedAt.withLock { last in last.map { time.now() - $0 > .seconds(30) } ?? true }
        if due { try? await run() }
    }

    /// The chain id, and in the same breath where the chain stands; that of another chain is nobody's business.
    private func ask(_ id: EndpointID) async -> Result<(chainID: UInt64, tip: ChainTip?), any Error> {
        do {
            var demand = Demand()
            demand.only = id
            let start = time.now()
            let answer = try await client.call([.chainID()] + ChainTip.calls, demand: demand) { reply throws -> (UInt64, ChainTip?) in
                guard case .value(let text) = reply.answers[0], let chain = Hex.quantity(text) else {
                    throw SluiceError(.malformedReply, .endpoint, "eth_chainId was not answered with a quantity")
                }
                let isOurs = chain == self.client.network.chainID
                return (chain, isOurs ? try ChainTip(reply.answers[1...], client: self.client, tips: self.tips, endpoint: id) : nil)
            }
            tips.note(latency: time.now() - start)
            return .success(answer)
        } catch {
            return .failure(error)
        }
    }
}
