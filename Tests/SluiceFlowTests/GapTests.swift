import SluiceCore
import SluiceFlow
import Testing

@Suite struct GapTests {
    private func sink(_ name: String, _ ranges: [ClosedRange<UInt64>], reach: UInt64? = nil, since: Int64? = nil) -> SinkCoverage {
        SinkCoverage(
            sink: name, held: ranges.map { HeldBlocks(first: $0.lowerBound, last: $0.upperBound, since: since) }, reach: reach)
    }

    @Test("a hole in one sink, what lies ahead of another, and nothing of what all hold")
    func simple() {
        let gaps = Gap.list(start: 1, end: 120, sinks: [sink("lake", [1...80], reach: 90), sink("warehouse", [1...40, 61...120])])
        #expect(
            gaps == [
                Gap(first: 41, last: 60, kind: .hole, sinks: ["warehouse"]), Gap(first: 81, last: 90, kind: .ahead, sinks: ["lake"]),
            ])
        #expect(gaps.map(\.count) == [20, 10])
    }

    @Test("where the holes of several sinks overlap, the gap is cut and says who lacks what")
    func overlap() {
        let gaps = Gap.list(start: 0, end: 99, sinks: [sink("a", [0...9, 50...99]), sink("b", [0...29, 70...99]), sink("c", [0...99])])
        #expect(
            gaps == [
                Gap(first: 10, last: 29, kind: .hole, sinks: ["a"]), Gap(first: 30, last: 49, kind: .hole, sinks: ["a", "b"]),
                Gap(first: 50, last: 69, kind: .hole, sinks: ["b"]),
            ])
    }

    @Test("a gap is known since the run behind it began, in the sink where that is longest ago")
    func since() {
        let held = { (first: UInt64, last: UInt64, since: Int64?) in HeldBlocks(first: first, last: last, since: since) }
        let gaps = Gap.list(
            start: 1, end: 30,
            sinks: [
                SinkCoverage(sink: "a", held: [held(1, 5, 10), held(11, 30, 300)]), SinkCoverage(sink: "b", held: [held(11, 30, 200)]),
                SinkCoverage(sink: "c", held: [held(1, 20, nil), held(25, 30, nil)]),
            ])
        #expect(
            gaps == [
                Gap(first: 1, last: 5, kind: .hole, sinks: ["b"], since: 200),
                Gap(first: 6, last: 10, kind: .hole, sinks: ["a", "b"], since: 200), Gap(first: 21, last: 24, kind: .hole, sinks: ["c"]),
            ])
    }

    @Test("without a start the lowest block that is held begins, without an end the highest ends")
    func open() {
        #expect(
            Gap.list(start: nil, end: nil, sinks: [sink("a", [20...30]), sink("b", [10...12])]) == [
                Gap(first: 10, last: 12, kind: .hole, sinks: ["a"]), Gap(first: 13, last: 19, kind: .hole, sinks: ["a", "b"]),
                Gap(first: 20, last: 30, kind: .ahead, sinks: ["b"]),
            ])
        #expect(Gap.list(start: nil, end: nil, sinks: [sink("a", [])]) == [])
        #expect(Gap.list(start: 5, end: nil, sinks: []) == [])
        #expect(Gap.list(start: 5, end: 4, sinks: [sink("a", [])]) == [])
        #expect(Gap.list(start: 5, end: 9, sinks: [sink("a", [])]) == [Gap(first: 5, last: 9, kind: .ahead, sinks: ["a"])])
    }

    @Test("what lies behind the end makes what is missing before it a hole")
    func beyond() {
        #expect(Gap.list(start: 1, end: 9, sinks: [sink("a", [1...3, 20...30])]) == [Gap(first: 4, last: 9, kind: .hole, sinks: ["a"])])
    }

    @Test("the highest number that there can be is a number like others")
    func highest() {
        let gaps = Gap.list(start: .max - 9, end: .max, sinks: [sink("a", [.max - 5 ... .max - 3]), sink("b", [.max ... .max])])
        #expect(
            gaps == [
                Gap(first: .max - 9, last: .max - 6, kind: .hole, sinks: ["a", "b"]),
                Gap(first: .max - 5, last: .max - 3, kind: .hole, sinks: ["b"]),
                Gap(first: .max - 2, last: .max - 1, kind: .hole, sinks: ["a", "b"]),
                Gap(first: .max, last: .max, kind: .ahead, sinks: ["a"]),
            ])
    }

    @Test("block by block, the gaps are those of sets of numbers", arguments: 0..<300 as Range<UInt64>)
    func model(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let sinks = (0..<Int.random(in: 1...4, using: &random)).map { index in
            // Runs in any order; they may touch or overlap, as those of two sources.
            let ranges = (0..<Int.random(in: 0...5, using: &random)).map { _ -> ClosedRange<UInt64> in
                let first = UInt64.random(in: 0...35, using: &random)
                return first...first + UInt64.random(in: 0...7, using: &random)
            }
            return sink("\(index)", ranges, reach: Bool.random(using: &random) ? UInt64.random(in: 0...45, using: &random) : nil)
        }
        let start = Bool.random(using: &random) ? UInt64.random(in: 0...20, using: &random) : nil
        let end = Bool.random(using: &random) ? UInt64.random(in: 0...50, using: &random) : nil
        let gaps = Gap.list(start: start, end: end, sinks: sinks)
        let sets = sinks.map { Set($0.held.flatMap { Array($0.first...$0.last) }) }
        let all = sets.reduce(Set()) { $0.union($1) }
        var found: [UInt64: Gap] = [:]
        for gap in gaps { for number in gap.first...gap.last { #expect(found.updateValue(gap, forKey: number) == nil, "an overlap") } }
        #expect(gaps.map(\.first) == gaps.map(\.first).sorted())
        for number in 0...60 as ClosedRange<UInt64> {
            let isWanted = (start ?? all.min()).map { $0 <= number } ?? false && (end ?? all.max()).map { $0 >= number } ?? false
            let lacking = sinks.indices.filter { isWanted && number <= (sinks[$0].reach ?? .max) && !sets[$0].contains(number) }
            #expect(found[number]?.sinks ?? [] == lacking.map { "\($0)" }, "block \(number)")
            guard let gap = found[number] else { continue }
            #expect((gap.kind == .hole) == lacking.contains { sets[$0].contains { $0 > number } }, "block \(number)")
        }
        // No two neighbours could be one.
        for (gap, next) in zip(gaps, gaps.dropFirst()) where gap.last + 1 == next.first {
            #expect(gap.sinks != next.sinks || gap.kind != next.kind)
        }
    }
}
