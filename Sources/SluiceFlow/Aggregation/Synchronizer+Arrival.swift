import SluiceCore

/// The policies that go by the order of arrival.
extension Synchronizer {
    func onUpdate(_ trigger: Int, _ others: [Cardinality], _ resolution: Resolution) -> Verdict {
        guard let update = front(trigger) else { return .idle }
        var isPartial = false
        for stream in streams.indices where stream != trigger && front(stream) == nil {
            if others.cardinality(of: stream, trigger) == .atLeastOne { isPartial = true }
        }
        if isPartial, resolution == .whole { return .waiting(since: streams[trigger].entry(update).since) }
        var step = Step(marks: log.last.marks, isPartial: isPartial)
        if resolution == .skip {
            // The others have done nothing wrong: they go with the next update.
            step.marks[trigger].taken = update + 1
            step.kind = .passedOver(.timedOut, 1)
            return .step(step)
        }
        step.inputs.reserveCapacity(streams.count)
        for stream in streams.indices {
            guard let first = front(stream) else {
                step.inputs.append([])
                continue
            }
            var end = streams[stream].visible
            if stream == trigger || others.cardinality(of: stream, trigger) == .atMostOne { end = first + 1 }
            step.inputs.append(end == first + 1 ? [streams[stream].batch(first)] : batches(stream, first..<end))
            step.marks[stream].taken = end
        }
        return .step(step)
    }

    func latestOfEach(_ timeout: Timeout, _ resolution: Resolution) -> Verdict {
        let marks = log.last.marks
        var update: (stream: Int, number: UInt64, arrival: UInt64)?
        for stream in streams.indices {
            guard let number = front(stream) else { continue }
            let arrival = streams[stream].entry(number).arrival
            if update.map({ arrival < $0.arrival }) ?? true { update = (stream, number, arrival) }
        }
        guard let update else {
            // There is nothing to give up: what is there will be in the first bundle.
            if case .skip = timeout { return .idle }
            guard let unreported, marks.contains(where: { $0.taken == 0 }) else { return .idle }
            if resolution == .whole { return .waiting(since: unreported) }
            return newest(marks, isPartial: true).map { .step($0) } ?? .idle
        }
        var after = marks
        after[update.stream].taken = update.number + 1
        if after.contains(where: { $0.taken == 0 }) {
            // The first of its stream takes the place of nothing.
            let isFirst = marks[update.stream].taken == 0 || unreported == nil
            return .step(Step(kind: isFirst ? .held : .passedOver(.superseded, 1), marks: after))
        }
        return newest(after, isPartial: false).map { .step($0) } ?? .idle
    }

    /// A bundle of the newest block of each stream; nil when one of them has not been read again yet.
    private func newest(_ marks: [StreamMark], isPartial: Bool) -> Step? {
        var step = Step(marks: marks, isPartial: isPartial)
        step.inputs.reserveCapacity(streams.count)
        for stream in streams.indices {
            guard marks[stream].taken > 0 else {
                step.inputs.append([])
                continue
            }
            let number = marks[stream].taken - 1
            guard streams[stream].holds(number) else { return nil }
            step.inputs.append([streams[stream].batch(number)])
        }
        return step
    }
}
