import SluiceCore
import Synchronization

/// Adds balances to the batches of one reading on their way.
final class BalanceSampler: Egress {
    /// What a sampled block is to the reading.
    enum Time: Sendable {
        /// The newest there is. Its state must be there: an upstream that does not have it is of no use.
        case now
        /// An older one.
        case history(BalanceOptions.Pruned)
    }

    private let egress: any Egress
    private let fetcher: BalanceFetcher
    private let source: BalanceSource
    private let time: @Sendable (UInt64) -> Time
    private let isSampled: @Sendable (UInt64) -> Bool
    /// Members that are no addresses and were reported: once, not at every sample.
    private let reported = Mutex<Set<[UInt8]>>([])

    init(
        egress: any Egress, fetcher: BalanceFetcher, source: BalanceSource, time: @escaping @Sendable (UInt64) -> Time,
        isSampled: @escaping @Sendable (UInt64) -> Bool
    ) {
        self.egress = egress
        self.fetcher = fetcher
        self.source = source
        self.time = time
        self.isSampled = isSampled
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
            guard isSampled(number) else { continue }
            try await sample(BlockRef(number: number, hash: stamp.hash), timestamp: stamp.timestamp, &rows)
        }
        try await egress.send(.batch(Batch(chainID: batch.chainID, span: batch.span, tables: batch.tables + [rows.finish()])))
    }

    private func sample(_ block: BlockRef, timestamp: UInt64, _ rows: inout BalanceRows) async throws {
        let (addresses, malformed) = try await source.addresses()
        for member in news(of: malformed) { rows.append(.malformed(member), block: block, timestamp: timestamp) }
        guard !addresses.isEmpty else { return }
        switch try await fetcher.fetch(addresses, at: block) {
        case .orphaned: rows.append(.orphaned(block), block: block, timestamp: timestamp)
        case .pruned:
            guard case .history(.leaveOut) = time(block.number) else { throw fetcher.prunedError(block) }
            rows.append(.pruned(block, addresses: addresses.count), block: block, timestamp: timestamp)
        case .balances(let outcomes):
            for (address, outcome) in zip(addresses, outcomes) {
                switch outcome {
                case .success(let balance): rows.append(address, balance, block: block, timestamp: timestamp)
                case .failure(let refusal): rows.append(.refused(address, refusal.message), block: block, timestamp: timestamp)
                }
            }
        }
    }

    /// Those that were not reported yet; one that left and came again is reported again.
    private func news(of malformed: [String]) -> [String] {
        reported.withLock { reported in
            let new = malformed.filter { !reported.contains(Array($0.utf8)) }
            reported = Set(malformed.map { Array($0.utf8) })
            return new
        }
    }
}
