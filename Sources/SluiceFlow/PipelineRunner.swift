public import SluiceCore
public import SluiceTelemetry
import Synchronization

extension SluiceError.Code {
    /// A range asks for blocks that are not there yet.
    public static let beyondHead = SluiceError.Code("beyond_head")
}

/// A pipeline with everything it needs to run: what is asked for, where it comes from, where it goes.
public struct PipelineDefinition: Sendable {
    public let name: String
    public let chainID: UInt64
    public let registers: [Register]
    /// The first block; nil for the head.
    public let start: UInt64?

    public init(name: String, chainID: UInt64, registers: [Register], start: UInt64?) {
        self.name = name
        self.chainID = chainID
        self.registers = registers
        self.start = start
    }

    /// The tables that come out, each once.
    public var schemas: [Schema] {
        registers.flatMap(\.schemas).reduce(into: []) { all, schema in
            if !all.contains(where: { $0.name == schema.name }) { all.append(schema) }
        }
    }
}

/// Runs one pipeline: settles where its sinks stand, fills what they lack, then follows the network.
public struct PipelineRunner: Sendable {
    public let definition: PipelineDefinition
    public let progress: PipelineProgress
    private let oracle: any Oracle
    private let sinks: [(name: String, sink: any Sink)]
    private let stop: StopSignal
    private let time: TimeSource
    private let log: Log
    /// Bytes that may wait on one edge.
    private let edgeCapacity: Int

    public init(
        definition: PipelineDefinition, oracle: any Oracle, sinks: [(name: String, sink: any Sink)], progress: PipelineProgress,
        stop: StopSignal, time: TimeSource, log: Log, edgeCapacity: Int = 2 << 20
    ) {
        self.definition = definition
        self.oracle = oracle
        self.sinks = sinks
        self.progress = progress
        self.stop = stop
        self.time = time
        self.log = log
        self.edgeCapacity = edgeCapacity
    }

    /// Follows the network until it is told to stop, or until block `until` is in every sink. An upstream that fails is asked again, for
    /// ever: only what the operator must mend ends the run.
    public func follow(until: UInt64?) async throws {
        let opened = try await open()
        try await settle(opened)
        var coverage = try await self.coverage(opened)
        // "From the head" means the head of the first run: a later one goes on where the sink that is furthest behind ends.
        let held = coverage.compactMap { $0.map(\.last.number).max() }.min()
        let first = definition.start ?? held.map { $0 + 1 }
        while let first {
            // What the sinks lack of each other's blocks is filled before all of them go on together. That takes time, in which the
            // newest blocks may be orphaned: only when nothing is left to settle and to fill they all stand at the same block.
            let plan = CoveragePlan(coverage: coverage, from: first, through: nil)
            if plan.phases.isEmpty { break }
            guard try await fill(plan.phases, opened: opened, coverage: coverage) else { return }
            try await settle(opened)
            coverage = try await self.coverage(opened)
        }
        let end = coverage.flatMap { $0 }.map(\.last).max { $0.number < $1.number }
        let position = end.flatMap { end in first.map { end.number + 1 >= $0 } ?? true ? end : nil }
        if let until, let position, position.number >= until { return try await finish(opened) }
        let ended = try await phase(opened, atTip: true) { egress in
            try await followForever(from: position, until: until, into: egress)
        }
        if ended { try await finish(opened) }
    }

    /// Reads `range` into every sink that lacks it. Returns false when it was told to stop before the end.
    /// - Throws: `beyond_head` when the range ends behind the head; whatever an upstream or a sink fails with.
    public func backfill(_ range: ClosedRange<UInt64>) async throws -> Bool {
        // Opening the stores and asking the network have nothing to wait for in each other.
        async let opening = open()
        let head = try await oracle.head()
        progress.note(.head(head))
        guard range.upperBound <= head.latest else {
            throw SluiceError(
                .beyondHead, .config, "backfilling \(definition.name): block \(range.upperBound) is beyond the head \(head.latest)",
                mend: "end the range at \(head.latest) or before, or use sluice run to follow the head")
        }
        let opened = try await opening
        let coverage = try await self.coverage(opened)
        let plan = CoveragePlan(coverage: coverage, from: range.lowerBound, through: range.upperBound)
        guard try await fill(plan.phases, opened: opened, coverage: coverage) else { return false }
        try await finish(opened)
        return true
    }

    /// What `backfill` would read for a range: ranges that at least one sink lacks.
    public func missing(in range: ClosedRange<UInt64>) async throws -> [ClosedRange<UInt64>] {
        let opened = try await open()
        return CoveragePlan(coverage: try await coverage(opened), from: range.lowerBound, through: range.upperBound).phases.map(\.range)
    }

    // MARK: - Sinks

    private func open() async throws -> [OpenedSink] {
        let id = StreamID(pipeline: definition.name, chainID: definition.chainID)
        var opened: [OpenedSink] = []
        for (name, sink) in sinks {
            let stream = try await sink.open(id, tables: definition.schemas)
            opened.append(OpenedSink(name: name, stream: stream, holdsBack: sink.holdsBackToFinality))
        }
        return opened
    }

