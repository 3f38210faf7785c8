import SluiceCore

/// The hashes of the newest blocks that went by, by number. Pure.
///
/// Hashes lie side by side, and nothing of a span is kept: this is done for every batch.
struct RecentHashes: Sendable {
    /// Blocks one behind the other.
    private struct Run {
        var first: UInt64
        /// At least one.
        var hashes: [Hash32]

        /// The block behind them.
        var end: UInt64 { first + UInt64(hashes.count) }
    }

    /// In the order in which they came.
    private var runs: [Run] = []
    private(set) var count = 0

    /// More than any chain needs to be final.
    static let limit = 16_384

    mutating func append(_ block: BlockRef) {
        if let last = runs.indices.last, runs[last].end == block.number {
            runs[last].hashes.append(block.hash)
        } else {
            runs.append(Run(first: block.number, hashes: [block.hash]))
        }
        count += 1
        if count > Self.limit { drop(count - Self.limit / 2) }
    }

    mutating func append(_ span: Span) {
        for index in 0..<span.count { append(BlockRef(number: span.first + UInt64(index), hash: span.block(index).hash)) }
    }

    /// The hash of a block; of the one that came last, when there were several of that number. Nil when none did.
    func hash(_ number: UInt64) -> Hash32? {
        guard let run = runs.last(where: { $0.first <= number && number < $0.end }) else { return nil }
        return run.hashes[Int(number - run.first)]
    }

    /// Forgets blocks up to one.
    mutating func remove(through number: UInt64) { remove(0...number) }

    /// Forgets blocks by their numbers.
    mutating func remove(_ numbers: ClosedRange<UInt64>) {
        runs = runs.flatMap { run -> [Run] in
            guard numbers.overlaps(run.first...run.end - 1) else { return [run] }
            var parts: [Run] = []
            if run.first < numbers.lowerBound {
                parts.append(Run(first: run.first, hashes: Array(run.hashes.prefix(Int(numbers.lowerBound - run.first)))))
            }
            if numbers.upperBound < run.end - 1 {
                parts.append(Run(first: numbers.upperBound + 1, hashes: Array(run.hashes.suffix(Int(run.end - 1 - numbers.upperBound)))))
            }
            return parts
        }
        count = runs.reduce(0) { $0 + $1.hashes.count }
    }

    /// Forgets the oldest.
    private mutating func drop(_ excess: Int) {
        var left = excess
        while left > 0, let first = runs.first {
            if first.hashes.count <= left {
                left -= first.hashes.count
                runs.removeFirst()
            } else {
                runs[0].hashes.removeFirst(left)
                runs[0].first += UInt64(left)
                left = 0
            }
        }
        count -= excess
    }
}
