public import SluiceCore

extension SluiceError.Code {
    /// A pipeline cannot do that in the state in which it is.
    public static let illegalTransition = SluiceError.Code("illegal_transition")
}

/// The life of one pipeline, from command to command. Pure: what is to be done comes out as actions.
///
/// A command that is fulfilled already does nothing. One that makes no sense in a state is refused and changes nothing.
public struct PipelineLifecycle: Sendable {
    /// Where it stands, with what must be remembered there and nowhere else.
    public enum Phase: Sendable {
        /// It never ran.
        case new
        case working(PipelineWork)
        /// It was doing that.
        case paused(PipelineWork)
        case stopped
        /// It was doing that when this happened.
        case failed(PipelineWork, SluiceError)
        /// Another pipeline took over: the end.
        case merged(into: PUUID)
    }

    /// Backtests end when their range is read; all others go on to be live.
    public let type: PipelineType
    public private(set) var phase: Phase

    /// - Parameter phase: where it was left, when it is not new. One that was at work when its process ended is to be taken as new: it looks
    ///   up what its stores hold and goes on from there.
    public init(type: PipelineType, phase: Phase = .new) {
        self.type = type
        self.phase = phase
    }

    public var state: PipelineState {
        switch phase {
        case .new, .stopped, .merged: .stopped
        case .working(.backfill): .backfill
        case .working(.live): .live
        case .paused: .paused
        case .failed: .error
        }
    }

    /// What it does now; nil while it reads and processes nothing.
    public var work: PipelineWork? { if case .working(let work) = phase { work } else { nil } }

    /// Why it is in `error`; nil in all other states.
    public var failure: SluiceError? { if case .failed(_, let error) = phase { error } else { nil } }

    /// The commands of an operator that would change something now.
    public var commands: [PipelineCommand.Name] { Self.commands(in: phase, type) }

    /// Takes a command; returns what is to be done, which is nothing when it is fulfilled already.
    /// - Throws: `illegal_transition` (class `config`), which says why and what can be done instead. Nothing changed then.
    @discardableResult
    public mutating func on(_ command: PipelineCommand) throws(SluiceError) -> [PipelineAction] {
        switch Self.decide(phase, command, type) {
        case .go(let next, let actions):
            phase = next
            return actions
        case .fulfilled:
            return []
        case .refuse(let why):
            let commands = commands.map(\.rawValue).joined(separator: ", ")
            throw SluiceError(
                .illegalTransition, .config, "the pipeline is \(state.rawValue), \(command.name.rawValue) is refused: \(why)",
                mend: commands.isEmpty ? "nothing can be done with it any more" : "allowed now: \(commands)")
        }
    }

    // MARK: - The transitions

    private enum Decision {
        case go(Phase, [PipelineAction])
        case fulfilled
        case refuse(String)
    }

    private static func commands(in phase: Phase, _ type: PipelineType) -> [PipelineCommand.Name] {
        let all: [PipelineCommand] = [.start(hasHistory: true), .pause, .resume, .stop, .restart(hasHistory: true)]
        return all.filter { if case .go = decide(phase, $0, type) { true } else { false } }.map(\.name)
    }

    private static func decide(_ phase: Phase, _ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch phase {
        case .new: decideNew(command, type)
        case .working(let work): decideWorking(work, command, type)
        case .paused(let work): decidePaused(work, command, type)
        case .stopped: decideStopped(command, type)
        case .failed(let work, _): decideFailed(work, command, type)
        case .merged(let other): decideMerged(other, command)
        }
    }

    private static func first(_ hasHistory: Bool, _ type: PipelineType) -> PipelineWork {
        // All that a backtest reads is history.
        hasHistory || type == .backtest ? .backfill : .live
    }

    private static func begin(_ hasHistory: Bool, _ type: PipelineType, after actions: [PipelineAction] = []) -> Decision {
        let work = first(hasHistory, type)
        return .go(.working(work), actions + [.begin(work, from: .start)])
    }

    private static func decideNew(_ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch command {
        case .start(let hasHistory), .restart(let hasHistory): begin(hasHistory, type)
        case .stop: .fulfilled
        case .pause, .resume: .refuse("it was never started")
        case .backfillDone, .fail, .merged: .refuse("nothing of it runs")
        }
    }

    private static func decideWorking(_ work: PipelineWork, _ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch command {
        case .start, .resume: .fulfilled
        case .pause: .go(.paused(work), [.end])
        case .stop: .go(.stopped, [.end])
        case .restart(let hasHistory): begin(hasHistory, type, after: [.end])
        case .fail(let error): .go(.failed(work, error), [.end])
        case .backfillDone where work == .live: .fulfilled
        case .backfillDone where type == .backtest: .go(.stopped, [.end])
        case .backfillDone: .go(.working(.live), [.begin(.live, from: .lastPosition)])
        case .merged where type != .live: .refuse("only live pipelines are merged, and this is a \(type)")
        case .merged where work == .backfill: .refuse("it still reads history, which the other one does not have")
        case .merged(let other): .go(.merged(into: other), [.end, .handOver(to: other)])
        }
    }

    private static func decidePaused(_ work: PipelineWork, _ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch command {
        case .pause: .fulfilled
        case .resume: .go(.working(work), [.begin(work, from: .lastPosition)])
        case .stop: .go(.stopped, [])
        case .restart(let hasHistory): begin(hasHistory, type)
        case .start: .refuse("it has begun already and waits to be resumed")
        case .backfillDone: .refuse("it reads nothing; what is still to be read shows when it is resumed")
        // What it had read was still on its way into the stores.
        case .fail(let error): .go(.failed(work, error), [])
        case .merged: .refuse("only a pipeline that is live is merged")
        }
    }

    private static func decideStopped(_ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch command {
        case .restart(let hasHistory): begin(hasHistory, type)
        case .stop: .fulfilled
        case .start, .resume: .refuse("it was stopped and must be restarted")
        case .pause: .refuse("it does nothing that could be paused")
        case .backfillDone, .fail, .merged: .refuse("nothing of it runs")
        }
    }

    private static func decideFailed(_ work: PipelineWork, _ command: PipelineCommand, _ type: PipelineType) -> Decision {
        switch command {
        // What fails first is the reason; what comes after it is most often its consequence.
        case .fail: .fulfilled
        case .resume: .go(.working(work), [.begin(work, from: .lastPosition)])
        case .stop: .go(.stopped, [])
        case .restart(let hasHistory): begin(hasHistory, type)
        case .start: .refuse("it has begun already and failed")
        case .pause: .refuse("it does nothing that could be paused")
        case .backfillDone: .refuse("it reads nothing; what is still to be read shows when it is resumed")
        case .merged: .refuse("only a pipeline that is live is merged")
        }
    }

    private static func decideMerged(_ other: PUUID, _ command: PipelineCommand) -> Decision {
        switch command {
        case .stop: .fulfilled
        case .merged(let again) where again == other: .fulfilled
        case .start, .pause, .resume, .restart, .merged: .refuse("it was merged into \(other)")
        case .backfillDone, .fail: .refuse("nothing of it runs")
        }
    }
}
