import SluiceCore
import SluiceTelemetry
import Synchronization

/// What a pipeline asks for, as far as the shared state says it.
///
/// It looks when a reading begins, and a reading of the head looks again before each batch. Where it cannot look again, what it saw last
/// counts: that a server of addresses is away is no reason to read nothing.
final class ToldPipeline: Sendable {
    /// How long it goes by what it saw last when it could not look.
    static let patience = Duration.seconds(5)

    /// A register that is told what a key holds.
    private struct Listener: Sendable {
        let register: Register
        let tell: Register.Tell
        let view: StateView
    }

    private struct State {
        var definition: PipelineDefinition
        /// What the keys held when it was told, in the order of the listeners; nil before the first time.
        var held: [[StateSnapshot.Entry]]?
        /// What could not be used and was said.
        var problems: [String] = []
        /// Set while it cannot look.
        var looksAgainAt: MonotonicTime?
    }

    private let listeners: [Listener]
    private let state: Mutex<State>

    init(_ definition: PipelineDefinition) {
        listeners =
            definition.state.map { shared in
                definition.registers.compactMap { register in
                    guard let tell = register.tell, let shape = register.stateKey else { return nil }
                    return Listener(register: register, tell: tell, view: StateView(shared, key: shape.key(of: definition.name)))
                }
            } ?? []
        state = Mutex(State(definition: definition))
    }

    /// The pipeline with its registers as they were told last.
    var definition: PipelineDefinition { state.withLock { $0.definition } }

    /// Looks now. Throws what the shared state throws.
    func look(_ log: Log) async throws {
        for listener in listeners { try await listener.view.refresh() }
        _ = tell(log)
    }

    /// Looks whether anything has changed; returns what the pipeline asked for before when it has.
    func lookAgain(_ log: Log, at now: MonotonicTime) async throws -> PipelineDefinition? {
        guard !listeners.isEmpty, state.withLock({ $0.looksAgainAt.map { $0 <= now } ?? true }) else { return nil }
        do {
            for listener in listeners { try await listener.view.refresh() }
        } catch {
            if Task.isCancelled { throw CancellationError() }
            let isNew = state.withLock { state in
                defer { state.looksAgainAt = now + Self.patience }
                return state.looksAgainAt == nil
            }
            if isNew {
                log.error(
                    "the shared state cannot be read; going on with what it held last",
                    ["pipeline": "\(definition.name)", "error": "\(error)"])
            }
            return nil
        }
        let wasAway = state.withLock { state in
            defer { state.looksAgainAt = nil }
            return state.looksAgainAt != nil
        }
        if wasAway { log.info("the shared state can be read again", ["pipeline": "\(definition.name)"]) }
        return tell(log)
    }

    /// Tells the registers what was seen. Returns what was asked for before when that was something else.
    private func tell(_ log: Log) -> PipelineDefinition? {
        let seen = listeners.map { $0.view.snapshot }
        let (before, news): (PipelineDefinition?, [String]) = state.withLock { state in
            guard state.held.map({ $0 != seen.map(\.entries) }) ?? !listeners.isEmpty else { return (nil, []) }
            state.held = seen.map(\.entries)
            let told = zip(listeners, seen).map { $0.tell(state.definition.name, $1) }
            let problems = told.flatMap(\.problems)
            defer {
                state.problems = problems
                state.definition = state.definition.with(told.map(\.register))
            }
            return (state.definition, problems.filter { !state.problems.contains($0) })
        }
        for problem in news {
            log.warning(
                "the shared state asks for something that cannot be used", ["pipeline": "\(definition.name)", "problem": "\(problem)"])
        }
        return before
    }
}
