public import SluiceCore
import Synchronization

/// Runs an aggregator: other parts of the graph send into its ingresses, one for each stream, and what the aggregator makes goes into
/// one egress, as batches of a chain of bundles with their rollbacks and finality.
///
/// A sender is suspended while its stream is too far ahead of what the policy waits for, counted in bytes. A stream that the policy waits
/// for is let in however much of it is there: a window that is larger than the limit is still made. And when nothing at
/// all has come for a while although a sender is suspended (one source may feed two streams, one by one), the limit yields by a batch.
/// When the streams that are waited for have ended, the rest of the others is let in, so that the run can end: streams of a bounded run
/// should end at about the same place.
public final class AggregateStage: Sendable {
    /// How much may wait, and for how long.
    public struct Limits: Hashable, Sendable {
        /// Bytes of a stream that may wait for the others.
        public var streamBytes: Int
        /// Bytes of a stream that may wait before that.
        public var edgeBytes: Int
        /// How long nothing may come while a sender is suspended.
        public var patience: Duration

        public init(streamBytes: Int = 64 << 20, edgeBytes: Int = 2 << 20, patience: Duration = .seconds(300)) {
            self.streamBytes = streamBytes
            self.edgeBytes = edgeBytes
            self.patience = patience
        }
    }

    /// One moment of it, for whoever watches.
    public struct Progress: Hashable, Sendable {
        /// The last bundle that was made.
        public var head: BlockRef
        public var counts = Synchronizer.Counts()
        /// Bytes of each stream that wait for the others.
        public var waitingBytes: [Int]
        /// How often a batch was let in beyond the limit of its stream, because the aggregator would have stood still without it.
        public var limitYields: UInt64 = 0
    }

    /// One for each stream. Each is sent to by one task at a time.
    public let ingresses: [AggregateIngress]
    /// Where each stream must be read from, exclusively; nil for where it begins.
    public let readFrom: [Position?]
    private let inbox: AggregateInbox
    private let loop: Mutex<AggregateLoop?>
    private let shared: Shared

    /// What the loop tells.
    final class Shared: Sendable {
        let progress: Mutex<Progress>
        init(_ progress: Progress) { self.progress = Mutex(progress) }
    }

    /// - Parameters:
    ///   - chainID: of the batches that come out.
    ///   - resuming: the records of the last final bundle that the store behind the egress holds, and of those behind it
    ///     (``BundleRecord/chain(to:among:)``).
    ///   - report: told what the aggregator says beside its tables.
    /// - Throws: an error of class `config` or `data`: the policy does not fit the streams, a table lacks `bundle_number` or `chain_id`,
    ///   the records are not those of this aggregator.
    public init(
        _ aggregator: any Aggregator, streams: Int, chainID: UInt64, into egress: any Egress, resuming: [BundleRecord] = [],
        records: (any BundleRecords)? = nil, limits: Limits = Limits(), time: TimeSource = .live,
        report: @escaping @Sendable (PipeReport) async throws -> Void = { _ in }
    ) throws(SluiceError) {
        for schema in aggregator.schemas { try schema.checkAggregated() }
        let synchronizer = try Synchronizer(policy: aggregator.policy, streams: streams, resuming: resuming)
        let inbox = AggregateInbox(streams: streams, capacity: limits.edgeBytes)
        self.inbox = inbox
        ingresses = (0..<streams).map { AggregateIngress(stream: $0, inbox: inbox) }
        readFrom = synchronizer.readFrom
        shared = Shared(Progress(head: synchronizer.head, waitingBytes: [Int](repeating: 0, count: streams)))
        loop = Mutex(
            AggregateLoop(
                synchronizer: synchronizer, aggregator: aggregator, chainID: chainID, egress: egress, records: records, limits: limits,
                time: time, report: report, streams: streams, inbox: inbox, shared: shared))
    }

    public var progress: Progress { shared.progress.withLock { $0 } }

    /// Works until all streams have ended; to be called once. What waits for blocks that will not come is left then: see ``progress``.
    /// - Throws: what the aggregator, the egress or the records throw, or the synchronizer's error. The senders see it, too.
    public func run() async throws {
        let loop = self.loop.withLock { loop in
            defer { loop = nil }
            return loop
        }
        guard var loop else { throw SluiceError(.init("aggregate_twice"), .fatal, "an aggregator was run twice") }
        do {
            try await loop.run()
            // Whoever sends behind the end of a stream must not wait for ever.
            inbox.fail(EdgeFinished())
        } catch {
            inbox.fail(error)
            throw error
        }
    }
}

extension Schema {
    /// - Throws: `aggregation_policy` (class `config`) when the rows of the table could not be undone, or told apart from others.
    func checkAggregated() throws(SluiceError) {
        let isNumbered = fields.contains { $0.name == "bundle_number" && $0.type == .int64 && !$0.nullable }
        guard isNumbered, index(of: "chain_id") != nil else {
            throw SluiceError(
                .aggregationPolicy, .config,
                "making the table \(name): what an aggregator makes needs the columns bundle_number (int64, never null) and chain_id")
        }
    }
}
