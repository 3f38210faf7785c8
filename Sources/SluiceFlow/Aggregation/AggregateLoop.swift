import SluiceCore
import Synchronization

/// What an aggregator's task does, over and over: take what came, in its order, of the streams that are let in; tell the synchronizer;
/// do what it says.
struct AggregateLoop: Sendable {
    private var synchronizer: Synchronizer
    private var aggregator: any Aggregator
    private let chainID: UInt64
    private let egress: any Egress
    private let records: (any BundleRecords)?
    private let limits: AggregateStage.Limits
    private let time: TimeSource
    private let report: @Sendable (PipeReport) async throws -> Void
    private let inbox: AggregateInbox
    private let shared: AggregateStage.Shared

    /// What is being taken.
    private var line: [AggregateInbox.Arrival] = []
    /// What the synchronizer said last.
    private var actions: [Synchronizer.Action] = []
    private var held: HeldArrivals
    /// Bytes of each stream that were taken and for which no room was given back.
    private var done: [Int]
    private var hasEnded: [Bool]
    /// Since when nothing has been done because a limit forbids it.
    private var heldSince: MonotonicTime?
    /// When the timer that is set will ring.
    private var timer: MonotonicTime?
    /// Asked for once, until something was waited for.
    private var now: MonotonicTime?

    init(
        synchronizer: Synchronizer, aggregator: any Aggregator, chainID: UInt64, egress: any Egress, records: (any BundleRecords)?,
        limits: AggregateStage.Limits, time: TimeSource, report: @escaping @Sendable (PipeReport) async throws -> Void,
        streams: Int, inbox: AggregateInbox, shared: AggregateStage.Shared
    ) {
        self.synchronizer = synchronizer
        self.aggregator = aggregator
        self.chainID = chainID
        self.egress = egress
        self.records = records
        self.limits = limits
        self.time = time
        self.report = report
        self.inbox = inbox
        self.shared = shared
        held = HeldArrivals(streams: streams)
        done = [Int](repeating: 0, count: streams)
        hasEnded = [Bool](repeating: false, count: streams)
    }

    mutating func run() async throws {
        var gathering = Gathering(capacity: inbox.capacity)
        try await withThrowingDiscardingTaskGroup { group in
            while !hasEnded.allSatisfy({ $0 }) {
                try Task.checkCancellation()
                now = nil
                let taken = try await takeLine() + takeHopeless()
                if taken > 0 {
                    gathering.took(taken, weight: giveBack())
                    continue
                }
                if let pause = gathering.pause(now: time.now()) {
                    try? await time.sleep(pause)
                    continue
                }
                setTimer(&group)
                try await inbox.wait()
                let now = time.now()
                if let timer, timer <= now { self.timer = nil }
                if let deadline = synchronizer.deadline, deadline <= now { synchronizer.on(.tick, now: now, &actions) }
                try await perform()
            }
            group.cancelAll()
        }
    }

    // MARK: - What comes next

    /// Takes all that came, of the streams that are let in. Returns how much it was.
    private mutating func takeLine() async throws -> Int {
        guard inbox.take(&line) else { return 0 }
        var taken = 0
        // From the end it is moved out, from the front it would be copied.
        line.reverse()
        while let arrival = line.popLast() {
            guard takeOrHold(arrival) else { continue }
            taken += 1
            try await performMany()
            // What it has let in came before the rest of the line.
            if held.count > 0 { taken += try await takeHeld() }
        }
        if !actions.isEmpty { try await perform() }
        return taken
    }

    /// Takes one of the line if its stream is let in, else holds it. Returns whether it was taken.
    private mutating func takeOrHold(_ arrival: consuming AggregateInbox.Arrival) -> Bool {
        if held.isEmpty(arrival.stream), letsIn(arrival.stream, isBatch: arrival.isBatch) {
            take(arrival)
            return true
        }
        held.hold(arrival)
        return false
    }

    /// Takes what was held and is let in now, the oldest first. Returns how much it was.
    private mutating func takeHeld() async throws -> Int {
        var taken = 0
        while takeOldestHeld(anyway: false) {
            taken += 1
            try await performMany()
        }
        return taken
    }

    /// Takes the oldest that is held of the streams that are let in, or of all. Returns whether there was one.
    private mutating func takeOldestHeld(anyway: Bool) -> Bool {
        var oldest: (stream: Int, stamp: UInt64)?
        for stream in done.indices {
            guard let first = held.first(stream), first.stamp < oldest?.stamp ?? .max else { continue }
            if anyway || letsIn(stream, isBatch: first.isBatch) { oldest = (stream, first.stamp) }
        }
        guard let oldest, let arrival = held.popFirst(oldest.stream) else { return false }
        take(arrival)
        return true
    }

