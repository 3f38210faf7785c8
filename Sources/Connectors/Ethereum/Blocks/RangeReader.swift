import SluiceCore

/// Reads a range of blocks with many requests in flight, and hands them on one by one, in order.
struct RangeReader: Sendable {
    let fetcher: BlockFetcher
    /// Bytes of JSON and rows that may be on their way at once.
    let memoryBudget: Int
    /// Blocks that may be on their way at once, however small they are.
    private let mostBlocks = 2048

    /// Reads until the range ends or `take` returns false; what is in flight then is abandoned.
    /// - Parameter finalized: blocks above it are at the tip, where nodes lag and branches change.
    func read(_ range: ClosedRange<UInt64>, finalized: UInt64, _ take: (DecodedBlock) async throws -> Bool) async throws {
        try await withThrowingTaskGroup(of: [DecodedBlock].self) { group in
            // Blocks that came before one that they must wait for.
            var waiting: [UInt64: DecodedBlock] = [:]
            var asked = range.lowerBound
            var next = range.lowerBound
            var inFlight = 0
            while next <= range.upperBound {
                while asked <= range.upperBound, inFlight == 0 || Int(asked - next) < window {
                    let last = min(range.upperBound, asked + UInt64(fetcher.blocksPerFetch - 1))
                    let part = asked...last
                    group.addTask { try await fetcher.fetch(part, atTip: part.upperBound > finalized) }
                    inFlight += 1
                    asked = last + 1
                }
                guard let blocks = try await group.next() else { break }
                inFlight -= 1
                for block in blocks { waiting[block.ref.number] = block }
                while let block = waiting.removeValue(forKey: next) {
                    guard try await take(block) else { return group.cancelAll() }
                    next += 1
                }
            }
        }
    }

    /// How many blocks may be asked for and not yet handed on: as many as fit the budget, as JSON and as rows (half as large).
    private var window: Int {
        min(mostBlocks, max(2 * fetcher.blocksPerFetch, Int(Double(memoryBudget) / (fetcher.bytesPerBlock * 1.5))))
    }
}
