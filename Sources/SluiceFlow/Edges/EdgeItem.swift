import SluiceCore

/// A transit with what the edge must know of it at every step.
struct EdgeItem: Sendable {
    /// A control message (`rollback`, `finalized`) weighs as much: what every element costs counts too, and a slow reader must not gather
    /// millions of them.
    static let controlWeight = 256

    let transit: Transit
    /// Bytes of memory, about.
    let weight: Int
    /// One batch with its rows, or nothing.
    let tally: EdgeAccounts.Tally

    init(_ transit: Transit) {
        self.transit = transit
        weight = Self.weight(of: transit)
        if case .batch(let batch) = transit {
            tally = EdgeAccounts.Tally(batches: 1, rows: batch.rowCount)
        } else {
            tally = EdgeAccounts.Tally()
        }
    }

    /// Bytes of memory that a transit holds, about, with what every element costs.
    static func weight(of transit: Transit) -> Int {
        guard case .batch(let batch) = transit else { return controlWeight }
        return 1024 + batch.span.count * MemoryLayout<BlockStamp>.stride + batch.byteCount
    }
}
