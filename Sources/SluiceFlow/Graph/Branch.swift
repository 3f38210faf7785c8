public import SluiceCore
import Synchronization

/// One pipeline as the runtime carries it: what it asks for, where its rows go, and how it ended.
///
/// A branch hangs from a graph that reads its network; several branches share one. It belongs to one run: a pipeline that is
/// resumed is a new branch over the same sinks.
public final class Branch: Sendable {
    /// How far it reads.
    public enum Goal: Sendable, Hashable {
        /// Everything from the pipeline's start on, then whatever comes; up to a last block when there is one.
        case follow(until: UInt64?)
        /// What its sinks lack of a range.
        case range(ClosedRange<UInt64>)
    }

    /// What happens to it, for whoever manages it.
    public enum Event: Sendable {
        /// Its sinks are open.
        case opened
        /// It reads what lies behind it.
        case backfilling
        /// It follows the head.
        case live
        /// A component that it uses, an oracle among them, does something else than before.
        case component(ActivityChange)
        case ended(End)
    }

    /// How it ended.
    public enum End: Sendable {
        /// All that it should read is in every sink.
        case completed
        /// It was asked to leave: what was read is in the sinks.
        case left
        case failed(any Error)
    }

    private struct State {
        var opened: [OpenedSink] = []
        var graph: ComponentGraph?
        var edges: [GraphEdge] = []
        var hasSinkFailed = false
    }

    public let definition: PipelineDefinition
    public let goal: Goal
    public let progress: PipelineProgress
    /// The definition as the shared state has it.
    let told: ToldPipeline
    let sinks: [SinkAttachment]
    private let notify: @Sendable (Event) -> Void
    /// The branches of the same pipeline, when it has several.
    private let board: LaneBoard?
    private let state = Mutex(State())
    private let watch = RunWatch()

    /// - Parameter notify: told what happens, in order; it must not block.
    public convenience init(
        _ definition: PipelineDefinition, goal: Goal, sinks: [SinkAttachment], progress: PipelineProgress,
        notify: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.init(definition, goal: goal, sinks: sinks, progress: progress, board: nil, notify: notify)
    }

    init(
        _ definition: PipelineDefinition, goal: Goal, sinks: [SinkAttachment], progress: PipelineProgress, board: LaneBoard?,
        notify: @escaping @Sendable (Event) -> Void
    ) {
        self.board = board
        self.definition = definition
        told = ToldPipeline(definition)
        self.goal = goal
        self.sinks = sinks
        self.progress = progress
        self.notify = notify
    }

    /// Returns when it has ended.
    public func ended() async -> End { await watch.ended() }

    /// Returns when its sinks are open. Throws what it failed with before that.
    public func openedOrFailed() async throws { try await watch.openedOrFailed() }

    /// Asks it to end in good order: what was read still lands. Returns at once; see `ended`.
    public func leave() {
        watch.leave()
        state.withLock { $0.graph }?.remove(self)
    }

    // MARK: - For the runtime

    var name: String { definition.name }
    var stream: StreamID { StreamID(pipeline: definition.name, chainID: definition.chainID) }
    var isLeaving: Bool { watch.isLeaving }
    /// Whether it still wants to be read for.
    var isActive: Bool { watch.isActive }
    /// The block behind which the letters of its blocks are of no use any more, when some of its sinks are undone to a position: others may hold
    /// blocks there that were not orphaned.
    func boundary(of position: Position, undoing sinks: [OpenedSink]) -> Position {
        known.filter { sink in !sinks.contains { $0 === sink } }.compactMap(\.highest).filter { $0.number > position.number }
            .max { $0.number < $1.number } ?? position
    }

