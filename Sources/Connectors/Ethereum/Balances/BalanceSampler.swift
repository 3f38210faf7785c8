import SluiceChain
import SluiceCore
import Synchronization

/// Adds balances to the batches of one reading on their way: at each block those that anybody asks for there, in one go.
final class BalanceSampler: Egress {
    private let egress: any Egress
    private let fetcher: BalanceFetcher
    private let asks: [BalanceAsk]
    private let isSampledForAll: @Sendable (UInt64) -> Bool
    private let isNeeded: @Sendable (UInt64, BalanceAsk) -> Bool
    /// Members that are no addresses and were reported: once, not at every sample.
    private let reported = Mutex<Set<Reported>>([])

    private struct Reported: Hashable {
        let pipeline: String
        let member: [UInt8]
    }

    /// - Parameters:
    ///   - isSampledForAll: blocks that are sampled besides those that each asks for.
    ///   - isNeeded: whether a pipeline cannot go on without the state of a block.
    init(
        _ egress: any Egress, fetcher: BalanceFetcher, asks: [BalanceAsk], isSampledForAll: @escaping @Sendable (UInt64) -> Bool,
        isNeeded: @escaping @Sendable (UInt64, BalanceAsk) -> Bool
    ) {
        self.egress = egress
        self.fetcher = fetcher
        self.asks = asks
        self.isSampledForAll = isSampledForAll
        self.isNeeded = isNeeded
    }

    func send(_ transit: Transit) async throws {
        guard case .batch(let batch) = transit else {
            // What was reported with blocks that are undone is undone with them.
            if case .rollback = transit { reported.withLock { $0 = [] } }
            return try await egress.send(transit)
        }
        var rows = BalanceRows(chainID: batch.chainID)
        for (index, stamp) in batch.span.blocks.enumerated() {
            let number = batch.span.first + UInt64(index)
            let isForAll = isSampledForAll(number)
            let asking = asks.filter { isForAll || $0.options.isOnGrid(number) }
            rows.block = BlockRef(number: number, hash: stamp.hash)
            rows.timestamp = stamp.timestamp
            try await sample(asking, &rows)
        }
        try await egress.send(.batch(Batch(chainID: batch.chainID, span: batch.span, tables: batch.tables + [rows.finish()])))
    }

    private func sample(_ asking: [BalanceAsk], _ rows: inout BalanceRows) async throws {
        for ask in asking { for member in news(of: ask) { rows.append(.malformed(member), for: ask.pipeline) } }
        let addresses = asking.addresses
        guard !addresses.isEmpty else { return }
        let block = rows.block
        let found = try await fetcher.fetch(addresses, at: block)
        var outcomes: [Address: Result<UInt256, BalanceFetcher.Refusal>] = [:]
        if case .balances(let list) = found { outcomes = Dictionary(zip(addresses, list), uniquingKeysWith: { first, _ in first }) }
        for ask in asking where !ask.addresses.isEmpty {
            switch found {
            case .orphaned: rows.append(.orphaned(block), for: ask.pipeline)
            case .pruned(let answer):
                let isNeeded = isNeeded(block.number, ask)
                rows.append(.pruned(block, addresses: ask.addresses.count, answer: answer, isNeeded: isNeeded), for: ask.pipeline)
            case .balances:
                for address in ask.addresses {
                    switch outcomes[address] {
                    case .success(let balance)?: rows.append(address, balance, for: ask.pipeline)
                    case .failure(let refusal)?: rows.append(.refused(address, refusal.message), for: ask.pipeline)
                    case nil: break
                    }
                }
            }
        }
    }

    /// Those that were not reported yet.
    private func news(of ask: BalanceAsk) -> [String] {
        guard !ask.malformed.isEmpty else { return [] }
        return reported.withLock { reported in
            ask.malformed.filter { reported.insert(Reported(pipeline: ask.pipeline, member: Array($0.utf8))).inserted }
        }
    }
}
