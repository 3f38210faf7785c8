import SluiceCore
import SluiceTelemetry
import Synchronization

/// One run of a pipeline of one network: a branch for each of its sinks, over the same components.
///
/// A sink that fails holds up no other. It is left alone for a while, opened again, and reads what it lacks by itself until it has caught
/// up. What no waiting mends ends its lane, and the run as a failure once the others have ended; what is no sink's fault ends the run.
final class PipelineLanes: PipelineRun {
    /// A sink, and what becomes of a run that cannot open it at first.
    struct Lane: Sendable {
        let attachment: SinkAttachment
        let startup: Startup
    }

    private struct State {
        var isOpen: [Bool]
        var isLive: [Bool]
        /// Lanes that are left alone, or have ended.
        var isDown: [Bool]
        var toldOpened = false
        var toldLive = false
    }

    private let definition: PipelineDefinition
    private let hub: Hub
    private let until: UInt64?
    private let lanes: [Lane]
    private let progress: LaneProgress
    private let notify: @Sendable (Branch.Event) -> Void
    private let board = LaneBoard()
    private let watch = RunWatch()
    private let isOver = StopSignal()
    private let state: Mutex<State>

    /// - Parameters:
    ///   - until: the last block; nil: whatever comes.
    ///   - notify: told what happens, in order; it must not block.
    init(
        _ definition: PipelineDefinition, hub: Hub, until: UInt64?, lanes: [Lane], progress: LaneProgress,
        notify: @escaping @Sendable (Branch.Event) -> Void
    ) {
        self.definition = definition
        self.hub = hub
        self.until = until
        self.lanes = lanes
        self.progress = progress
        self.notify = notify
        let none = [Bool](repeating: false, count: lanes.count)
        state = Mutex(State(isOpen: none, isLive: none, isDown: none))
        for lane in lanes.indices { board.put(branch(lane), at: lane) }
    }

    /// What joins the hub for it to begin, with `work` under way or soon.
    var branches: [Branch] { board.branches }

    var hasEnded: Bool { watch.isOver }
    func ended() async -> Branch.End { await watch.ended() }
    func openedOrFailed() async throws { try await watch.openedOrFailed() }
    var snapshot: PipelineProgress.Snapshot { progress.snapshot }

    func leave() {
        watch.leave()
        isOver.raise()
        for branch in board.branches { branch.leave() }
    }

    func abandon() {
        for branch in board.branches { branch.end(.left) }
        end(.left)
    }

    func work() async {
        let ends = await withTaskGroup(of: Branch.End.self) { group in
            for lane in lanes.indices { group.addTask { await self.carry(lane) } }
            var ends: [Branch.End] = []
            for await end in group { ends.append(end) }
            return ends
        }
        let failed = ends.first { if case .failed = $0 { true } else { false } }
        let left = ends.first { if case .left = $0 { true } else { false } }
        end(failed ?? left ?? .completed)
    }

    private func end(_ end: Branch.End) { watch.end(end) { notify(.ended(end)) } }

    // MARK: - One lane

    private func branch(_ lane: Int) -> Branch {
        Branch(
            definition, goal: .follow(until: until), sinks: [lanes[lane].attachment], progress: progress.lane(lanes[lane].attachment.name),
            board: board
        ) { [weak self] event in self?.take(event, of: lane) }
    }

    /// Sees to it that a sink is loaded until its lane ends.
    private func carry(_ lane: Int) async -> Branch.End {
        var retry = SinkRetry()
        var before: Position?
        while true {
            let branch = board.branches[lane]
            // A hub that is cancelled may not have heard of it.
            let end = await withTaskCancellationHandler {
                await branch.ended()
            } onCancel: {
                branch.end(.left)
            }
            guard case .failed(let error) = end else { return end }
            let durable = branch.opened.first?.durable.last?.last
            let isStarting = !state.withLock { $0.isOpen[lane] } && lanes[lane].startup == .fail
            // What is no sink's fault is so because of where this one stands, or the others see it, too.
            let mayPass = branch.hasSinkFailed || (error as? SluiceError)?.class == .retry
            guard mayPass, !isStarting else {
                // The others stand on the same components, or the pipeline cannot begin as it was asked for.
                leave()
                return end
            }
            guard let pause = retry.pause(after: error, worked: durable != before) else {
                note(lane, down: error, until: nil)
                return end
            }
            before = durable
            note(lane, down: error, until: pause)
            _ = try? await isOver.interrupting { [time = hub.surroundings.time] in try await time.sleep(pause) }
            if watch.isLeaving || Task.isCancelled { return .left }
            let next = self.branch(lane)
            board.put(next, at: lane)
            hub.join([next])
            // Asked to leave before there was anybody to ask.
            if watch.isLeaving { next.leave() }
        }
    }

    /// Says that a sink is left alone, for a while or for good.
    private func note(_ lane: Int, down error: any Error, until pause: Duration?) {
        let name = lanes[lane].attachment.name
        hub.surroundings.log.error(
            pause == nil ? "a sink fails, and is not tried again before its pipeline is resumed" : "a sink fails; trying again",
            [
                "pipeline": "\(definition.name)", "sink": "\(name)", "error": "\(error)", "in": "\(pause.map { "\($0)" } ?? "-")",
            ])
        progress.failed(name, error)
        tell { $0.isDown[lane] = true }
    }

    // MARK: - What is told

    /// What a lane says of itself is said of the pipeline: it is live when all lanes are that are not left alone.
    private func take(_ event: Branch.Event, of lane: Int) {
        switch event {
        case .component: notify(event)
        case .ended: break
        case .opened:
            tell { state in
                state.isOpen[lane] = true
                state.isDown[lane] = false
            }
        case .backfilling:
            progress.lane(lanes[lane].attachment.name).update { $0.trouble = nil }
            notify(event)
        case .live:
            progress.lane(lanes[lane].attachment.name).update { $0.trouble = nil }
            tell { $0.isLive[lane] = true }
        }
    }

    private func tell(_ change: (inout State) -> Void) {
        let (isOpen, isLive) = state.withLock { state in
            change(&state)
            let all = lanes.indices
            let isOpen = !state.toldOpened && all.allSatisfy { state.isOpen[$0] || state.isDown[$0] }
            let isLive =
                !state.toldLive && all.contains { state.isLive[$0] } && all.allSatisfy { state.isLive[$0] || state.isDown[$0] }
            if isOpen { state.toldOpened = true }
            if isLive { state.toldLive = true }
            return (isOpen, isLive)
        }
        if isOpen {
            notify(.opened)
            watch.open()
        }
        if isLive { notify(.live) }
    }
}

/// What becomes of a pipeline when one of its sinks cannot be opened at first.
public enum Startup: String, Sendable, Hashable, CaseIterable {
    /// It fails at once.
    case fail
    /// The sink is tried again, while the others are loaded.
    case wait
}
