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

    /// What a task of the reader ends with.
    private enum Arrival: Sendable {
        case blocks([DecodedBlock], latency: Duration)
        /// Time to look whether the next block is late.
        case tick
    }

    /// Reads until the range ends or `take` returns false; what is in flight then is abandoned.
    ///
    /// All blocks wait for the one that is due. When that one is late (a request that hangs, a body that trickles), it is asked for once
    /// more, and whichever answer comes first is taken.
    /// - Parameter finalized: blocks above it are at the tip, where nodes lag and branches change.
    /// - Parameter latency: of the upstream, as far as it is known.
    func read(_ range: ClosedRange<UInt64>, finalized: UInt64, latency: Duration?, _ take: (DecodedBlock) async throws -> Bool) async throws
    {
        try await withThrowingTaskGroup(of: Arrival.self) { group in
            // Blocks that came before one that they must wait for.
            var waiting: [UInt64: DecodedBlock] = [:]
            var ahead = ReadAhead(latency: latency)
            var straggler = Straggler()
            var asked = range.lowerBound
            var next = range.lowerBound
            var inFlight = 0
            var isTicking = false
            func ask(_ numbers: ClosedRange<UInt64>) {
                inFlight += 1
                group.addTask {
                    let start = time.now()
                    return .blocks(try await fetcher.fetch(numbers, atTip: numbers.upperBound > finalized), latency: time.now() - start)
                }
            }
            while next <= range.upperBound {
                let part = UInt64(fetcher.blocksPerFetch)
                while asked <= range.upperBound, inFlight == 0 || asked - next + part <= UInt64(max(ahead.window, 2 * Int(part))) {
                    let numbers = asked...min(range.upperBound, asked + part - 1)
                    ask(numbers)
                    asked = numbers.upperBound + 1
                }
                if !isTicking {
                    isTicking = true
                    let patience = straggler.patience
                    group.addTask {
                        try await time.sleep(patience)
                        return .tick
                    }
                }
                switch try await group.next() {
                case nil: return
                case .tick:
                    isTicking = false
                    if straggler.isLate(next, at: time.now()) { ask(next...min(range.upperBound, asked - 1, next + part - 1)) }
                case .blocks(let blocks, let latency):
                    inFlight -= 1
                    ahead.fetched(in: latency)
                    straggler.fetched(in: latency)
                    // The slower of two answers brings what was handed on long ago.
                    for block in blocks where block.ref.number >= next { waiting[block.ref.number] = block }
                }
                while let block = waiting.removeValue(forKey: next) {
                    guard try await take(block) else { return group.cancelAll() }
                    ahead.handedOn(at: time.now(), most: mostAhead)
                    next += 1
                }
            }
            group.cancelAll()
        }
    }

    /// How many blocks fit the budget: their columns take about half of their JSON, and the JSON of some is there as well.
    private var mostAhead: Int { min(mostBlocks, Int(Double(memoryBudget) / (fetcher.bytesPerBlock * 0.6))) }
}