    /// When nothing else comes, lets in the oldest that is held, if those that the policy waits for have ended or it looks as if they
    /// could not come. Returns how much was taken with it.
    private mutating func takeHopeless() async throws -> Int {
        var taken = 0
        while held.count > 0, isHopeless(), takeOldestHeld(anyway: true) {
            taken += try await 1 + takeHeld()
            if !actions.isEmpty { try await perform() }
        }
        return taken
    }

    private mutating func isHopeless() -> Bool {
        if hasEnded.indices.allSatisfy({ !synchronizer.isNeeded($0) || hasEnded[$0] }) { return true }
        let now = time.now()
        let since = heldSince ?? now
        heldSince = since
        return now - since >= limits.patience
    }

    /// Whether the next of a stream may be taken. What is no batch always may.
    private func letsIn(_ stream: Int, isBatch: Bool) -> Bool {
        if !isBatch || synchronizer.waitingBytes(stream) < limits.streamBytes { return true }
        return synchronizer.isNeeded(stream)
    }

    /// Gives back the room of what was taken, and returns how much it was.
    private mutating func giveBack() -> Int {
        inbox.release(done)
        publish()
        var weight = 0
        for stream in done.indices {
            weight += done[stream]
            done[stream] = 0
        }
        return weight
    }

    /// Has the bell rung when a wait ends.
    private mutating func setTimer(_ group: inout ThrowingDiscardingTaskGroup<any Error>) {
        let patience = heldSince.map { $0 + limits.patience }
        guard let next = [synchronizer.deadline, patience].compactMap({ $0 }).min() else { return }
        if let timer, timer <= next { return }
        timer = next
        group.addTask { [time, inbox] in
            // Cancelled with the group, when nobody listens any more.
            while !Task.isCancelled, case let rest = next - time.now(), rest > .zero { try? await time.sleep(rest) }
            inbox.ring()
        }
    }

    // MARK: - What is done

    /// Tells the synchronizer, and notes what it says.
    private mutating func take(_ arrival: AggregateInbox.Arrival) {
        heldSince = nil
        done[arrival.stream] += arrival.weight
        let stream = arrival.stream
        if arrival.isBatch, synchronizer.waitingBytes(stream) >= limits.streamBytes { shared.progress.withLock { $0.limitYields += 1 } }
        let moment = now ?? time.now()
        now = moment
        switch arrival.content {
        case .end: hasEnded[stream] = true
        case .transit(.batch(let batch)): synchronizer.on(.batch(stream: stream, batch), now: moment, &actions)
        case .transit(.rollback(let position)): synchronizer.on(.rollback(stream: stream, to: position), now: moment, &actions)
        case .transit(.finalized(let number)): synchronizer.on(.finalized(stream: stream, number), now: moment, &actions)
        }
    }

    /// Does what came together when it has become much. What is said of one line is done at once: records cost a transaction, however
    /// many they are.
    private mutating func performMany() async throws { if actions.count >= Self.many { try await perform() } }

    private static let many = 64

    private mutating func perform() async throws {
        // Others may take their time.
        now = nil
        publish()
        if let records {
            let made = actions.compactMap { if case .emit(_, let record) = $0 { record } else { nil } }
            if !made.isEmpty { try await records.remember(made) }
        }
        for index in actions.indices {
            switch actions[index] {
            case .emit(let bundle, _):
                var said = PipeReport()
                let tables = try aggregator.aggregate(bundle, report: &said)
                if !said.filtered.isEmpty || !said.deadLetters.isEmpty { try await report(said) }
                try await egress.send(.batch(Batch(chainID: chainID, span: bundle.span, tables: tables)))
            case .rollback(let bundle):
                aggregator.rollback(toBundle: bundle.number == 0 ? nil : bundle.number)
                try await egress.send(.rollback(to: bundle))
            case .finalized(let number):
                try await records?.finalize(throughBundle: number)
                try await egress.send(.finalized(number))
            case .fail(let error): throw error
            }
        }
        actions.removeAll(keepingCapacity: true)
    }

    /// Tells whoever watches.
    private func publish() {
        shared.progress.withLock { progress in
            progress.head = synchronizer.head
            progress.counts = synchronizer.counts
            for stream in done.indices { progress.waitingBytes[stream] = synchronizer.waitingBytes(stream) }
        }
    }
}
