import SluiceCore

/// The policies that go by heights and times alone.
extension Synchronizer {
    func aligned(tolerance: UInt64, byHeight: Bool, _ resolution: Resolution) -> Verdict {
        var (lowest, highest, count) = (UInt64.max, UInt64.min, 0)
        var since: MonotonicTime?
        for stream in streams.indices {
            guard let number = front(stream) else { continue }
            let entry = streams[stream].entry(number)
            let key = byHeight ? number : entry.timestamp
            if key < log.last.marks[stream].lateBelow {
                return .step(passOver(.late, { $0 == stream ? self.log.last.marks[stream].lateBelow : 0 }, byHeight))
            }
            (lowest, highest, count) = (min(lowest, key), max(highest, key), count + 1)
            since = min(since ?? entry.since, entry.since)
        }
        guard let since else { return .idle }
        if highest - lowest > tolerance {
            // Later blocks of the stream that is furthest lie further still: what is too far below it now will stay without company.
            var step = passOver(.unmatched, { _ in highest - tolerance }, byHeight)
            for stream in streams.indices {
                guard let number = front(stream), (byHeight ? number : streams[stream].entry(number).timestamp) == highest else { continue }
                step.marks[stream].seen = max(step.marks[stream].seen, number + 1)
                break
            }
            return .step(step)
        }
        if count < streams.count, resolution == .whole { return .waiting(since: since) }
        var step = Step(marks: log.last.marks, isPartial: count < streams.count)
        if resolution == .skip { step.kind = .passedOver(.timedOut, count) }
        step.inputs.reserveCapacity(streams.count)
        for stream in streams.indices {
            guard let number = front(stream) else {
                step.inputs.append([])
                let (end, isBeyond) = lowest.addingReportingOverflow(tolerance)
                step.marks[stream].lateBelow = isBeyond || end == .max ? .max : end + 1
                continue
            }
            step.inputs.append([streams[stream].batch(number)])
            step.marks[stream].taken = number + 1
        }
        return .step(step)
    }

    func window(_ seconds: UInt64, _ resolution: Resolution) -> Verdict {
        for stream in streams.indices {
            guard let number = front(stream) else { continue }
            let end = log.last.marks[stream].lateBelow
            if streams[stream].entry(number).timestamp < end { return .step(passOver(.late, { $0 == stream ? end : 0 }, false)) }
        }
        guard let end = windowEnd(seconds) else { return .idle }
        var behind = 0
        for stream in streams.indices where isBehind(end, stream) { behind += 1 }
        if behind == 0 { return .idle }
        if behind < streams.count, resolution == .whole {
            guard policy.timeout.duration != nil else { return .idle }
            return .waiting(since: firstBehind(end))
        }
        var step = Step(marks: log.last.marks, isPartial: behind < streams.count)
        var taken = 0
        for stream in streams.indices {
            let isBehind = isBehind(end, stream)
            if !isBehind { step.marks[stream].lateBelow = max(step.marks[stream].lateBelow, end) }
            guard let first = front(stream) else {
                step.inputs.append([])
                continue
            }
            var number = first
            while number < streams[stream].visible, streams[stream].entry(number).timestamp < end { number += 1 }
            step.inputs.append(resolution == .skip ? [] : batches(stream, first..<number))
            if number > first { step.marks[stream].taken = number }
            if isBehind { step.marks[stream].seen = max(step.marks[stream].seen, number + 1) }
            taken += Int(number - first)
        }
        if resolution == .skip { step.kind = .passedOver(.timedOut, taken) }
        return .step(step)
    }

    /// Where the window of the oldest block that waits ends.
    func windowEnd(_ seconds: UInt64) -> UInt64? {
        var oldest: UInt64?
        for stream in streams.indices {
            guard let number = front(stream) else { continue }
            let time = streams[stream].entry(number).timestamp
            oldest = min(oldest ?? time, time)
        }
        guard let oldest else { return nil }
        let (end, isBeyond) = (oldest - oldest % seconds).addingReportingOverflow(seconds)
        return isBeyond ? .max : end
    }

    /// Whether a stream has come to the end of a window.
    func isBehind(_ end: UInt64, _ stream: Int) -> Bool {
        front(stream) != nil && streams[stream].entry(streams[stream].visible - 1).reached >= end
    }

    /// When the first stream came to the end of a window.
    private func firstBehind(_ end: UInt64) -> MonotonicTime {
        var since: MonotonicTime?
        for stream in streams.indices where isBehind(end, stream) {
            var (low, high) = (front(stream) ?? 0, streams[stream].visible - 1)
            while low < high {
                let middle = low + (high - low) / 2
                if streams[stream].entry(middle).reached >= end { high = middle } else { low = middle + 1 }
            }
            let time = streams[stream].entry(low).since
            since = min(since ?? time, time)
        }
        return since ?? .zero
    }

    /// Takes the blocks of each stream that lie below a limit out of the way.
    private func passOver(_ reason: PassedOver, _ limit: (Int) -> UInt64, _ byHeight: Bool) -> Step {
        var step = Step(marks: log.last.marks)
        var count = 0
        for stream in streams.indices {
            guard let first = front(stream) else { continue }
            var number = first
            while number < streams[stream].visible, (byHeight ? number : streams[stream].entry(number).timestamp) < limit(stream) {
                number += 1
            }
            guard number > first else { continue }
            step.marks[stream].taken = number
            count += Int(number - first)
        }
        step.kind = .passedOver(reason, count)
        return step
    }
}
