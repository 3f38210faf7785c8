import SluiceCore

/// One sum of one measurement, and its windows that are to be made anew.
struct InfluxSum: Sendable {
    let rollup: InfluxRollup
    var windows: InfluxWindows

    init(_ rollup: InfluxRollup) {
        self.rollup = rollup
        windows = InfluxWindows(seconds: rollup.tier.seconds)
    }

    mutating func forget() { windows = InfluxWindows(seconds: rollup.tier.seconds) }
}

// Sums of rows that are kept longer than those.
extension InfluxWriter {
    /// Windows that began before the stream was left, and were not whole then: those of the blocks at the ends of what is there.
    func resume() async throws {
        if hasResumed { return }
        hasResumed = true
        guard !sums.isEmpty else { return }
        for segment in durable.segments {
            for plan in plans {
                let doing = "looking for sums of \(plan.measurement) that are not whole"
                let last = segment.last.number
                let found = try await server.times(
                    plan.measurement, tags(plan), plan.schema.fields[plan.number].name, last...last, doing: doing)
                guard let second = found.first.map({ $0.time / 1_000_000_000 }) else { continue }
                for index in sums.indices { sums[index].windows.touch(second...second) }
                break
            }
        }
    }

    /// Makes the sums of windows that rows fell into and that are whole by now.
    /// - Parameter latest: the second up to which rows are there; nil: whatever is there is to be summed up.
    func sumUp(before latest: Int64?) async throws {
        for index in sums.indices {
            let rollup = sums[index].rollup
            for range in sums[index].windows.take(before: latest) { try await server.pass(rollup, tags(of: rollup), range) }
        }
    }

    /// Makes the sums of windows anew from which rows were taken: first none are there.
    func sumAnew(_ moments: Set<Int64>) async throws {
        guard !sums.isEmpty, !moments.isEmpty else { return }
        for sum in sums {
            var windows = InfluxWindows(seconds: sum.rollup.tier.seconds)
            for moment in moments.sorted() { windows.touch(moment / 1_000_000_000...moment / 1_000_000_000) }
            for range in windows.take(before: nil) {
                let all = range.lowerBound * 1_000_000_000...range.upperBound * 1_000_000_000 - 1
                try await server.delete(
                    sum.rollup.target, of: sum.rollup.tier, tags(of: sum.rollup), all, doing: "undoing sums of \(sum.rollup.measurement)")
                try await server.pass(sum.rollup, tags(of: sum.rollup), range)
            }
        }
    }

    private func tags(of rollup: InfluxRollup) -> [(String, String)] {
        plans.first { $0.measurement == rollup.measurement }.map(tags) ?? []
    }
}
