public import SluiceCore
import SluiceNet
import Synchronization

/// Reads blocks as ``GethBlockOracle`` does, and adds native balances: live, the balances at the newest block of each poll and at every
/// so many blocks; in a backfill, at every so many blocks and at the last one.
///
/// A balance is asked for by the hash of its block, and travels in the batch that holds the block. So positions, reorganisations and
/// what is final are those of the blocks; batches of blocks that are not sampled hold no rows. Where several pipelines ask, an address is
/// looked up once a block, and each row says whose it is. An empty set costs no calls, and positions move on.
public struct BalanceOracle: Oracle {
    private let blocks: GethBlockOracle
    private let fetcher: BalanceFetcher
    private let asks: [BalanceAsk]
    private let newest: NewestBlock

    /// - Parameter needs: what the registers downstream ask for; blocks and logs may be among it.
    public init(
        node: EthereumNode, needs: [Need], recent: any RecentBlocks, observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
    ) {
        let newest = NewestBlock()
        blocks = GethBlockOracle(node: node, needs: needs, recent: recent) { event in
            if case .head(let head) = event { newest.note(head.latest) }
            observe(event)
        }
        fetcher = BalanceFetcher(blocks.fetcher, time: node.time)
        asks = needs.filter { $0.table == BalanceTables.balances.name }.compactMap(\.sample).map(BalanceAsk.init)
        self.newest = newest
    }

    public func head() async throws -> ChainHead { try await blocks.head() }

    public func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        try await blocks.settle(position, finalized: finalized)
    }

    public func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        let last = range.upperBound
        let sampler = BalanceSampler(egress, fetcher: fetcher, asks: asks) {
            $0 == last
        } isNeeded: {
            $1.options.pruned == .fail
        }
        try await blocks.backfill(range, after: position, into: sampler)
    }

    public func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        let newest = newest
        // The state of the newest block must be there: an upstream that does not have it is of no use.
        let sampler = BalanceSampler(egress, fetcher: fetcher, asks: asks) {
            $0 == newest.number || $0 == until
        } isNeeded: { number, _ in
            number == newest.number
        }
        try await blocks.live(from: position, start: start, until: until, into: sampler)
    }
}

/// The newest block, as the last poll has told: told before its blocks come.
final class NewestBlock: Sendable {
    private let latest = Mutex<UInt64?>(nil)

    var number: UInt64? { latest.withLock { $0 } }

    func note(_ number: UInt64) { latest.withLock { $0 = number } }
}
