import SluiceCore
import SluiceTelemetry
import Synchronization

/// The one reading of a network's head, for all branches that follow it.
///
/// It reads as long as somebody follows. It can be held, so that branches join at a block that stands still; and when what must be
/// fetched changes, it goes on from where it is with another oracle.
final class LiveReading: Sendable {
    private struct State {
        /// How many convoys hold it now.
        var holders = 0
        var isReading = false
        var isOver = false
        var changed = StopSignal()
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// What the oracle that reads now was made to fetch.
        var fetched: Set<Need> = []
    }

    let graph: ComponentGraph
    private let surroundings: Hub.Surroundings
    private let state: Mutex<State>
    /// One wish to look again is as good as several.
    private let wake: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    init(_ surroundings: Hub.Surroundings) {
        self.surroundings = surroundings
        let box = WakeBox()
        wake = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state = Mutex(State())
        graph = ComponentGraph(surroundings, position: nil, follows: true) { _ in box.call() }
        box.set { [weak self] in self?.reconsider() }
    }

    // MARK: - Holding

    /// Stops the reading at a block, and returns once it stands still.
    func hold() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let (standsStill, signal) = state.withLock { state in
                state.holders += 1
                if state.isReading { state.waiters.append(continuation) }
                return (!state.isReading, state.changed)
            }
            signal.raise()
            if standsStill { continuation.resume() }
        }
    }

    /// Lets it go on.
    func release() {
        state.withLock { $0.holders -= 1 }
        reconsider()
    }

    /// Lets `run` return when nothing is being read any more.
    func end() {
        state.withLock { $0.isOver = true }
        reconsider()
    }

    /// Looks again at what there is to do.
    private func reconsider() {
        let needs = Set(graph.needs)
        let signal: StopSignal? = state.withLock { state in
            guard state.isReading else { return nil }
            return state.holders > 0 || state.isOver || needs != state.fetched ? state.changed : nil
        }
        signal?.raise()
        wake.continuation.yield(())
    }

    // MARK: - Reading

    func run() async {
        var pause = Self.leastPause
        var woken = wake.stream.makeAsyncIterator()
        while true {
            let needs = graph.needs
            let isWanted = !graph.branches.isEmpty
            let signal: StopSignal?? = state.withLock { state in
                if state.isOver { return .some(nil) }
                guard state.holders == 0, isWanted else { return .none }
                state.isReading = true
                state.changed = StopSignal()
                state.fetched = Set(needs)
                return state.changed
            }
            guard let signal else {
                // Nothing to do until somebody comes, or lets go.
                guard await woken.next() != nil else { return }
                continue
            }
            guard let signal else { return }
            let before = graph.position
            surroundings.log.debug(
                "following the head", ["from": "\(before.map { "\($0.number)" } ?? "-")", "branches": "\(graph.branches.count)"])
            let failure = await read(needs, until: signal)
            stop()
            guard let failure, !Task.isCancelled else {
                if Task.isCancelled { return }
                pause = Self.leastPause
                continue
            }
            guard Hub.passes(failure) else {
                for branch in graph.branches { graph.remove(branch, failing: failure) }
                continue
            }
            if graph.position != before { pause = Self.leastPause }
            await surroundings.wait(pause, after: failure, of: graph.branches)
            pause = min(pause * 2, .seconds(30))
        }
    }

    private static let leastPause = Duration.milliseconds(500)

    /// Reads until it is done, told to stop, or fails; returns the failure.
    private func read(_ needs: [Need], until signal: StopSignal) async -> (any Error)? {
        let graph = graph
        let oracle = surroundings.makeOracle(needs) { graph.note($0) }
        let branches = graph.branches
        let until = branches.lastWanted
        let start = branches.compactMap(\.start).min()
        graph.begin()
        do {
            _ = try await signal.interrupting {
                try await oracle.live(from: graph.position, start: start, until: until, into: graph)
            }
            return nil
        } catch is NobodyReads { return nil } catch is NeedsChanged { return nil } catch is CancellationError { return nil } catch {
            return error
        }
    }

    private func stop() {
        let waiters = state.withLock { state in
            state.isReading = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// Breaks the knot of a graph that calls back what owns it.
private final class WakeBox: Sendable {
    private let body = Mutex<(@Sendable () -> Void)?>(nil)
    func set(_ body: @escaping @Sendable () -> Void) { self.body.withLock { $0 = body } }
    func call() { body.withLock { $0 }?() }
}
