public import SluiceCore

/// Works out which blocks must be read for which sinks, so that each of them ends up with every wanted block exactly once. Pure.
public struct CoveragePlan: Hashable, Sendable {
    /// Blocks to read in one go, and who needs them.
    public struct Phase: Hashable, Sendable {
        public let range: ClosedRange<UInt64>
        /// Indices of the sinks that lack these blocks.
        public let sinks: [Int]

        public init(range: ClosedRange<UInt64>, sinks: [Int]) {
            self.range = range
            self.sinks = sinks
        }
    }

    /// Bounded ranges, ascending.
    public let phases: [Phase]

    /// What one sink holds, and from where on it should.
    public struct Want: Hashable, Sendable {
        /// Segments in ascending order.
        public let coverage: [Segment]
        /// The first wanted block; nil: nothing is wanted before the head.
        public let from: UInt64?

        public init(coverage: [Segment], from: UInt64?) {
            self.coverage = coverage
            self.from = from
        }
    }

    /// - Parameter through: the last wanted block.
    public init(_ wants: [Want], through last: UInt64) {
        let gaps = wants.map { want in
            want.from.map { $0 <= last ? Self.gaps(in: want.coverage, from: $0, through: last) : [] } ?? []
        }
        // Cut wherever a gap of any sink begins or ends: between two cuts the set of those who lack the blocks is the same.
        let cuts = Set(gaps.flatMap { $0.flatMap { [$0.lowerBound, $0.upperBound == .max ? .max : $0.upperBound + 1] } }).sorted()
        var phases: [Phase] = []
        for (start, next) in zip(cuts, cuts.dropFirst()) {
            let sinks = gaps.indices.filter { index in gaps[index].contains { $0.contains(start) } }
            if !sinks.isEmpty { phases.append(Phase(range: start...(next - 1), sinks: sinks)) }
        }
        self.phases = phases
    }

    /// The blocks of a range that no segment holds.
    static func gaps(in segments: [Segment], from: UInt64, through last: UInt64) -> [ClosedRange<UInt64>] {
        var next = from
        var gaps: [ClosedRange<UInt64>] = []
        for segment in segments.sorted(by: { $0.first < $1.first }) where segment.last.number >= next {
            guard segment.first <= last else { break }
            if segment.first > next { gaps.append(next...(segment.first - 1)) }
            guard segment.last.number < last else { return gaps }
            next = segment.last.number + 1
        }
        if next <= last { gaps.append(next...last) }
        return gaps
    }
}
