import SluiceCore
import Testing

@testable import ParquetConnector

/// Which spans become one: decided by blocks and dates alone.
@Suite struct SpanIndexTests {
    private func entry(_ range: ClosedRange<UInt64>, _ date: String? = "2024-01-01", isExpired: Bool = false) -> SpanIndex.Entry {
        SpanIndex.Entry(first: range.lowerBound, last: range.upperBound, date: date, isExpired: isExpired)
    }

    private func joined(_ entries: [SpanIndex.Entry], from oldest: String? = nil) -> [ClosedRange<UInt64>]? {
        var index = SpanIndex(entries)
        return index.joinable(blocksPerFile: 100, from: oldest)?.map(\.range)
    }

    @Test("only spans in a row, of one file, whose end is there")
    func runs() {
        #expect(joined([entry(0...49), entry(50...99)]) == [0...49, 50...99])
        // It begins where the stream does.
        #expect(joined([entry(30...49), entry(50...98), entry(99...99), entry(100...120)]) == [30...49, 50...98, 99...99])
        #expect(joined([entry(0...49), entry(50...98)]) == nil)
        #expect(joined([entry(0...49), entry(51...99)]) == nil)
        #expect(joined([entry(0...99), entry(100...199)]) == nil)
        #expect(joined([entry(0...49), entry(50...149), entry(150...199)]) == nil)
        #expect(joined([entry(0...99)]) == nil && joined([]) == nil)
    }

    @Test("a date ends a file; what does not tell its date goes with its neighbours")
    func dates() {
        let (one, next) = ("2024-01-01", "2024-01-02")
        #expect(joined([entry(0...9, one), entry(10...20, one), entry(21...99, next)]) == [0...9, 10...20])
        #expect(joined([entry(0...9, one), entry(10...20, one), entry(22...99, next)]) == nil)
        #expect(joined([entry(0...9, one), entry(10...40, next), entry(41...99, next)]) == [10...40, 41...99])
        #expect(joined([entry(0...9, nil), entry(10...20, one), entry(21...99, nil)]) == [0...9, 10...20, 21...99])
        #expect(joined([entry(0...9, one), entry(10...20, nil), entry(21...99, next)]) == [0...9, 10...20])
    }

    @Test("rows that are gone or may be in cold storage are let alone")
    func old() {
        #expect(joined([entry(0...49, isExpired: true), entry(50...60), entry(61...99)]) == [50...60, 61...99])
        #expect(joined([entry(0...49, isExpired: true), entry(50...99, isExpired: true)]) == nil)
        #expect(joined([entry(0...49), entry(50...99)], from: "2024-01-02") == nil)
        #expect(joined([entry(0...49), entry(50...99)], from: "2024-01-01") != nil)
        var index = SpanIndex([entry(0...9, "2023-12-31"), entry(10...19, isExpired: true), entry(20...29, nil), entry(30...39)])
        #expect(index.outdated(before: "2024-01-01").map(\.range) == [0...9])
        #expect(index.outdated(before: "2024-01-02").map(\.range) == [0...9, 30...39])
        for _ in 0..<2 { #expect(index.outdated(before: "2023-12-31").isEmpty) }
        index.insert(entry(40...49, "2023-12-30"))
        #expect(index.outdated(before: "2023-12-31").map(\.range) == [40...49])
    }

    @Test("joining all that can be joined leaves what an undisturbed run would have made, from any cuts")
    func converges() {
        var random = SeededRandom(seed: 11)
        for _ in 0..<200 {
            let (start, end, midnight) = (
                UInt64.random(in: 0...150, using: &random), UInt64.random(in: 500...700, using: &random),
                UInt64.random(in: 200...400, using: &random)
            )
            func date(_ number: UInt64) -> String { number < midnight ? "2024-01-01" : "2024-01-02" }
            func ends(_ number: UInt64) -> Bool { (number + 1) % 100 == 0 || number + 1 == midnight || number == end }
            func spans(_ cuts: (UInt64) -> Bool) -> [SpanIndex.Entry] {
                var (out, first) = ([SpanIndex.Entry](), start)
                for number in start...end where cuts(number) {
                    out.append(entry(first...number, date(first)))
                    first = number + 1
                }
                return out
            }
            var index = SpanIndex()
            let cut = spans { ends($0) || UInt64.random(in: 0...9, using: &random) == 0 }
            for one in cut.shuffled(using: &random) { index.insert(one) }
            #expect(index.entries == cut)
            while let run = index.joinable(blocksPerFile: 100, from: nil) {
                for one in run { index.remove(one.range) }
                index.insert(entry(run[0].first...run[run.count - 1].last, run[0].date))
            }
            // What has not come to its end yet stays as it is.
            let whole = index.entries.filter { ends($0.last) && $0.last != end }
            #expect(whole == spans(ends).filter { $0.last != end })
        }
    }
}
