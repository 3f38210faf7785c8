import Synchronization

/// An edge of the graph: many senders, one receiver, bounded by weight. A full channel suspends its senders, in order.
/// (`AsyncStream` cannot: its `yield` says "full" but has no way to say "go on".)
public final class BoundedChannel<Element: Sendable>: Sendable {
    private struct Waiter {
        let id: UInt64
        let element: Element
        let weight: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var queue: [(element: Element, weight: Int)] = []
        var weight = 0
        var senders: [Waiter] = []
        var receiver: CheckedContinuation<Element?, any Error>?
        var end: Result<Void, any Error>?
        var nextID: UInt64 = 0
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())
    private let capacity: Int
    private let weigh: @Sendable (Element) -> Int

    /// - Parameters:
    ///   - capacity: the weight that may wait. One element that is heavier alone may pass when nothing else waits.
    ///   - weigh: the weight of an element: bytes, or 1.
    public init(capacity: Int, weigh: @escaping @Sendable (Element) -> Int = { _ in 1 }) {
        precondition(capacity > 0, "a channel without room")
        self.capacity = capacity
        self.weigh = weigh
    }

    /// The weight that waits now.
    public var weight: Int { state.withLock { $0.weight } }

    /// Hands an element over; suspends while the channel is full. Throws when the channel failed or the task is cancelled.
    public func send(_ element: Element) async throws {
        let weight = max(1, weigh(element))
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { _ = state.withLock { $0.cancelled.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let resume: (() -> Void)? = state.withLock { state in
                    if let end = state.end {
                        let error: any Error =
                            switch end {
                            case .success: ChannelClosed()
                            case .failure(let error): error
                            }
                        return { continuation.resume(throwing: error) }
                    }
                    if state.cancelled.remove(id) != nil { return { continuation.resume(throwing: CancellationError()) } }
                    if let receiver = state.receiver {
                        state.receiver = nil
                        return {
                            receiver.resume(returning: element)
                            continuation.resume()
                        }
                    }
                    if state.senders.isEmpty, state.weight == 0 || state.weight + weight <= capacity {
                        state.queue.append((element, weight))
                        state.weight += weight
                        return { continuation.resume() }
                    }
                    state.senders.append(Waiter(id: id, element: element, weight: weight, continuation: continuation))
                    return nil
                }
                resume?()
            }
        } onCancel: {
            let waiter: Waiter? = state.withLock { state in
                if let index = state.senders.firstIndex(where: { $0.id == id }) { return state.senders.remove(at: index) }
                state.cancelled.insert(id)
                return nil
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Hands an element over when there is room, and drops it when there is none: for wishes that mean the same twice.
    public func offer(_ element: Element) {
        let receiver: CheckedContinuation<Element?, any Error>? = state.withLock { state in
            guard state.end == nil else { return nil }
            if let receiver = state.receiver {
                state.receiver = nil
                return receiver
            }
            if state.queue.isEmpty {
                state.queue.append((element, 1))
                state.weight += 1
            }
            return nil
        }
        receiver?.resume(returning: element)
    }

    /// The next element; nil when the channel was finished and is empty. Suspends while there is none.
    public func receive() async throws -> Element? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Element?, any Error>) in
                let resume: (() -> Void)? = state.withLock { state in
                    if case .failure(let error) = state.end { return { continuation.resume(throwing: error) } }
                    if let (element, admitted) = take(&state) {
                        return {
                            continuation.resume(returning: element)
                            for sender in admitted { sender.resume() }
                        }
                    }
                    if state.end != nil { return { continuation.resume(returning: nil) } }
                    if Task.isCancelled { return { continuation.resume(throwing: CancellationError()) } }
                    precondition(state.receiver == nil, "a channel has one receiver")
                    state.receiver = continuation
                    return nil
                }
                resume?()
            }
        } onCancel: {
            let receiver = state.withLock { state in
                defer { state.receiver = nil }
                return state.receiver
            }
            receiver?.resume(throwing: CancellationError())
        }
    }

    /// The next element if there is one now.
    public func receiveNow() -> Element? {
        let taken = state.withLock { take(&$0) }
        for sender in taken?.1 ?? [] { sender.resume() }
        return taken?.0
    }

    /// No more elements will come; what waits is still received.
    public func finish() { close(.success(())) }

    /// Something went wrong: both sides see the error, what waits is dropped with the run it belonged to.
    public func fail(_ error: any Error) { close(.failure(error)) }

    private func take(_ state: inout State) -> (Element, [CheckedContinuation<Void, any Error>])? {
        guard !state.queue.isEmpty else { return nil }
        let (element, weight) = state.queue.removeFirst()
        state.weight -= weight
        var admitted: [CheckedContinuation<Void, any Error>] = []
        while let next = state.senders.first, state.weight == 0 || state.weight + next.weight <= capacity {
            state.senders.removeFirst()
            state.queue.append((next.element, next.weight))
            state.weight += next.weight
            admitted.append(next.continuation)
        }
        return (element, admitted)
    }

    private func close(_ end: Result<Void, any Error>) {
        let resume: [() -> Void] = state.withLock { state in
            guard state.end == nil else { return [] }
            state.end = end
            var resume: [() -> Void] = []
            switch end {
            case .success:
                if state.queue.isEmpty, let receiver = state.receiver {
                    state.receiver = nil
                    resume.append { receiver.resume(returning: nil) }
                }
            case .failure(let error):
                for sender in state.senders { resume.append { sender.continuation.resume(throwing: error) } }
                state.senders = []
                state.queue = []
                state.weight = 0
                if let receiver = state.receiver {
                    state.receiver = nil
                    resume.append { receiver.resume(throwing: error) }
                }
            }
            return resume
        }
        for action in resume { action() }
    }
}

/// Something was sent into a channel that had been finished.
struct ChannelClosed: Error {}
