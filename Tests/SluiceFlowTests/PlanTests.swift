import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct PlanTests {
    private func segments(_ ranges: [ClosedRange<UInt64>]) -> [Segment] {
        ranges.map { Segment(first: $0.lowerBound, last: FakeBlock(number: $0.upperBound, branch: 0).ref) }
    }

    @Test("every sink gets every block it lacks, once, and none that it has", arguments: 0..<200 as Range<UInt64>)
    func coverage(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let held = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            Set((0..<40 as Range<UInt64>).filter { _ in false }).union(
                (0..<Int.random(in: 0...4, using: &random)).flatMap { _ -> [UInt64] in
                    let first = UInt64.random(in: 0...35, using: &random)
                    return Array(first...first + UInt64.random(in: 0...6, using: &random))
                })
        }
        let coverage = held.map { blocks -> [Segment] in
            var ranges: [ClosedRange<UInt64>] = []
            for number in blocks.sorted() {
                if let last = ranges.last, last.upperBound + 1 == number {
                    ranges[ranges.count - 1] = last.lowerBound...number
                } else {
                    ranges.append(number...number)
                }
            }
            return segments(ranges)
        }
        let from = UInt64.random(in: 0...20, using: &random)
        let through = UInt64.random(in: 0...50, using: &random)
        // Each sink may want to begin elsewhere, or nowhere.
        let froms = held.map { _ in Int.random(in: 0..<5, using: &random) == 0 ? nil : UInt64.random(in: from...from + 5, using: &random) }
        let plan = CoveragePlan(zip(coverage, froms).map { CoveragePlan.Want(coverage: $0, from: $1) }, through: through)
        var after = held
        var last: UInt64?
        for phase in plan.phases {
            #expect(last.map { phase.range.lowerBound > $0 } ?? true, "phases ascend")
            last = phase.range.upperBound
            #expect(!phase.sinks.isEmpty)
            for sink in phase.sinks {
                #expect(after[sink].isDisjoint(with: phase.range))
                after[sink].formUnion(phase.range)
            }
        }
        for (index, from) in froms.enumerated() {
            let added = after[index].subtracting(held[index])
            guard let from, from <= through else {
                #expect(added.isEmpty)
                continue
            }
            #expect(after[index].isSuperset(of: from...through) && added.allSatisfy { from <= $0 && $0 <= through })
        }
        #expect(last.map { $0 <= through } ?? true)
    }

    // MARK: holding back

    private func blocks(_ range: ClosedRange<UInt64>, _ branch: UInt8 = 0) -> Batch {
        batch(
            range.map { FakeBlock(number: $0, branch: branch) },
            parent: range.lowerBound == 0 ? .zero : FakeBlock(number: range.lowerBound - 1, branch: branch).hash)
    }

    @Test("batches wait for finality, which never goes back, and come in order")
    func holdBack() {
        var held = HoldBack()
        for range in [1...4, 5...8, 9...9] as [ClosedRange<UInt64>] {
            let out = held.take(blocks(range))
            #expect(out.isEmpty)
        }
        #expect(held.segments == segments([1...9]))
        var out = held.finalize(through: 3)
        #expect(out.isEmpty)
        out = held.finalize(through: 8)
        #expect(out.map(\.span.first) == [1, 5])
        out = held.finalize(through: 2) + held.take(blocks(10...10))
        #expect(out.isEmpty)
        out = held.finalize(through: 10)
        #expect(out.map(\.span.first) == [9, 10])
        out = held.take(blocks(11...12))
        #expect(out.isEmpty && held.byteCount > 0)
        out = held.finalize(through: 99) + held.take(blocks(13...13))
        #expect(out.map(\.span.first) == [11, 13])
        #expect(held.byteCount == 0 && held.segments.isEmpty)
    }

    @Test("what is orphaned while it waits is dropped, to the block")
    func holdBackRollback() {
        var held = HoldBack()
        _ = held.take(blocks(5...8))
        _ = held.take(blocks(9...12))
        let undone1 = held.rollback(to: FakeBlock(number: 10, branch: 0).ref)
        #expect(undone1)
        #expect(held.segments == segments([5...10]))
        _ = held.take(batch([FakeBlock(number: 11, branch: 1)], parent: FakeBlock(number: 10, branch: 0).hash))
        let out = held.finalize(through: 20)
        #expect(out.map(\.span.last.number) == [8, 10, 11])
        #expect(out.map(\.rowCount) == [4, 2, 1])
        #expect(out[2].span.last.hash == FakeBlock(number: 11, branch: 1).hash)

        var other = HoldBack()
        let undone2 = other.rollback(to: FakeBlock(number: 3, branch: 0).ref)
        #expect(!undone2, "nothing is held: the sink must undo")
        _ = other.take(blocks(5...8))
        let undone3 = other.rollback(to: FakeBlock(number: 4, branch: 0).ref)
        #expect(undone3, "all of what is held, and nothing of the sink")
        #expect(other.segments.isEmpty)
        _ = other.take(blocks(5...8))
        let undone4 = other.rollback(to: FakeBlock(number: 3, branch: 0).ref)
        #expect(!undone4, "more than what is held")
        #expect(other.segments.isEmpty)
    }
}
