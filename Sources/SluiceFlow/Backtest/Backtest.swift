public import SluiceCore
public import SluiceTelemetry

/// A pipeline over a range of history, by itself: a hub of its own, the same components, and nothing that outlives it but what a sink of its
/// own is given. It reads and writes no state, so that it runs beside the live pipeline.
public struct Backtest: Sendable {
    /// What came out.
    public struct Outcome: Sendable {
        public let end: Branch.End
        /// Blocks that were read and not undone.
        public let blocks: UInt64
        /// By the table's name.
        public let tables: [String: TableDigest]
        public let components: [ComponentStatistics]
        /// The first of the dead letters.
        public let letters: [DeadLetter]
        /// All of them, by reason.
        public let letterCounts: [String: Int]
        public let seconds: Double
    }

    /// How far it is, for whoever watches.
    public let progress = PipelineProgress()
    private let definition: PipelineDefinition
    private let range: ClosedRange<UInt64>
    private let sink: (any Sink)?
    private let registry: Registry
    private let time: TimeSource
    private let log: Log
    private let identities: ComponentIdentities
    private let makeOracle: Hub.MakeOracle

    /// - Parameter sink: where the rows go; nil: they are counted and dropped.
    public init(
        _ definition: PipelineDefinition, range: ClosedRange<UInt64>, into sink: (any Sink)? = nil, registry: Registry, time: TimeSource,
        log: Log, identities: ComponentIdentities = .madeUp, makeOracle: @escaping Hub.MakeOracle
    ) {
        self.definition = definition
        self.range = range
        self.sink = sink
        self.registry = registry
        self.time = time
        self.log = log
        self.identities = identities
        self.makeOracle = makeOracle
    }

    /// Reads the range, or as much of it as there is until somebody wishes to stop.
    public func run(until stop: StopSignal) async -> Outcome {
        let began = time.now()
        let journal = MemoryJournal()
        let digests = DigestSink()
        let hub = Hub(
            Hub.Surroundings(registry: registry, journal: journal, time: time, log: log, identities: identities, makeOracle: makeOracle))
        var sinks = [SinkAttachment("digest", digests)]
        if let sink { sinks.append(SinkAttachment("file", sink)) }
        let branch = Branch(definition, goal: .range(range), sinks: sinks, progress: progress)
        let end = await withTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            group.addTask {
                await stop.wait()
                // A task that is cancelled at the end was not asked to stop.
                if stop.isRaised { branch.leave() }
            }
            hub.join([branch])
            let end = await branch.ended()
            hub.end()
            group.cancelAll()
            return end
        }
        return Outcome(
            end: end, blocks: digests.blockCount, tables: digests.tables, components: hub.history, letters: journal.letters,
            letterCounts: journal.counts, seconds: (time.now() - began).seconds)
    }
}
