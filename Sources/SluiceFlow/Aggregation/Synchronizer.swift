public import SluiceCore

/// Combines the blocks of several streams into bundles, as a policy says, and takes bundles back when blocks are orphaned.
///
/// Pure: the driver tells what came along the streams and what time it is with ``on(_:now:)``, and does what the returned actions say,
/// in order.
///
/// **An orphaned block leaves no trace.** Every step rests on blocks: those of a bundle, and those that showed that nothing more would
/// come for it (the block that ends a window). When one of them is orphaned, the step is undone and all that came behind it; the
/// blocks that remain are gone through once more in the order of their arrival. What comes out is what would have come out
/// if the orphaned blocks had never arrived. Only waiting begins anew: a stream that lost blocks is given the whole timeout to send others.
///
/// **Memory** holds what may still be undone, and what waits. A bundle is final when all the blocks that it rests on are; then it and
/// its blocks are forgotten. A stream that is never told to be final keeps all of its own.
///
/// **Another process** goes on from the records of the bundles that it may have to undo, headed by that of the last final one
/// (``init(policy:streams:resuming:)``), when each stream is read again from ``readFrom``. Blocks that are in those bundles already are
/// only remembered; where another block turns up in their place, the bundles are undone.
public struct Synchronizer: Sendable {
    /// What happened.
    public enum Event: Sendable {
        case batch(stream: Int, Batch)
        case rollback(stream: Int, to: Position)
        case finalized(stream: Int, UInt64)
        /// Time has passed: ``Synchronizer/deadline`` was reached.
        case tick
    }

    /// What the driver does.
    public enum Action: Sendable {
        case emit(Bundle, BundleRecord)
        /// The bundles behind this one are undone; number 0 is before the first.
        case rollback(toBundle: BlockRef)
        /// The bundles up to this number will not be undone.
        case finalized(UInt64)
        /// Nothing more is done.
        case fail(SluiceError)
    }

    /// Why a block is in no bundle.
    public enum PassedOver: String, Hashable, Sendable, CaseIterable {
        /// It came when the wait for it had been given up.
        case late
        /// No block of the other streams goes with it.
        case unmatched
        /// A newer block of its stream came before there was any bundle.
        case superseded
        /// The wait for the others was given up, and it with it.
        case timedOut = "timed_out"
    }

    /// What was done so far, in this process.
    public struct Counts: Hashable, Sendable {
        /// Bundles that went out, those undone since among them.
        public var bundles: UInt64 = 0
        public var partial: UInt64 = 0
        public var undone: UInt64 = 0
        /// Blocks that are in no bundle as things stand.
        public var passedOver: [PassedOver: Int] = [:]
    }

    public let policy: SynchronizationPolicy
    /// Where each stream must be read from, exclusively; nil for where it begins.
    public let readFrom: [Position?]
    /// When the driver must tell `.tick` if nothing happens before; nil when nothing depends on it.
    public internal(set) var deadline: MonotonicTime?
    public internal(set) var counts = Counts()

    var streams: [StreamLog]
    var log: DecisionLog
    /// Since when a newest block is in no bundle, because other streams have none.
    var unreported: MonotonicTime?
    /// Bytes that wait, a stream.
    var waiting: [Int]
    private var isHalted = false
    /// The last reorganisation: who waits begins anew.
    private var restarted: MonotonicTime?
    /// Counts the blocks of all streams.
    private var arrivals: UInt64 = 0
    /// The last block that counts: the same, but for the time in which blocks are gone through once more.
    private var moment: UInt64 = 0

    /// - Parameter records: the last bundle that was final, and all behind it that a store holds, in ascending order; the first may be
    ///   missing when it is the first of all. Empty to begin.
    /// - Throws: `aggregation_policy` (class `config`) when policy and streams do not fit; `bundle_records` (class `data`) when the records
    ///   are not of these streams, or have a hole.
    public init(policy: SynchronizationPolicy, streams count: Int, resuming records: [BundleRecord] = []) throws(SluiceError) {
        try policy.check(streams: count)
        try BundleRecord.check(records, streams: count)
        self.policy = policy
        let (log, streams) = Self.restore(records, streams: count)
        self.log = log
        self.streams = streams
        readFrom = streams.map { log in log.next.flatMap { log.ref($0 - 1) } }
        waiting = [Int](repeating: 0, count: count)
    }

