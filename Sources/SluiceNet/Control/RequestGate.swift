public import SluiceCore
import Synchronization

/// Lets requests to one server through: as many at once as `AdaptiveLimit` says after what became of those before.
///
/// For what writes: requests that do not depend on each other's order. Whoever waits is let in as soon as another leaves.
public final class RequestGate: Sendable {
    private struct State {
        var limit: AdaptiveLimit
        var inFlight = 0
        /// Bytes of the largest request yet.
        var largest = 0
        var waiting: [CheckedContinuation<Void, Never>] = []

        /// What the limit is to know of how long a request took.
        mutating func sample(_ latency: Duration, bytes: Int?) -> Duration {
            guard let bytes else { return .zero }
            largest = max(largest, bytes)
            return bytes * 2 >= largest ? latency : limit.averageLatency.map { .seconds($0) } ?? latency
        }
    }

    private let state: Mutex<State>
    private let time: TimeSource

    /// - Parameter maximum: of requests at once, whatever goes well.
    public init(initial: Int = 2, maximum: Int, time: TimeSource = .live) {
        self.time = time
        state = Mutex(State(limit: AdaptiveLimit(initial: initial, maximum: maximum)))
    }

    /// Requests that may be under way now.
    public var current: Int { state.withLock { $0.limit.current } }

    /// Runs a request when there is room for it. Its errors are handed on.
    /// - Parameters:
    ///   - bytes: how large it is, where requests that are about as large take about as long: then late answers make fewer go at once, too. Those of much
    ///     smaller requests than others say nothing. Nil: how long it takes says nothing at all.
    ///   - isCongestion: whether an error says that the server has too much to do, or cannot be reached: then fewer go at once.
    public func run<Value: Sendable>(
        bytes: Int? = nil, isCongestion: @Sendable (any Error) -> Bool, _ request: @Sendable () async throws -> Value
    ) async throws -> Value {
        await enter()
        let sent = time.now()
        do {
            let value = try await request()
            let now = time.now()
            leave { state in
                let latency = state.sample(now - sent, bytes: bytes)
                state.limit.succeeded(latency: latency, inFlight: state.inFlight, sentAt: sent, now: now)
            }
            return value
        } catch {
            leave { if isCongestion(error) { $0.limit.congested(sentAt: sent, now: time.now()) } }
            throw error
        }
    }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.inFlight < state.limit.current else {
                    state.waiting.append(continuation)
                    return false
                }
                state.inFlight += 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave(_ note: (inout State) -> Void) {
        let next = state.withLock { state in
            note(&state)
            state.inFlight -= 1
            let count = min(state.waiting.count, max(0, state.limit.current - state.inFlight))
            let next = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(count)
            state.inFlight += count
            return next
        }
        for continuation in next { continuation.resume() }
    }
}
