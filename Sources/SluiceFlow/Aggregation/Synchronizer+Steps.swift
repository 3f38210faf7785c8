import SluiceCore

extension Synchronizer {
    /// A step that is due.
    struct Step {
        var kind = Decision.Kind.bundle
        var marks: [StreamMark]
        var inputs: [[Batch]] = []
        var isPartial = false
    }

    /// What a policy says of the blocks that are there.
    enum Verdict {
        /// Nothing waits.
        case idle
        /// Some streams have waited for others since then.
        case waiting(since: MonotonicTime)
        case step(Step)
    }

    /// What becomes of those that wait.
    enum Resolution {
        /// They go on waiting.
        case whole
        /// They make a bundle without the others.
        case partial
        /// They are given up.
        case skip
    }

    func verdict(_ resolution: Resolution) -> Verdict {
        switch policy {
        case .onUpdate(let trigger, let others, _): onUpdate(trigger, others, resolution)
        case .latestOfEach(let timeout): latestOfEach(timeout, resolution)
        case .alignedByHeight: aligned(tolerance: 0, byHeight: true, resolution)
        case .alignedByTime(let tolerance, _): aligned(tolerance: tolerance, byHeight: false, resolution)
        case .window(let seconds, _): window(seconds, resolution)
        }
    }

    /// Whether the policy waits for this stream: then it must be let in, however much of it is there.
    public func isNeeded(_ stream: Int) -> Bool {
        // It is not yet back where it was in another process.
        if streams[stream].next ?? 0 < log.last.marks[stream].taken { return true }
        switch policy {
        case .onUpdate(let trigger, let others, _):
            if front(trigger) == nil { return stream == trigger }
            return stream != trigger && front(stream) == nil && others.cardinality(of: stream, trigger) == .atLeastOne
        case .latestOfEach: return true
        case .alignedByHeight, .alignedByTime: return front(stream) == nil
        case .window(let seconds, _):
            guard let end = windowEnd(seconds) else { return true }
            return !isBehind(end, stream)
        }
    }

    /// The first block of a stream that waits.
    func front(_ stream: Int) -> UInt64? { streams[stream].front(taken: log.last.marks[stream].taken) }

    func batches(_ stream: Int, _ numbers: Range<UInt64>) -> [Batch] { numbers.map { streams[stream].batch($0) } }
}

extension [Cardinality] {
    /// What is asked of a stream beside the trigger.
    func cardinality(of stream: Int, _ trigger: Int) -> Cardinality {
        count == 1 ? self[0] : self[stream < trigger ? stream : stream - 1]
    }
}

extension SynchronizationPolicy {
    /// Whether the newest block of a stream is asked for after it was taken.
    var keepsNewest: Bool {
        if case .latestOfEach = self { return true }
        return false
    }

    /// - Throws: `aggregation_policy` (class `config`) when the policy makes no sense for so many streams.
    func check(streams count: Int) throws(SluiceError) {
        func wrong(_ message: String) -> SluiceError { SluiceError(.aggregationPolicy, .config, "synchronizing streams: \(message)") }
        if count < 1 { throw wrong("there is none") }
        if let duration = timeout.duration, duration < .zero { throw wrong("the timeout is negative") }
        switch self {
        case .onUpdate(let trigger, let others, _):
            guard (0..<count).contains(trigger) else { throw wrong("stream \(trigger) is to trigger, and there are \(count)") }
            guard others.count == 1 || others.count == count - 1 else {
                throw wrong("\(others.count) cardinalities for \(count - 1) streams beside the trigger")
            }
        case .window(let seconds, _):
            if seconds == 0 { throw wrong("the window has no length") }
        case .latestOfEach, .alignedByHeight, .alignedByTime: break
        }
    }
}