    /// Undoes what the network has orphaned of the newest blocks of each sink.
    private func settle(_ opened: [OpenedSink]) async throws {
        for sink in opened {
            guard let last = try await sink.last() else { continue }
            let settled = try await oracle.settle(last)
            guard settled != last else { continue }
            log.info(
                "undoing blocks that were orphaned meanwhile",
                ["sink": "\(sink.name)", "from": "\(last.number)", "to": "\(settled.number)"])
            _ = try await sink.rollback(to: settled)
            progress.note(.reorganisation(depth: Int(last.number - min(last.number, settled.number))))
        }
    }

    private func coverage(_ opened: [OpenedSink]) async throws -> [[Segment]] {
        var all: [[Segment]] = []
        for sink in opened {
            let segments = try await sink.stream.coverage()
            if let last = segments.last { progress.update { $0.durable[sink.name] = last.last } }
            // What waits for finality was taken already and is not asked for again.
            all.append(segments + sink.held.withLock { $0.segments })
        }
        return all
    }

    private func finish(_ opened: [OpenedSink]) async throws {
        for sink in opened {
            if let position = try await sink.stream.finish() { progress.update { $0.durable[sink.name] = position } }
            for segment in sink.held.withLock({ $0.segments }) {
                log.warning(
                    "blocks are not final yet and were held back",
                    ["sink": "\(sink.name)", "first": "\(segment.first)", "last": "\(segment.last.number)"])
            }
        }
    }

    // MARK: - Phases

    /// Returns false when it was told to stop before the end.
    private func fill(_ phases: [CoveragePlan.Phase], opened: [OpenedSink], coverage: [[Segment]]) async throws -> Bool {
        let ends = coverage.flatMap { $0 }.map(\.last)
        for (index, step) in phases.enumerated() {
            var before = ends.first { $0.number + 1 == step.range.lowerBound }
            if before == nil, index > 0, phases[index - 1].range.upperBound + 1 == step.range.lowerBound {
                before = progress.snapshot.emitted
            }
            let position = before
            let ended = try await phase(step.sinks.map { opened[$0] }, atTip: false) { egress in
                try await oracle.backfill(step.range, after: position, into: egress)
            }
            guard ended else { return false }
        }
        return true
    }

    /// One run of the oracle into some sinks: what was read lands in all of them before it ends, and the first error ends all.
    /// Returns false when it was told to stop.
    private func phase(
        _ opened: [OpenedSink], atTip: Bool, _ read: @escaping @Sendable (any Egress) async throws -> Void
    ) async throws -> Bool {
        let channels = opened.map { _ in BoundedChannel<Transit>(capacity: edgeCapacity, weigh: Self.weigh) }
        let stage = PipeStage(registers: definition.registers, channels: channels, progress: progress)
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            for (sink, channel) in zip(opened, channels) {
                let loop = SinkLoop(sink: sink, channel: channel, progress: progress, flushesWhenIdle: atTip)
                group.addTask {
                    do { try await loop.run() } catch {
                        // Whoever sends to this sink must not wait for it for ever.
                        for channel in channels { channel.fail(error) }
                        throw error
                    }
                    return true
                }
            }
            group.addTask {
                do {
                    let ended = try await stop.interrupting { try await read(stage) }
                    for channel in channels { channel.finish() }
                    return ended
                } catch {
                    for channel in channels { channel.fail(error) }
                    throw error
                }
            }
            var ended = true
            while let part = try await group.next() { ended = ended && part }
            return ended
        }
    }

    static func weigh(_ transit: Transit) -> Int {
        // What every element costs counts too: a slow sink must not gather millions of batches without rows.
        if case .batch(let batch) = transit { return 1024 + batch.span.count * MemoryLayout<BlockStamp>.stride + batch.byteCount }
        return 256
    }

    private func followForever(from position: Position?, until: UInt64?, into egress: any Egress) async throws {
        var position = position
        // What an earlier phase has sent on says nothing about this one.
        progress.update { $0.emitted = position }
        var pause = Duration.milliseconds(500)
        while true {
            let before = progress.snapshot.emitted
            do {
                try await oracle.live(from: position, start: definition.start, until: until, into: egress)
                return
            } catch let error as SluiceError where [.retry, .endpoint, .split].contains(error.class) {
                let reached = progress.snapshot.emitted
                if reached != before { pause = .milliseconds(500) }
                position = reached ?? position
                log.error(
                    "the upstream fails; trying again",
                    ["pipeline": "\(definition.name)", "error": "\(error.description)", "in": "\(pause)"])
                progress.update { $0.trouble = error.description }
                try await time.sleep(pause)
                pause = min(pause * 2, .seconds(30))
                progress.update { $0.trouble = nil }
            }
        }
    }
}
