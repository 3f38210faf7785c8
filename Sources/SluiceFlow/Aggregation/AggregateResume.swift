import SluiceCore

/// Where an aggregator goes on, given what its sinks hold and which records of bundles are kept. Pure.
struct AggregateResume {
    /// The records that it goes on from; empty to begin with the first bundle.
    let chain: [BundleRecord]
    /// Where each stream must begin when there is no such record but there were bundles: behind the block at which it began then.
    let began: [Position?]
    /// Bundles that sinks must be rolled back to before, by the place of the sink.
    let rollbacks: [Int: Position]
    /// What each sink holds beyond the last record of `chain`.
    let ahead: [Ahead?]

    /// Bundles that a sink holds already.
    struct Ahead: Hashable {
        let through: BlockRef
        /// Their hashes, as far as they are known.
        let known: [UInt64: Hash32]
    }

    /// - Parameters:
    ///   - lasts: the last bundle that each sink holds.
    ///   - records: all that are kept, those of bundles that were undone among them.
    ///   - isRepeatable: whether bundles that are made again are the same.
    /// - Throws: `bundle_records` (class `data`): a sink holds a bundle without a record, or lacks bundles that cannot be made again.
    init(_ name: String, lasts: [BlockRef?], records: [BundleRecord], streams: Int, isRepeatable: Bool) throws(SluiceError) {
        var ends = lasts
        var chains: [[BundleRecord]] = []
        for last in lasts {
            guard let last else {
                chains.append([])
                continue
            }
            let chain = BundleRecord.chain(to: last, among: records)
            guard !chain.isEmpty else { throw .bundleUnknown(name, last) }
            chains.append(chain)
        }
        // Whoever is further is right until the streams say something else; what contradicts it is undone.
        var rollbacks: [Int: Position] = [:]
        let longest = chains.max { ($0.last?.number ?? 0) < ($1.last?.number ?? 0) } ?? []
        let standing = Set(longest.map(\.ref))
        for (sink, chain) in chains.enumerated() {
            guard let last = chain.last, !standing.contains(last.ref) else { continue }
            let common = chain.last { standing.contains($0.ref) }
            guard common != nil || chain[0].number == 1 else { throw .bundleUnknown(name, last.ref) }
            ends[sink] = common?.ref
            rollbacks[sink] = common?.ref ?? Position(number: 0, hash: .zero)
        }
        let isBehind = ends.contains { $0 == nil }
        if isBehind, let oldest = records.map(\.number).min(), oldest > 1, !isRepeatable { throw .bundlesGone(name, before: oldest) }
        let lowest = isBehind ? nil : ends.compactMap { $0 }.min { $0.number < $1.number }
        let kept = lowest.map { BundleRecord.chain(to: $0, among: records) } ?? []
        chain = kept
        let first = records.min { $0.number < $1.number }
        // All records of a pipeline say the same of where its streams began, as soon as these have.
        began = (0..<streams).map { stream in
            guard kept.isEmpty, first != nil else { return nil }
            return records.lazy.compactMap { $0.marks.indices.contains(stream) ? $0.marks[stream].began : nil }.first
        }
        self.rollbacks = rollbacks
        ahead = ends.map { end in
            guard let end, end.number > lowest?.number ?? 0 else { return nil }
            let beyond = BundleRecord.chain(to: end, among: records).filter { $0.number > lowest?.number ?? 0 }
            return Ahead(through: end, known: Dictionary(beyond.map { ($0.number, $0.hash) }, uniquingKeysWith: { $1 }))
        }
    }
}

extension SluiceError {
    fileprivate static func bundleUnknown(_ name: String, _ bundle: BlockRef) -> SluiceError {
        SluiceError(
            .bundleRecords, .data, "resuming \(name): a sink ends at bundle \(bundle), of which the state file has no record",
            mend: "use the state file that was used with this sink, or empty the sink's tables of the pipeline")
    }

    fileprivate static func bundlesGone(_ name: String, before number: UInt64) -> SluiceError {
        SluiceError(
            .bundleRecords, .data,
            "resuming \(name): a sink lacks the bundles before \(number), which cannot be made again as they were: they depended on what came first",
            mend: "give the new sink a pipeline of its own")
    }
}
