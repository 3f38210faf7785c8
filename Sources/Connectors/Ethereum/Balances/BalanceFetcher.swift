import SluiceChain
import SluiceCore
import SluiceFormats
import SluiceNet
import Synchronization

/// Asks for the balances of many addresses at one block: in requests as large as the endpoints take, several at a time, and again
/// elsewhere for what was not answered.
final class BalanceFetcher: Sendable {
    /// The answer for one address that was refused again and again.
    struct Refusal: Error {
        let message: String
    }

    /// What is known of a block's balances.
    enum Found: Sendable {
        /// In the order of the addresses.
        case balances([Result<UInt256, Refusal>])
        /// The chain has another block in its place by now.
        case orphaned
        /// No endpoint has its state; what one of them says.
        case pruned(String)
    }

    private let blocks: BlockFetcher
    private let time: TimeSource
    private var client: RPCClient { blocks.client }
    /// False once an upstream did not understand a block given by its hash.
    private let asksByHash = Atomic<Bool>(true)
    /// Times that one address is asked for while others are answered.
    private let patience = 3
    /// Requests under way at once, for one block.
    private let parallel = 8

    init(_ blocks: BlockFetcher, time: TimeSource) {
        self.blocks = blocks
        self.time = time
    }

    private func nothing(_ message: String, _ block: BlockRef) -> SluiceError {
        SluiceError(
            .rpcError, .retry, "reading balances of \(client.network.name) at block \(block.number): \(message)",
            mend: "see what the endpoint says, or add another")
    }

    /// The balances at a block. Throws what the pool throws when no endpoint answers.
    func fetch(_ addresses: [Address], at block: BlockRef) async throws -> Found {
        var round = BalanceRound(count: addresses.count)
        var failures = 0
        while !round.open.isEmpty {
            let byHash = asksByHash.load(ordering: .relaxed)
            let parts = try await ask(addresses, round, at: block, byHash: byHash)
            switch round.take(parts, patience: patience) {
            case .goesOn: continue
            case .hashNotUnderstood:
                guard byHash else { throw nothing("the endpoint does not understand what is asked for", block) }
                asksByHash.store(false, ordering: .relaxed)
            case .pruned:
                let known = client.pool.snapshots
                if known.contains(where: { $0.isVerified && !round.pruned.contains($0.id) }) { continue }
                let answer = known.lazy.compactMap { known in round.answers[known.id].map { "\(known.url) answers: \($0)" } }.first
                return .pruned(answer ?? "")
            case .unknownBlock:
                if try await isOrphaned(block) { return .orphaned }
                failures += 1
                guard failures < client.network.retry.attempts else {
                    throw SluiceError(
                        .blockMissing, .retry, "reading balances of \(client.network.name): no endpoint knows block \(block)",
                        mend: "wait, or add an endpoint that is in step")
                }
                try await time.sleep(.milliseconds(min(1000, 50 * failures)))
            case .nothing(let message): throw nothing(message, block)
            }
        }
        // By number alone the answers may be of another branch.
        if !asksByHash.load(ordering: .relaxed), try await isOrphaned(block) { return .orphaned }
        return .balances(round.outcomes.map { $0 ?? .failure(Refusal(message: "it was not answered")) })
    }

    private func isOrphaned(_ block: BlockRef) async throws -> Bool {
        guard let link = try await blocks.header(number: block.number, hash: nil) else { return false }
        return link.ref != block
    }

    // MARK: - Asking

    /// Asks once for everything that is open.
    private func ask(_ addresses: [Address], _ round: BalanceRound, at block: BlockRef, byHash: Bool) async throws -> [BalanceRound.Part] {
        let queue = OpenPlaces(round.open)
        let avoiding = round.avoiding(among: client.pool.snapshots.filter(\.isVerified).map(\.id))
        return try await withThrowingTaskGroup(of: [BalanceRound.Part].self) { group in
            for _ in 0..<min(parallel, round.open.count) {
                group.addTask {
                    var parts: [BalanceRound.Part] = []
                    // As many as the endpoints take now: that grows while they answer.
                    while case var left = queue.next(self.client.pool.suggestedBatch), !left.isEmpty {
                        while !left.isEmpty {
                            let calls = left.map {
                                byHash ? RPCCall.balance(addresses[$0], at: block.hash) : .balance(addresses[$0], at: block.number)
                            }
                            let part = try await self.request(calls, Array(left), height: block.number, avoiding: avoiding)
                            left = left.dropFirst(part.indices.count)
                            parts.append(part)
                        }
                    }
                    return parts
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// One request with as many of the calls as the endpoint takes.
    private func request(
        _ calls: [RPCCall], _ indices: [Int], height: UInt64, avoiding: Set<EndpointID>
    ) async throws -> BalanceRound.Part {
        let demand = Demand(
            calls: calls.count, units: calls.reduce(0) { $0 + $1.units }, minimumHeight: height, avoiding: avoiding)
        return try await client.splitting { canSplit in
            try await client.pool.withEndpoint(demand) { lease in
                canSplit = lease.calls > 1 && calls.count > 1
                let reply = try await client.exchange(calls, lease: lease)
                return try BalanceRound.Part(reply, calls: calls, indices: Array(indices.prefix(reply.answers.count)))
            }
        }
    }
}

/// Places of addresses that nobody has asked for yet.
private final class OpenPlaces: Sendable {
    private let places: Mutex<ArraySlice<Int>>

    init(_ places: [Int]) { self.places = Mutex(places[...]) }

    func next(_ count: Int) -> ArraySlice<Int> {
        places.withLock { places in
            defer { places = places.dropFirst(count) }
            return places.prefix(count)
        }
    }
}
