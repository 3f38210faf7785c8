import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct PartTests {
    private func segment(_ range: ClosedRange<UInt64>) -> Segment {
        Segment(first: range.lowerBound, last: Position(number: range.upperBound, hash: .zero))
    }

    @Test("the others are told how far all sinks are, and nothing behind a hole")
    func ends() {
        #expect(PartRun.end(of: [[segment(0...9)], [segment(3...6)]], from: nil) == 7)
        #expect(PartRun.end(of: [[segment(0...9)], []], from: nil) == nil)
        // What lies below the newest ones was lost once, or below the first wanted one is now: nobody fills it.
        #expect(PartRun.end(of: [[segment(0...9), segment(20...29)]], from: nil) == 30)
        #expect(PartRun.end(of: [[segment(0...9), segment(20...29)]], from: 20) == 30)
        #expect(PartRun.end(of: [[segment(0...9)]], from: 20) == nil)
        #expect(PartRun.end(of: [[segment(0...9)]], from: 10) == 10)
        #expect(PartRun.end(of: [[segment(0...9), segment(25...29)]], from: 20) == nil)
    }

    @Test("one that was fenced off is given time to hear that its part is lost; all else is final at once")
    func failures() {
        let part = SourcePart(name: "t/0", number: 0, chainID: 1)
        var failures = PartFailures(grace: .seconds(10))
        let fenced = SluiceError(.init("postgres_fenced"), .config, "another process")
        func at(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }
        let isFull = failures.isFinal(part, SluiceError(.init("disk_full"), .pause, "full"), at: at(0))
        #expect(isFull)
        let found = [1, 10, 11].map { failures.isFinal(part, fenced, at: at($0)) }
        #expect(found == [false, false, true])
        failures.forget([part])
        let isFinalAnew = failures.isFinal(part, fenced, at: at(12))
        #expect(!isFinalAnew)
    }

    @Test("of parts that count from 0 each, what is missing of all together is the sum of what each lacks")
    func sums() {
        var (one, two) = (PipelineProgress.Snapshot(), PipelineProgress.Snapshot())
        one.head = ChainHead(latest: 99, finalized: 99)
        one.durable = ["a": Position(number: 49, hash: .zero)]
        one.rows = ["r": 5]
        two.head = ChainHead(latest: 9, finalized: 9)
        two.durable = ["a": Position(number: 9, hash: .zero)]
        two.rows = ["r": 7]
        let all = PipelineProgress.Snapshot.sum(of: [one, two], ["a"])
        #expect(all.head?.latest == 110)
        #expect(all.durable["a"]?.number == 60)
        #expect(all.rows == ["r": 12])
        #expect(PipelineProgress.Snapshot.sum(of: [], ["a"]).head == nil)
    }

    @Test("a pipeline is told of as a whole, and what was given back is forgotten")
    func board() {
        let board = PartBoard()
        let (one, two) = (SourcePart(name: "t/0", number: 0, chainID: 1), SourcePart(name: "t/1", number: 1, chainID: 2))
        _ = board.note(["a": [segment(0...9)]], of: one)
        #expect(board.note(["a": [segment(0...4)]], of: two) == ["a t/0": [segment(0...9)], "a t/1": [segment(0...4)]])
        board.forget(one)
        #expect(board.note([:], of: two) == [:])
    }
}
