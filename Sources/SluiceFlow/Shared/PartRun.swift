import SluiceCore
import SluiceTelemetry
import Synchronization

/// One part of a shared source while it is this process's: its own hub, with the pipeline's lanes in it.
final class PartRun: Sendable {
    let part: SourcePart
    private let hub: Hub
    private let lanes: PipelineLanes
    private let progress = LaneProgress()
    private let watch = RunWatch()
    private let sinks: Int
    /// The first offset that is wanted when those before it are lost.
    private let start: UInt64?

    /// - Parameters:
    ///   - start: the first wanted offset; nil: where the sinks end, or the source says.
    ///   - notify: told what happens, in order; it must not block.
    init(
        _ part: SourcePart, of pipeline: PipelineDefinition, start: UInt64?, hub: Hub, lanes: [PipelineLanes.Lane],
        notify: @escaping @Sendable (Branch.Event) -> Void
    ) {
        self.part = part
        self.hub = hub
        self.start = start
        sinks = lanes.count
        let definition = PipelineDefinition(
            name: pipeline.name, chainID: part.chainID, registers: pipeline.registers, start: start, state: pipeline.state)
        self.lanes = PipelineLanes(definition, hub: hub, until: nil, lanes: lanes, progress: progress, notify: notify)
    }

    /// Works until it has ended; to be called once.
    func work() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.hub.run() }
            hub.join(lanes.branches)
            await lanes.work()
            hub.end()
        }
        watch.end(await lanes.ended()) {}
    }

    /// Asks it to end in good order: what was read still lands.
    func leave() { lanes.leave() }
    /// Returns when nothing is done for it any more.
    func ended() async -> Branch.End { await watch.ended() }
    /// How it ended, when it has.
    var end: Branch.End? { get async { watch.isOver ? await watch.ended() : nil } }

    var snapshot: PipelineProgress.Snapshot { progress.snapshot }

    /// The first offset that not all sinks hold durably; nil when that is not known.
    var durableEnd: UInt64? {
        let known = lanes.branches.flatMap(\.known).reduce(into: [String: OpenedSink]()) { $0[$1.name] = $1 }
        guard known.count == sinks else { return nil }
        return Self.end(of: known.values.map(\.durable), from: start)
    }

    /// The same of what sinks hold. Each goes on behind its newest blocks, or fills what it lacks from a start on: what lies behind a hole
    /// there does not count.
    static func end(of held: [[Segment]], from start: UInt64?) -> UInt64? {
        var ends: [UInt64] = []
        for segments in held {
            let segment = start.map { start in segments.first { $0.last.number + 1 >= start } } ?? segments.last
            guard let segment, segment.first <= start ?? .max else { return nil }
            ends.append(segment.last.number + 1)
        }
        return ends.min()
    }
}
