public import SluiceCore
import Synchronization

/// An edge of the graph: many senders, one reader, bounded by the weight of what waits. What it does when it is full is its policy.
/// (`AsyncStream` cannot suspend: its `yield` says "full" but has no way to say "go on".)
///
/// As long as there is room, or something to receive, neither side suspends or allocates.
public final class Edge: Sendable {
    private struct Disk: Sendable {
        let files: SpillFiles
        let thread: WorkerThread
    }

    /// Bytes that may wait for the reader in memory.
    let capacity: Int
    private let state: Mutex<EdgeState>
    private let disk: Disk?
    private let onTrouble: @Sendable (SluiceError) -> Void

    /// - Parameters:
    ///   - capacity: bytes that may wait for the reader in memory. One batch that is heavier alone may pass when nothing else waits. An edge
    ///     that spills holds as many again on their way to the disk.
    ///   - onTrouble: called once when the disk refuses: nothing is lost, and the edge suspends its senders from then on. From a
    ///     thread of the edge's own.
    public convenience init(
        capacity: Int, policy: EdgePolicy = .block, onTrouble: @escaping @Sendable (SluiceError) -> Void = { _ in }
    ) {
        self.init(capacity: capacity, policy: policy, calls: SpillCalls(), onTrouble: onTrouble)
    }

    init(capacity: Int, policy: EdgePolicy, calls: SpillCalls, onTrouble: @escaping @Sendable (SluiceError) -> Void) {
        precondition(capacity > 0, "an edge without room")
        self.capacity = capacity
        self.onTrouble = onTrouble
        state = Mutex(EdgeState(capacity: capacity, policy: policy))
        if case .spill(let space) = policy {
            disk = Disk(files: SpillFiles(space, calls: calls), thread: WorkerThread(name: "spill"))
            carryOut(state.withLock { $0.begin() })
        } else {
            disk = nil
        }
    }

    deinit {
        // What nobody will read is worth nothing to the next run.
        if let disk { disk.thread.run { [files = disk.files] in files.removeAll() } }
    }

    /// What went along the edge, and what waits now.
    public var accounts: EdgeAccounts { state.withLock { $0.accounts } }

    /// Whether nothing waits, neither in memory nor on disk.
    public var isIdle: Bool { state.withLock { $0.isEmpty } }

    // MARK: sending

    /// Hands a transit over; what happens when there is no room is up to the policy. Throws when the edge ended or the task is cancelled.
    public func send(_ transit: Transit) async throws {
        let item = EdgeItem(transit)
        switch offer(item) {
        case .taken: return
        case .refused(let error): throw error
        case .full: try await wait(with: item)
        }
    }

    /// The same for who will not wait: returns false when nothing was handed over, because there is no room or nothing is taken any
    /// more. `send` does the one and says the other.
    func sendNow(_ transit: Transit) -> Bool {
        if case .taken = offer(EdgeItem(transit)) { return true }
        return false
    }

    private func offer(_ item: EdgeItem) -> EdgeState.Offer {
        let isCancelled = Task.isCancelled
        var wake: EdgeWake?
        let offer = state.withLock { $0.offer(item, isCancelled: isCancelled, &wake) }
        if let wake { carryOut(wake) }
        return offer
    }

    private func wait(with item: EdgeItem) async throws {
        let id = state.withLock { $0.ticket() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                // There may be room by now. A task that is cancelled after this question finds its sender in the line.
                var wake: EdgeWake?
                let offer = state.withLock { state in
                    let offer = state.offer(item, isCancelled: Task.isCancelled, &wake)
                    if case .full = offer { state.suspend(EdgeState.Sender(id: id, item: item, waiter: Waiter(continuation))) }
                    return offer
                }
                if let wake { carryOut(wake) }
                switch offer {
                case .taken: continuation.resume()
                case .refused(let error): continuation.resume(throwing: error)
                case .full: break
                }
            }
        } onCancel: {
            guard let (sender, wake) = state.withLock({ $0.withdraw(id) }) else { return }
            sender.waiter.resume(throwing: CancellationError())
            carryOut(wake)
        }
    }

    // MARK: receiving

    /// The next transit; nil when the edge was finished and is empty. Suspends while there is none.
    public func receive() async throws -> Transit? {
        var wake: EdgeWake?
        let next = state.withLock { $0.take(&wake) }
        if let wake { carryOut(wake) }
        switch next {
        case .transit(let transit): return transit
        case .end: return nil
        case .failed(let error): throw error
        case .none: return try await wait()
        }
    }

    private func wait() async throws -> Transit? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Transit?, any Error>) in
                var wake: EdgeWake?
                let next: EdgeState.Next? = state.withLock { state in
                    let next = state.take(&wake)
                    guard case .none = next else { return next }
                    if Task.isCancelled { return .failed(CancellationError()) }
                    state.await(Waiter(continuation))
                    return nil
                }
                if let wake { carryOut(wake) }
                switch next {
                case .transit(let transit): continuation.resume(returning: transit)
                case .end: continuation.resume(returning: nil)
                case .failed(let error): continuation.resume(throwing: error)
                case .some(.none), nil: break
                }
            }
        } onCancel: {
            state.withLock { $0.withdrawReceiver() }?.resume(throwing: CancellationError())
        }
    }

    /// The next transit if there is one in memory now. Nil too when the edge failed: `receive` says why.
    public func receiveNow() -> Transit? {
        var wake: EdgeWake?
        let transit = state.withLock { $0.takeNow(&wake) }
        if let wake { carryOut(wake) }
        return transit
    }

    // MARK: ending

    /// Nothing more will be sent; what waits is still received.
    public func finish() { carryOut(state.withLock { $0.close(.success(())) }) }

    /// Something went wrong: both sides see the error, what waits is dropped with the run it belonged to.
    public func fail(_ error: any Error) { carryOut(state.withLock { $0.close(.failure(error)) }) }

    /// Carries out what a change has led to.
    private func carryOut(_ wake: EdgeWake) {
        wake.resume()
        if wake.startsThread { disk?.thread.run { self.work() } }
    }

    // MARK: the edge's thread

    private func work() {
        guard let files = disk?.files else { return }
        while let job = state.withLock({ $0.nextJob() }) {
            switch job {
            case .open:
                do throws(SluiceError) {
                    try files.open()
                    carryOut(state.withLock { $0.opened(true) })
                } catch {
                    carryOut(state.withLock { $0.opened(false) })
                    onTrouble(error)
                }
            case .write(let items):
                let written = files.append(items)
                carryOut(state.withLock { $0.written(written) })
                if let error = written.error { onTrouble(error) }
            case .load(let room, let takesOne):
                do throws(SluiceError) {
                    let loaded = try files.read(room: room, takesOne: takesOne)
                    carryOut(state.withLock { $0.loaded(loaded) })
                } catch {
                    carryOut(state.withLock { $0.close(.failure(error), always: true) })
                }
            case .discard:
                files.removeAll()
                state.withLock { $0.discarded() }
            }
        }
    }
}
