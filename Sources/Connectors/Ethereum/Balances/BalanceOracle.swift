public import SluiceCore
import SluiceNet
import Synchronization

/// Reads blocks as ``GethBlockOracle`` does, and adds native balances: live, the balances at the newest block of each poll and at every
/// so many blocks; in a backfill, at every so many blocks and at the last one.
///
/// A balance is asked for by the hash of its block, and travels in the batch that holds the block. So positions, reorganisations and
/// what is final are those of the blocks; batches of blocks that are not sampled hold no rows. The set of addresses is read at every
/// sample; an empty one costs no calls, and positions move on.
public struct BalanceOracle: Oracle {
    private let blocks: GethBlockOracle
    private let fetcher: BalanceFetcher
    private let source: BalanceSource
    private let options: BalanceOptions
    private let newest: NewestBlock

    /// - Parameters:
    ///   - needs: what the registers downstream ask for; blocks and logs may be among it.
    ///   - source: whose balances are wanted.
    public init(
        node: EthereumNode, needs: [Need] = EthereumRegisters.accountBalance.needs, recent: any RecentBlocks, source: BalanceSource,
        options: BalanceOptions = BalanceOptions(), observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
    ) {
        let newest = NewestBlock()
        blocks = GethBlockOracle(node: node, needs: needs, recent: recent) { event in
            if case .head(let head) = event { newest.note(head.latest) }
            observe(event)
        }
        fetcher = BalanceFetcher(blocks.fetcher, time: node.time)
        self.source = source
        self.options = options
        self.newest = newest
    }

    public func head() async throws -> ChainHead { try await blocks.head() }

    public func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        try await blocks.settle(position, finalized: finalized)
    }

    public func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        let (options, last) = (options, range.upperBound)
        let sampler = BalanceSampler(egress: egress, fetcher: fetcher, source: source, time: { _ in .history(options.pruned) }) {
            options.isOnGrid($0) || $0 == last
        }
        try await blocks.backfill(range, after: position, into: sampler)
    }

    public func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        let (options, newest) = (options, newest)
        let sampler = BalanceSampler(
            egress: egress, fetcher: fetcher, source: source, time: { $0 == newest.number ? .now : .history(.leaveOut) }
        ) { options.isOnGrid($0) || $0 == newest.number || $0 == until }
        try await blocks.live(from: position, start: start, until: until, into: sampler)
    }
}

/// The newest block, as the last poll has told: told before its blocks come.
final class NewestBlock: Sendable {
    private let latest = Mutex<UInt64?>(nil)

    var number: UInt64? { latest.withLock { $0 } }

    func note(_ number: UInt64) { latest.withLock { $0 = number } }
}