    /// The last bundle; number 0 before the first.
    public var head: BlockRef { log.last.bundle }

    /// Bytes of blocks of a stream that wait for others.
    public func waitingBytes(_ stream: Int) -> Int { waiting[stream] }

    /// What is kept because it may have to be undone, or waits: bundles and other steps, and blocks of all streams.
    public var remembered: (steps: Int, blocks: Int) { (log.open.count, streams.reduce(0) { $0 + $1.entries.count }) }

    /// Takes what happened, and says what to do about it, in order.
    public mutating func on(_ event: Event, now: MonotonicTime) -> [Action] {
        var actions: [Action] = []
        on(event, now: now, &actions)
        return actions
    }

    /// The same, for a driver that keeps the list.
    mutating func on(_ event: Event, now: MonotonicTime, _ actions: inout [Action]) {
        guard !isHalted else { return }
        do throws(SluiceError) {
            switch event {
            case .batch(let stream, let batch):
                guard batch.span.first < .max - UInt64(batch.span.count) else {
                    throw .streamBroken(stream, at: batch.span.first, expected: streams[stream].next)
                }
                if batch.span.count == 1 {
                    try take(batch, stream, now, &actions)
                } else {
                    for block in batch.blocks() { try take(block, stream, now, &actions) }
                }
            case .rollback(let stream, let position):
                try rollback(stream, to: position, now, &actions)
                try advance(now, &actions)
            case .finalized(let stream, let number): streams[stream].finalize(through: number)
            case .tick: try advance(now, &actions)
            }
            settle(&actions)
        } catch {
            isHalted = true
            deadline = nil
            actions.append(.fail(error))
        }
    }

    // MARK: - What comes in

    private mutating func take(
        _ batch: Batch, _ stream: Int, _ now: MonotonicTime, _ actions: inout [Action]
    ) throws(SluiceError) {
        let span = batch.span
        guard streams[stream].accepts(span) else { throw .streamBroken(stream, at: span.first, expected: streams[stream].next) }
        let stamp = span.block(0)
        if streams[stream].contradicts(span.first, stamp.hash) {
            // The block before is the same still, or it would have been contradicted itself.
            guard span.first > 0 else { throw .streamBroken(stream, at: 0, expected: nil) }
            try orphan(stream, behind: Position(number: span.first - 1, hash: span.parentHash), now, &actions)
        }
        arrivals += 1
        moment = arrivals
        let timestamp = min(stamp.timestamp, .max - 1)
        let entry = StreamLog.Entry(
            hash: stamp.hash, timestamp: timestamp, reached: max(timestamp, streams[stream].entries.last?.reached ?? 0),
            arrival: arrivals, since: now, weight: 1024 + batch.byteCount)
        streams[stream].append(batch, entry)
        if span.first >= log.last.marks[stream].taken { waiting[stream] += entry.weight }
        try advance(now, &actions)
    }

    private mutating func rollback(
        _ stream: Int, to position: Position, _ now: MonotonicTime, _ actions: inout [Action]
    ) throws(SluiceError) {
        if let began = streams[stream].began, position.number <= began.number {
            // Nothing of it stands: what comes next may begin elsewhere.
            try orphan(stream, behind: began, now, &actions)
            return streams[stream].restart()
        }
        let (next, known) = (streams[stream].next, streams[stream].ref(position.number))
        guard position.number < next ?? .max, known == nil || known == position else {
            throw .streamBroken(stream, at: position.number, expected: next)
        }
        if position.number + 1 == next { return }
        try orphan(stream, behind: position, now, &actions)
    }

    // MARK: - What is undone

    private mutating func orphan(
        _ stream: Int, behind position: Position, _ now: MonotonicTime, _ actions: inout [Action]
    ) throws(SluiceError) {
        let number = position.number + 1
        guard log.ground.marks[stream].seen <= number else { throw .bundleBeyondFinality(stream, position, bundle: log.ground.bundle) }
        streams[stream].truncate(to: position)
        restarted = now
        let undone = log.undo(stream: stream, from: number)
        for decision in undone {
            switch decision.kind {
            case .bundle: counts.undone += 1
            case .passedOver(let reason, let count): counts.passedOver[reason, default: 0] -= count
            case .held: break
            }
        }
        weigh()
        guard let last = undone.first else { return }
        unreported = log.last.kind == .bundle ? nil : now
        if last.bundle != log.last.bundle { actions.append(.rollback(toBundle: log.last.bundle)) }
        try replay(&actions)
    }

