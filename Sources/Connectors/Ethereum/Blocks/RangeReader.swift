import SluiceCore

/// Reads a range of blocks with many requests in flight, and hands them on one by one, in order.
struct RangeReader: Sendable {
    let fetcher: BlockFetcher
    /// Bytes of JSON and rows that may be on their way at once.
    let memoryBudget: Int
    let time: TimeSource
    /// Blocks that may be on their way at once, however small they are.
    private let mostBlocks = 4096

    init(fetcher: BlockFetcher, memoryBudget: Int, time: TimeSource) {
        self.fetcher = fetcher
        self.memoryBudget = memoryBudget
        self.time = time
    }

    /// Reads until the range ends or `take` returns false; what is in flight then is abandoned.
    /// - Parameter finalized: blocks above it are at the tip, where nodes lag and branches change.
    /// - Parameter latency: of the upstream, as far as it is known.
    func read(_ range: ClosedRange<UInt64>, finalized: UInt64, latency: Duration?, _ take: (DecodedBlock) async throws -> Bool) async throws {
        try await withThrowingTaskGroup(of: (blocks: [DecodedBlock], latency: Duration).self) { group in
            // Blocks that came before one that they must wait for.
            var waiting: [UInt64: DecodedBlock] = [:]
            var ahead = ReadAhead(latency: latency)
            var asked = range.lowerBound
            var next = range.lowerBound
            var inFlight = 0
            while next <= range.upperBound {
                let part = UInt64(fetcher.blocksPerFetch)
                while asked <= range.upperBound, inFlight == 0 || asked - next + part <= UInt64(max(ahead.window, 2 * Int(part))) {
                    let numbers = asked...min(range.upperBound, asked + part - 1)
                    group.addTask {
                        let start = time.now()
                        return (try await fetcher.fetch(numbers, atTip: numbers.upperBound > finalized), time.now() - start)
                    }
                    inFlight += 1
                    asked = numbers.upperBound + 1
                }
                guard let (blocks, latency) = try await group.next() else { break }
                inFlight -= 1
                ahead.fetched(in: latency)
                for block in blocks { waiting[block.ref.number] = block }
                while let block = waiting.removeValue(forKey: next) {
                    guard try await take(block) else { return group.cancelAll() }
                    ahead.handedOn(at: time.now(), most: mostAhead)
                    next += 1
                }
            }
        }
    }

    /// How many blocks fit the budget: their columns take about half of their JSON, and the JSON of some is there as well.
    private var mostAhead: Int { min(mostBlocks, Int(Double(memoryBudget) / (fetcher.bytesPerBlock * 0.6))) }
}
