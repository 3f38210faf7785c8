import SluiceCore
import SluiceStore

/// The records of one aggregator's bundles, in the state store.
struct StoredBundles: BundleRecords {
    let store: StateStore
    let pipeline: String
    /// The last bundle that every sink has made durable; 0 when there is none.
    let durable: @Sendable () -> UInt64

    /// All that are kept, those of bundles that were undone among them.
    static func load(_ pipeline: String, from store: StateStore) async throws -> [BundleRecord] {
        try await store.bundles(of: pipeline).map { kept in
            guard let record = BundleRecord(bytes: kept.record), record.ref == kept.block else {
                throw SluiceError(
                    .bundleRecords, .data, "resuming \(pipeline): the record of bundle \(kept.block) in the state file cannot be read",
                    mend: "it was written by another version; use that, or empty the sink's tables of the pipeline and remove it")
            }
            return record
        }
    }

    func remember(_ records: [BundleRecord]) async throws {
        try await store.save(records.map { StoredBundle(block: $0.ref, record: $0.bytes) }, of: pipeline)
    }

    func finalize(throughBundle number: UInt64) async throws {
        // Whoever is furthest behind goes on from its last bundle: that record stays.
        let floor = min(number, durable())
        if floor > 1 { try await store.pruneBundles(of: pipeline, through: floor - 1) }
    }
}
