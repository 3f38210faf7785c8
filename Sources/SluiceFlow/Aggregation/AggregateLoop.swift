import SluiceCore
import Synchronization

/// What an aggregator's task does, over and over: take what came first, of the streams that are let in; tell the synchronizer; do
/// what it says.
struct AggregateLoop: Sendable {
    private var synchronizer: Synchronizer
    private var aggregator: any Aggregator
    private let chainID: UInt64
    private let egress: any Egress
    private let records: (any BundleRecords)?
    private let limits: AggregateStage.Limits
    private let time: TimeSource
    private let report: @Sendable (PipeReport) async throws -> Void
    private let ingresses: [AggregateIngress]
    private let bell: Doorbell
    private let shared: AggregateStage.Shared

    /// The next of each stream.
    private var hands: [AggregateIngress.Arrival?]
    private var hasEnded: [Bool]
    /// Since when nothing has been done because a limit forbids it.
    private var heldSince: MonotonicTime?
    /// When the timer that is set will ring.
    private var timer: MonotonicTime?

    init(
        synchronizer: Synchronizer, aggregator: any Aggregator, chainID: UInt64, egress: any Egress, records: (any BundleRecords)?,
        limits: AggregateStage.Limits, time: TimeSource, report: @escaping @Sendable (PipeReport) async throws -> Void,
        ingresses: [AggregateIngress], bell: Doorbell, shared: AggregateStage.Shared
    ) {
        self.synchronizer = synchronizer
        self.aggregator = aggregator
        self.chainID = chainID
        self.egress = egress
        self.records = records
        self.limits = limits
        self.time = time
        self.report = report
        self.ingresses = ingresses
        self.bell = bell
        self.shared = shared
        hands = ingresses.map { _ in nil }
        hasEnded = ingresses.map { _ in false }
    }

    mutating func run() async throws {
        var gathering = Gathering()
        try await withThrowingDiscardingTaskGroup { group in
            while !hasEnded.allSatisfy({ $0 }) {
                try Task.checkCancellation()
                if let stream = choose() {
                    heldSince = nil
                    gathering.took()
                    try await take(stream)
                    continue
                }
                if let pause = gathering.pause(now: time.now()) {
                    try? await time.sleep(pause)
                    continue
                }
                setTimer(&group)
                try await bell.wait()
                let now = time.now()
                if let timer, timer <= now { self.timer = nil }
                if let deadline = synchronizer.deadline, deadline <= now { try await perform(synchronizer.on(.tick, now: now)) }
            }
            group.cancelAll()
        }
    }

    // MARK: - What comes next

    /// The stream whose next comes first of those that are let in; nil when there is none.
    private mutating func choose() -> Int? {
        var chosen: Int?
        var held: Int?
        for stream in ingresses.indices {
            if hands[stream] == nil { hands[stream] = ingresses[stream].receiveNow() }
            guard let arrival = hands[stream] else { continue }
            let isHeld = isOverLimit(stream, arrival) && !synchronizer.isNeeded(stream)
            let best = isHeld ? held : chosen
            guard best.flatMap({ hands[$0]?.stamp }).map({ arrival.stamp < $0 }) ?? true else { continue }
            if isHeld { held = stream } else { chosen = stream }
        }
        if let chosen {
            if let arrival = hands[chosen], isOverLimit(chosen, arrival) { shared.progress.withLock { $0.limitYields += 1 } }
            return chosen
        }
        guard let held else { return nil }
        let now = time.now()
        let since = heldSince ?? now
        heldSince = since
        // Those that the policy waits for have ended, or it looks as if they could not come.
        let isHopeless = ingresses.indices.allSatisfy { !synchronizer.isNeeded($0) || hasEnded[$0] }
        guard isHopeless || now - since >= limits.patience else { return nil }
        shared.progress.withLock { $0.limitYields += 1 }
        return held
    }

    private func isOverLimit(_ stream: Int, _ arrival: AggregateIngress.Arrival) -> Bool {
        guard case .transit(.batch) = arrival.content else { return false }
        return synchronizer.waitingBytes(stream) >= limits.streamBytes
    }

    /// Has the bell rung when a wait ends.
    private mutating func setTimer(_ group: inout ThrowingDiscardingTaskGroup<any Error>) {
        let patience = heldSince.map { $0 + limits.patience }
        guard let next = [synchronizer.deadline, patience].compactMap({ $0 }).min() else { return }
        if let timer, timer <= next { return }
        timer = next
        group.addTask { [time, bell] in
            // Cancelled with the group, when nobody listens any more.
            while !Task.isCancelled, case let rest = next - time.now(), rest > .zero { try? await time.sleep(rest) }
            bell.ring()
        }
    }

    // MARK: - What is done

    private mutating func take(_ stream: Int) async throws {
        guard let arrival = hands[stream] else { return }
        hands[stream] = nil
        switch arrival.content {
        case .end: hasEnded[stream] = true
        case .transit(.batch(let batch)): try await perform(synchronizer.on(.batch(stream: stream, batch), now: time.now()))
        case .transit(.rollback(let position)):
            try await perform(synchronizer.on(.rollback(stream: stream, to: position), now: time.now()))
        case .transit(.finalized(let number)):
            try await perform(synchronizer.on(.finalized(stream: stream, number), now: time.now()))
        }
    }

    private mutating func perform(_ actions: [Synchronizer.Action]) async throws {
        for action in actions {
            switch action {
            case .emit(let bundle, let record): try await emit(bundle, record)
            case .rollback(let bundle):
                aggregator.rollback(toBundle: bundle.number == 0 ? nil : bundle.number)
                try await egress.send(.rollback(to: bundle))
            case .finalized(let number):
                try await records?.finalize(throughBundle: number)
                try await egress.send(.finalized(number))
            case .fail(let error): throw error
            }
        }
        shared.progress.withLock { progress in
            progress.head = synchronizer.head
            progress.counts = synchronizer.counts
            for stream in ingresses.indices { progress.waitingBytes[stream] = synchronizer.waitingBytes(stream) }
        }
    }

    private mutating func emit(_ bundle: Bundle, _ record: BundleRecord) async throws {
        var said = PipeReport()
        let tables = try aggregator.aggregate(bundle, report: &said)
        if !said.filtered.isEmpty || !said.deadLetters.isEmpty { try await report(said) }
        try await records?.remember(record)
        try await egress.send(.batch(Batch(chainID: chainID, span: bundle.span, tables: tables)))
    }
}
