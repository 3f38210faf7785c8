import Synchronization

/// Room for rows on their way into the statements of one writer. It is theirs together: a statement that is busy for a moment may let much
/// wait while another one takes all that comes, and neither holds the other up.
public final class SliceRoom: Sendable {
    private struct State {
        var bytes = 0
        var writer: CheckedContinuation<Void, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: bytes that may wait before the writer suspends.
    public init(limit: Int) { self.limit = limit }

    func enter(_ bytes: Int) { state.withLock { $0.bytes += bytes } }

    /// Suspends the writer while too much waits.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.bytes <= limit { return true }
                state.writer = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// The writer goes on when half of the room is free: it is not woken for each slice.
    func leave(_ bytes: Int) {
        let writer = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.bytes -= bytes
            guard state.bytes <= limit / 2 else { return nil }
            defer { state.writer = nil }
            return state.writer
        }
        writer?.resume()
    }
}