    /// Whether it has ended, and nothing is done for it any more.
    var isOver: Bool { watch.isOver }
    var opened: [OpenedSink] { state.withLock { $0.opened } }
    var until: UInt64? { if case .follow(let until) = goal { until } else { nil } }
    /// The first block that it wants whatever its sinks hold; nil: from wherever they end.
    var start: UInt64? {
        switch goal {
        case .follow: definition.start
        case .range(let range): range.lowerBound
        }
    }

    /// The branches of its pipeline, itself among them, in the order of their sinks.
    var all: [Branch] { board?.branches ?? [self] }
    /// The sinks of its pipeline, as far as they were ever open.
    var known: [OpenedSink] { board?.sinks ?? opened }
    /// Where the newest blocks begin that a sink of its pipeline holds or was given; nil: none has anything.
    var begin: UInt64? { board?.begin ?? opened.compactMap(\.begin).min() }
    /// Whether it was one of its sinks that failed.
    var hasSinkFailed: Bool { state.withLock { $0.hasSinkFailed } }

    /// Does something with one of its sinks; when that fails, it is known whose fault it was (`hasSinkFailed`).
    func using<R>(_ body: () async throws -> R) async throws -> R {
        do { return try await body() } catch {
            if !(error is CancellationError) { state.withLock { $0.hasSinkFailed = true } }
            throw error
        }
    }

    /// What feeds it now, and along which edges.
    var feed: (graph: ComponentGraph?, edges: [GraphEdge]) { state.withLock { ($0.graph, $0.edges) } }

    func tell(_ event: Event) { notify(event) }

    /// Opens its sinks.
    func open(_ surroundings: Hub.Surroundings) async throws {
        let refused = RefusedRows(
            journal: surroundings.journal, stream: stream, registers: RefusedRows.registers(definition.registers), log: surroundings.log)
        let opened = try await using {
            try await sinks.opened(for: stream, tables: definition.schemas, recent: surroundings.recent, refused: refused)
        }
        state.withLock { $0.opened = opened }
        notify(.opened)
        watch.open()
    }

    /// Notes the graph that feeds it now, and along which edges. Returns false when it was asked to leave meanwhile.
    func attach(to graph: ComponentGraph?, edges: [GraphEdge] = []) -> Bool {
        state.withLock { state in
            state.graph = graph
            state.edges = edges
        }
        return watch.isActive
    }

    /// Notes its end; the first one counts.
    func end(_ end: End) {
        watch.end(end) {
            state.withLock { $0.graph = nil }
            notify(.ended(end))
        }
    }
}

/// A sink as a pipeline uses it.
public struct SinkAttachment: Sendable {
    public let name: String
    public let sink: any Sink
    /// What happens when it is slower than what comes.
    public let policy: EdgePolicy
    /// Whose rows the sink takes them for; nil: the pipeline's own.
    public let stream: StreamID?

    public init(_ name: String, _ sink: any Sink, policy: EdgePolicy = .block, stream: StreamID? = nil) {
        self.stream = stream
        self.name = name
        self.sink = sink
        self.policy = policy
    }
}

extension [SinkAttachment] {
    /// Opens them one behind the other: several may lead to the same file.
    /// - Parameters:
    ///   - recent: knows which blocks those are in them that may still be orphaned.
    ///   - refused: keeps the rows that their stores refuse.
    func opened(
        for stream: StreamID, tables: [Schema], recent: (any RecentBlocks)? = nil, refused: RefusedRows
    ) async throws -> [OpenedSink] {
        var opened: [OpenedSink] = []
        for attachment in self {
            let id = attachment.stream ?? stream
            let stream = try await attachment.sink.open(id, tables: tables)
            let segments = try await stream.coverage()
            var known: [BlockRef] = []
            for segment in segments { known += try await recent?.ancestors(of: segment.last) ?? [] }
            opened.append(
                OpenedSink(
                    name: attachment.name, id: id, stream: stream, segments: segments, recent: known,
                    holdsBack: attachment.sink.holdsBackToFinality, policy: attachment.policy, refused: refused))
        }
        return opened
    }
}
