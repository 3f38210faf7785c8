extension SluiceError.Code {
    /// A batch does not fit what a store holds already.
    public static let sinkOrder = SluiceError.Code("sink_order")
}

/// The blocks that a store holds for one stream: segments in ascending order that neither overlap nor touch. Pure.
public struct Coverage: Hashable, Sendable {
    public private(set) var segments: [Segment]

    /// Takes segments in any order, which must not overlap; those that touch become one.
    public init(_ segments: [Segment] = []) {
        self.segments = segments.sorted { $0.first < $1.first }.reduce(into: []) { all, segment in
            if let below = all.last, below.last.number + 1 == segment.first {
                all[all.count - 1] = Segment(first: below.first, last: segment.last)
            } else {
                all.append(segment)
            }
        }
    }

    /// Adds the blocks of a span: the segment that ends where it begins grows, else there is a new one. When it ends where another
    /// begins, the two become one, so that a rollback to a block below takes off all that was built on it.
    /// - Throws: `sink_order` (class `fatal`) when blocks of it are there already, or when it does not descend from what it would extend.
    public mutating func append(_ span: Span, stream: StreamID) throws(SluiceError) {
        let behind = segments.firstIndex { $0.first >= span.first } ?? segments.endIndex
        if behind < segments.endIndex, segments[behind].first <= span.last.number { throw Self.overlap(span, segments[behind], stream) }
        var (first, last, end) = (span.first, span.last, behind)
        if behind > 0, case let before = segments[behind - 1], before.last.number + 1 >= span.first {
            guard before.last.number + 1 == span.first else { throw Self.overlap(span, before, stream) }
            guard before.last.hash == span.parentHash else {
                throw SluiceError(
                    .sinkOrder, .fatal,
                    "a batch of \(stream) begins at block \(span.first) behind \(span.parentHash), but the sink holds \(before.last)")
            }
            first = before.first
        }
        if end < segments.endIndex, segments[end].first == last.number + 1 {
            last = segments[end].last
            end += 1
        }
        segments.replaceSubrange((first == span.first ? behind : behind - 1)..<end, with: [Segment(first: first, last: last)])
    }

    /// Takes off what lies behind `position` in the segment that holds it, or that begins behind it. Returns the blocks taken off.
    public mutating func rollback(to position: Position) -> ClosedRange<UInt64>? {
        let found = segments.firstIndex { $0.first <= position.number + 1 && $0.last.number > position.number }
        guard let index = found else { return nil }
        let segment = segments[index]
        if segment.first > position.number {
            segments.remove(at: index)
        } else {
            segments[index] = Segment(first: segment.first, last: position)
        }
        return max(segment.first, position.number + 1)...segment.last.number
    }

    /// The segment that holds a block, or ends right before it.
    public func segment(at number: UInt64) -> Segment? {
        segments.first { $0.first <= number && number <= $0.last.number + 1 }
    }

    /// Whether a segment holds a block. Which one of that number only the last of a segment tells: another one there is an error.
    /// - Parameter place: whose coverage it is, for messages.
    /// - Throws: `block_not_held`, `block_differs` (class `data`).
    public func require(_ block: BlockRef, in place: String) throws(SluiceError) {
        guard let segment = segment(at: block.number), block.number <= segment.last.number else {
            throw SluiceError(
                .blockNotHeld, .data, "\(place) does not hold block \(block.number), so no rows can be added to it",
                mend: "its rows come with the block when that is read")
        }
        if segment.last.number == block.number, segment.last.hash != block.hash { throw Self.differs(block, in: place) }
    }

    /// Another block of that number is there.
    public static func differs(_ block: BlockRef, in place: String) -> SluiceError {
        SluiceError(
            .blockDiffers, .data, "\(place) holds another block \(block.number) than \(block.hash), so no rows can be added to it",
            mend: "sluice run undoes what was orphaned, and reads the block that took its place")
    }

    private static func overlap(_ span: Span, _ segment: Segment, _ stream: StreamID) -> SluiceError {
        SluiceError(
            .sinkOrder, .fatal,
            "a batch of \(stream) holds blocks \(span.first) to \(span.last.number), but the sink has \(segment.first) to \(segment.last.number) already"
        )
    }
}
