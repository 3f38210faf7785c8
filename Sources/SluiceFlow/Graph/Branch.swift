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
        var isOpen = false
        var isLeaving = false
        var end: End?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    public let definition: PipelineDefinition
    public let goal: Goal
    public let progress: PipelineProgress
    let sinks: [SinkAttachment]
    private let notify: @Sendable (Event) -> Void
    private let state = Mutex(State())

    /// - Parameter notify: told what happens, in order; it must not block.
    public init(
        _ definition: PipelineDefinition, goal: Goal, sinks: [SinkAttachment], progress: PipelineProgress,
        notify: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.definition = definition
        self.goal = goal
        self.sinks = sinks
        self.progress = progress
        self.notify = notify
    }

    /// Returns when it has ended.
    public func ended() async -> End {
        while true {
            if let end = state.withLock({ $0.end }) { return end }
            // Who waits is woken when it opens, too.
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if state.end != nil { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        }
    }

    /// Returns when its sinks are open. Throws what it failed with before that.
    public func openedOrFailed() async throws {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isKnown = state.withLock { state in
                if state.isOpen || state.end != nil { return true }
                state.waiters.append(continuation)
                return false
            }
            if isKnown { continuation.resume() }
        }
        let (isOpen, end) = state.withLock { ($0.isOpen, $0.end) }
        if !isOpen, case .failed(let error) = end { throw error }
    }

    /// Asks it to end in good order: what was read still lands. Returns at once; see `ended`.
    public func leave() {
        let graph = state.withLock { state in
            state.isLeaving = true
            return state.graph
        }
        graph?.remove(self)
    }

    // MARK: - For the runtime

    var name: String { definition.name }
    var stream: StreamID { StreamID(pipeline: definition.name, chainID: definition.chainID) }
    var isLeaving: Bool { state.withLock { $0.isLeaving } }
    /// Whether it still wants to be read for.
    var isActive: Bool { state.withLock { !$0.isLeaving && $0.end == nil } }
    /// The block behind which the letters of its blocks are of no use any more, when some of its sinks are undone to a position: others may hold
    /// blocks there that were not orphaned.
    func boundary(of position: Position, undoing sinks: [OpenedSink]) -> Position {
        opened.filter { sink in !sinks.contains { $0 === sink } }.compactMap(\.highest).filter { $0.number > position.number }
            .max { $0.number < $1.number } ?? position
    }

    /// Whether it has ended, and nothing is done for it any more.
    var isOver: Bool { state.withLock { $0.end != nil } }
    var opened: [OpenedSink] { state.withLock { $0.opened } }
    var until: UInt64? { if case .follow(let until) = goal { until } else { nil } }
    /// The first block that it wants whatever its sinks hold; nil: from wherever they end.
    var start: UInt64? {
        switch goal {
        case .follow: definition.start
        case .range(let range): range.lowerBound
        }
    }

    /// What feeds it now, and along which edges.
    var feed: (graph: ComponentGraph?, edges: [GraphEdge]) { state.withLock { ($0.graph, $0.edges) } }

    func tell(_ event: Event) { notify(event) }

    /// Opens its sinks.
    /// - Parameter recent: knows which blocks those are in them that may still be orphaned.
    func open(_ recent: (any RecentBlocks)?) async throws {
        var opened: [OpenedSink] = []
        for attachment in sinks {
            let id = attachment.stream ?? stream
            let stream = try await attachment.sink.open(id, tables: definition.schemas)
            let segments = try await stream.coverage()
            var known: [BlockRef] = []
            for segment in segments { known += try await recent?.ancestors(of: segment.last) ?? [] }
            opened.append(
                OpenedSink(
                    name: attachment.name, id: id, stream: stream, segments: segments, recent: known,
                    holdsBack: attachment.sink.holdsBackToFinality, policy: attachment.policy))
        }
        let waiters = state.withLock { state in
            state.opened = opened
            state.isOpen = true
            defer { if state.end == nil { state.waiters = [] } }
            return state.waiters
        }
        notify(.opened)
        for waiter in waiters { waiter.resume() }
    }

    /// Notes the graph that feeds it now, and along which edges. Returns false when it was asked to leave meanwhile.
    func attach(to graph: ComponentGraph?, edges: [GraphEdge] = []) -> Bool {
        state.withLock { state in
            state.graph = graph
            state.edges = edges
            return !state.isLeaving && state.end == nil
        }
    }

    /// Notes its end; the first one counts.
    func end(_ end: End) {
        let waiters: [CheckedContinuation<Void, Never>]? = state.withLock { state in
            guard state.end == nil else { return nil }
            state.end = end
            state.graph = nil
            defer { state.waiters = [] }
            return state.waiters
        }
        guard let waiters else { return }
        notify(.ended(end))
        for waiter in waiters { waiter.resume() }
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
