/// A run of blocks that a sink holds.
public struct HeldBlocks: Sendable, Hashable {
    public let first: UInt64
    public let last: UInt64
    /// Microseconds since 1970 when a run that begins here was known of first, when that is known.
    public let since: Int64?

    public init(first: UInt64, last: UInt64, since: Int64? = nil) {
        self.first = first
        self.last = last
        self.since = since
    }
}

/// What a sink holds of a pipeline, and how far it should be.
public struct SinkCoverage: Sendable, Hashable {
    public let sink: String
    /// In any order; they may touch or overlap.
    public let held: [HeldBlocks]
    /// The block up to which the sink can be asked for everything, such as the last final one when it takes only those; nil: the end.
    public let reach: UInt64?

    public init(sink: String, held: [HeldBlocks], reach: UInt64? = nil) {
        self.sink = sink
        self.held = held
        self.reach = reach
    }
}

/// Blocks that some sinks of a pipeline should hold and do not.
public struct Gap: Sendable, Hashable {
    /// Why blocks are missing.
    public enum Kind: String, Sendable {
        /// Later blocks are there: somebody has to fill it.
        case hole
        /// Nothing later is there: the sinks have not come as far.
        case ahead
    }

    public let first: UInt64
    public let last: UInt64
    public let kind: Kind
    /// The sinks that lack them, in the order in which they were given.
    public let sinks: [String]
    /// Microseconds since 1970 since when that is known, of the sink where it is known longest; nil when nobody knows.
    public let since: Int64?

    public init(first: UInt64, last: UInt64, kind: Kind, sinks: [String], since: Int64? = nil) {
        self.first = first
        self.last = last
        self.kind = kind
        self.sinks = sinks
        self.since = since
    }

    /// How many blocks.
    public var count: UInt64 { last - first + 1 }
}

extension Gap {
    /// The gaps of a pipeline, ascending; none of them overlaps another. Pure.
    /// - Parameters:
    ///   - start: the first wanted block; nil: the lowest that any sink holds.
    ///   - end: the last wanted block, or the head; nil: the highest that any sink holds.
    public static func list(start: UInt64?, end: UInt64?, sinks: [SinkCoverage]) -> [Gap] {
        let all = sinks.flatMap(\.held)
        guard let from = start ?? all.map(\.first).min(), let through = end ?? all.map(\.last).max(), from <= through else { return [] }
        let missing = sinks.map { pieces(of: $0, from: from, through: min(through, $0.reach ?? through)) }
        // Between two neighbouring cuts the same sinks lack the blocks, for the same reason.
        var cuts: Set<UInt64> = []
        for piece in missing.joined() {
            cuts.insert(piece.range.lowerBound)
            // Beyond the last block that there can be no piece begins.
            if piece.range.upperBound < .max { cuts.insert(piece.range.upperBound + 1) }
        }
        let sorted = cuts.sorted()
        var places = Array(repeating: 0, count: sinks.count)
        var gaps: [Gap] = []
        for (index, first) in sorted.enumerated() {
            let last = index + 1 < sorted.count ? sorted[index + 1] - 1 : .max
            var lacking: [(sink: String, piece: Piece)] = []
            for (sink, pieces) in missing.enumerated() {
                while places[sink] < pieces.count, pieces[places[sink]].range.upperBound < first { places[sink] += 1 }
                guard places[sink] < pieces.count, pieces[places[sink]].range.contains(first) else { continue }
                lacking.append((sinks[sink].sink, pieces[places[sink]]))
            }
            guard !lacking.isEmpty else { continue }
            // A hole in one sink is a hole, whatever the others still have ahead of them.
            gaps.append(
                Gap(
                    first: first, last: last, kind: lacking.contains { $0.piece.kind == .hole } ? .hole : .ahead,
                    sinks: lacking.map(\.sink),
                    since: lacking.compactMap(\.piece.since).min()))
        }
        return gaps
    }

    /// A run of blocks that one sink lacks.
    private struct Piece {
        let range: ClosedRange<UInt64>
        let kind: Kind
        let since: Int64?
    }

    private static func pieces(of sink: SinkCoverage, from: UInt64, through last: UInt64) -> [Piece] {
        guard from <= last else { return [] }
        var next = from
        var pieces: [Piece] = []
        for held in sink.held.sorted(by: { $0.first < $1.first }) where held.last >= next {
            if held.first > last {
                // It holds blocks behind the wanted ones, so that what is missing before them is a hole.
                pieces.append(Piece(range: next...last, kind: .hole, since: held.since))
                return pieces
            }
            if held.first > next { pieces.append(Piece(range: next...(held.first - 1), kind: .hole, since: held.since)) }
            guard held.last < last else { return pieces }
            next = held.last + 1
        }
        pieces.append(Piece(range: next...last, kind: .ahead, since: nil))
        return pieces
    }
}