    /// Goes through what came after the last step that stands once more, in the order of its arrival.
    private mutating func replay(_ actions: inout [Action]) throws(SluiceError) {
        for stream in streams.indices { streams[stream].hide(after: log.last.moment) }
        weigh()
        while true {
            var oldest: (stream: Int, arrival: UInt64)?
            for stream in streams.indices {
                guard let arrival = streams[stream].hiddenArrival, oldest.map({ arrival < $0.arrival }) ?? true else { continue }
                oldest = (stream, arrival)
            }
            guard let oldest else { break }
            moment = oldest.arrival
            streams[oldest.stream].visible += 1
            // Time stands still: what waits will wait from now on.
            try advance(nil, &actions)
        }
        moment = arrivals
    }

    private mutating func weigh() {
        for stream in streams.indices {
            let log = streams[stream]
            let taken = self.log.last.marks[stream].taken
            waiting[stream] = 0
            for index in 0..<log.entries.count where log.first + UInt64(index) >= taken { waiting[stream] += log.entries[index].weight }
        }
    }

    // MARK: - What follows

    /// Makes the steps that are due. Without a time, nobody's patience ends.
    private mutating func advance(_ now: MonotonicTime?, _ actions: inout [Action]) throws(SluiceError) {
        deadline = nil
        while true {
            var step: Step
            switch verdict(.whole) {
            case .idle: return
            case .step(let due): step = due
            case .waiting(let since):
                guard let now, let patience = policy.timeout.duration else { return }
                let end = max(since, restarted ?? since) + patience
                guard end <= now else {
                    deadline = end
                    return
                }
                if case .fail = policy.timeout { throw .streamMissing(policy, patience) }
                var resolution = Resolution.partial
                if case .skip = policy.timeout { resolution = .skip }
                guard case .step(let due) = verdict(resolution) else { return }
                step = due
            }
            make(&step, now, &actions)
        }
    }

    private mutating func make(_ step: inout Step, _ now: MonotonicTime?, _ actions: inout [Action]) {
        let before = log.last
        for stream in streams.indices where step.marks[stream].taken > before.marks[stream].taken {
            step.marks[stream].seen = max(step.marks[stream].seen, step.marks[stream].taken)
            let first = max(before.marks[stream].taken, streams[stream].first)
            for number in first..<step.marks[stream].taken { waiting[stream] -= streams[stream].entry(number).weight }
        }
        guard case .bundle = step.kind else {
            if case .passedOver(let reason, let count) = step.kind { counts.passedOver[reason, default: 0] += count }
            if unreported == nil { unreported = now ?? restarted }
            log.append(Decision(kind: step.kind, bundle: before.bundle, moment: moment, marks: step.marks))
            return
        }
        unreported = nil
        let bundle = Bundle(following: before.bundle, inputs: step.inputs, isPartial: step.isPartial)
        log.append(Decision(kind: .bundle, bundle: bundle.ref, moment: moment, marks: step.marks))
        counts.bundles += 1
        if step.isPartial { counts.partial += 1 }
        actions.append(.emit(bundle, record(of: bundle.ref, parentHash: bundle.parentHash, step.marks)))
    }

    private mutating func settle(_ actions: inout [Action]) {
        let before = log.ground.bundle.number
        var isSettled = false
        while !log.open.isEmpty, isFinal(log.open[0]) {
            log.settle()
            isSettled = true
        }
        guard isSettled else { return }
        for stream in streams.indices {
            let taken = log.ground.marks[stream].taken
            streams[stream].prune(below: taken - min(taken, policy.keepsNewest ? 1 : 0))
        }
        if log.ground.bundle.number > before { actions.append(.finalized(log.ground.bundle.number)) }
    }

    private func isFinal(_ decision: Decision) -> Bool {
        streams.indices.allSatisfy { streams[$0].isFinal(below: decision.marks[$0].seen) }
    }
}
