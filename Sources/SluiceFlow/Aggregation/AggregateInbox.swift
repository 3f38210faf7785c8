import SluiceCore
import Synchronization

/// What was sent to an aggregator and is not taken yet, of all streams in one line: in the order in which it came it is taken. Many
/// senders, and one reader, who takes all that is there at once. Bounded for each stream by the weight of what the reader is not done with.
///
/// (An edge for each stream would take a lock more on each side, and the order between them another one.)
final class AggregateInbox: Sendable {
    struct Arrival: Sendable {
        enum Content: Sendable {
            case transit(Transit)
            /// Nothing more will come.
            case end
        }

        let stream: Int
        var content: Content
        /// Bytes of memory, about.
        let weight: Int

        var isBatch: Bool { if case .transit(.batch) = content { true } else { false } }
    }

    private struct Sender: Sendable {
        let id: UInt64
        let arrival: Arrival
        let waiter: Waiter<Void>
    }

    /// What is known of one stream.
    private struct Stream {
        /// Of what is in the line, or with the reader.
        var weight = 0
        var hasEnded = false
        /// Those that wait for room.
        var senders = RingQueue<Sender>()
    }

    private struct State {
        var line: [Arrival] = []
        var streams: [Stream]
        var reader: Waiter<Void>?
        var isRung = false
        var failure: (any Error)?
        var nextID: UInt64 = 0

        /// Puts it at the end of the line if there is room. What is too heavy alone passes when nothing else of its stream is there.
        mutating func admit(_ arrival: Arrival, capacity: Int) -> Bool {
            let weight = streams[arrival.stream].weight
            guard weight == 0 || weight + arrival.weight <= capacity else { return false }
            streams[arrival.stream].weight = weight + arrival.weight
            line.append(arrival)
            return true
        }
    }

    private enum Offer {
        /// Whom to wake.
        case taken(Waiter<Void>?)
        case full
        case refused(any Error)
    }

    /// Bytes of each stream that may be there.
    let capacity: Int
    private let state: Mutex<State>

    init(streams: Int, capacity: Int) {
        self.capacity = capacity
        state = Mutex(State(streams: [Stream](repeating: Stream(), count: streams)))
    }

    // MARK: - Sending

    /// Hands a transit over if there is room for its stream; else returns what `send` is to wait with. Throws when the reader failed or
    /// the task is cancelled.
    func sendNow(_ transit: Transit, of stream: Int) throws -> Arrival? {
        let arrival = Arrival(stream: stream, content: .transit(transit), weight: EdgeItem.weight(of: transit))
        switch offer(arrival) {
        case .taken(let reader): reader?.resume()
        case .refused(let error): throw error
        case .full: return arrival
        }
        return nil
    }

    /// Nothing more will come of a stream. What waits for room comes before.
    func finish(_ stream: Int) {
        let reader: Waiter<Void>? = state.withLock { state in
            guard !state.streams[stream].hasEnded, state.failure == nil else { return nil }
            state.streams[stream].hasEnded = true
            state.line.append(Arrival(stream: stream, content: .end, weight: 0))
            return state.reader.take()
        }
        reader?.resume()
    }

    /// - Parameter waiting: lets the sender wait when there is no room.
    private func offer(_ arrival: Arrival, waiting: Waiter<Void>? = nil, id: UInt64 = 0) -> Offer {
        state.withLock { state in
            if let failure = state.failure { return .refused(failure) }
            if state.streams[arrival.stream].hasEnded { return .refused(EdgeFinished()) }
            // Under the lock: a task that is cancelled after this question finds its sender waiting.
            if Task.isCancelled { return .refused(CancellationError()) }
            // A reader that is at work will look again.
            if state.streams[arrival.stream].senders.isEmpty, state.admit(arrival, capacity: capacity) {
                return .taken(state.reader.take())
            }
            if let waiting { state.streams[arrival.stream].senders.append(Sender(id: id, arrival: arrival, waiter: waiting)) }
            return .full
        }
    }

    /// Suspends until there is room, and hands it over then. Throws when the reader failed or the task is cancelled.
    func send(_ arrival: Arrival) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                // There may be room by now.
                switch offer(arrival, waiting: Waiter(continuation), id: id) {
                case .taken(let reader):
                    reader?.resume()
                    continuation.resume()
                case .refused(let error): continuation.resume(throwing: error)
                case .full: break
                }
            }
        } onCancel: {
            let sender = state.withLock { $0.streams[arrival.stream].senders.remove { $0.id == id } }
            sender?.waiter.resume(throwing: CancellationError())
        }
    }

    // MARK: - Reading

    /// Takes the whole line, in exchange for an empty one. Returns false when there is none.
    func take(_ line: inout [Arrival]) -> Bool {
        state.withLock { state in
            guard !state.line.isEmpty else { return false }
            swap(&state.line, &line)
            return true
        }
    }

    /// Gives room back: so many bytes of each stream are done with.
    func release(_ weights: [Int]) {
        var senders: [Waiter<Void>] = []
        state.withLock { state in
            for stream in weights.indices where weights[stream] > 0 {
                state.streams[stream].weight -= weights[stream]
                while let sender = state.streams[stream].senders.first, state.admit(sender.arrival, capacity: capacity) {
                    _ = state.streams[stream].senders.popFirst()
                    senders.append(sender.waiter)
                }
            }
        }
        for sender in senders { sender.resume() }
    }

    /// Ends the reader's wait, or the next one.
    func ring() {
        let reader = state.withLock { state in
            state.isRung = state.reader == nil
            return state.reader.take()
        }
        reader?.resume()
    }

    /// Returns when there is a line, or when it rings; throws when the task is cancelled.
    func wait() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let now: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.isRung || !state.line.isEmpty {
                        state.isRung = false
                        return .success(())
                    }
                    precondition(state.reader == nil, "an inbox has one reader")
                    state.reader = Waiter(continuation)
                    return nil
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            state.withLock { $0.reader.take() }?.resume(throwing: CancellationError())
        }
    }

    /// Nothing more is taken: senders see the error.
    func fail(_ error: any Error) {
        let senders: [Sender] = state.withLock { state in
            if state.failure == nil { state.failure = error }
            state.line = []
            return state.streams.indices.flatMap { state.streams[$0].senders.drain() }
        }
        for sender in senders { sender.waiter.resume(throwing: error) }
    }
}
