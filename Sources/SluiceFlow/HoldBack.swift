public import SluiceCore

/// Keeps batches until they are final, for sinks that cannot undo. Pure: what comes out is handed on by the caller.
public struct HoldBack: Sendable {
    private var held: [Batch] = []
    private var finalized: UInt64?

    public init() {}

    /// Bytes held now.
    public var byteCount: Int { held.reduce(0) { $0 + $1.byteCount } }

    /// What waits: segments without a hole in them.
    public var segments: [Segment] {
        held.reduce(into: []) { segments, batch in
            if let last = segments.last, last.last.number + 1 == batch.span.first {
                segments[segments.count - 1] = Segment(first: last.first, last: batch.span.last)
            } else {
                segments.append(Segment(first: batch.span.first, last: batch.span.last))
            }
        }
    }

    /// Takes a batch; returns what is final already.
    public mutating func take(_ batch: Batch) -> [Batch] {
        held.append(batch)
        return release()
    }

    /// Notes finality; returns what became final. Finality never goes back.
    public mutating func finalize(through number: UInt64) -> [Batch] {
        finalized = max(finalized ?? 0, number)
        return release()
    }

    /// Drops what is orphaned. Returns false when `position` lies before everything held: the sink itself must undo then.
    public mutating func rollback(to position: Position) -> Bool {
        guard let oldest = held.first else { return false }
        guard position.number + 1 >= oldest.span.first else {
            held = []
            return false
        }
        held.removeAll { $0.span.first > position.number }
        if let last = held.last, last.span.last.number > position.number {
            held[held.count - 1] = last.through(block: position.number)
        }
        return true
    }

    /// Puts rows into a block that waits. Returns false when that very block does not.
    public mutating func amend(_ amendment: Amendment) -> Bool {
        for index in held.indices {
            guard let batch = held[index].amended(by: amendment) else { continue }
            held[index] = batch
            return true
        }
        return false
    }

    private mutating func release() -> [Batch] {
        guard let finalized else { return [] }
        let ready = held.prefix { $0.span.last.number <= finalized }
        held.removeFirst(ready.count)
        return Array(ready)
    }
}
