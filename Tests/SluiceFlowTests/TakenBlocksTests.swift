import SluiceCore
import SluiceTestKit
import Testing

@testable import SluiceFlow

@Suite struct TakenBlocksTests {
    private let stream = StreamID(pipeline: "p", chainID: 1)

    private func span(_ range: ClosedRange<UInt64>) -> Span { SmallChain.batch(range).span }

    @Test("what is durable follows what the sink tells, in the order in which it took things")
    func durable() throws {
        var taken = TakenBlocks([SmallChain.segment(1...9)])
        for range in [10...14, 50...69, 15...30] as [ClosedRange<UInt64>] { taken.take(span(range)) }
        #expect(taken.durable == Coverage([SmallChain.segment(1...9)]))
        // Files end where blocks say: in the middle of a batch.
        taken.settle(SmallChain.position(59))
        #expect(taken.durable == Coverage([SmallChain.segment(1...14), SmallChain.segment(50...59)]))
        taken.settle(SmallChain.position(69))
        taken.settle(SmallChain.position(30))
        #expect(taken.durable == Coverage([SmallChain.segment(1...30), SmallChain.segment(50...69)]))
        // What is told again, or of what was there before, changes nothing.
        taken.settle(SmallChain.position(30))
        taken.settle(SmallChain.position(5))
        #expect(taken.durable == Coverage([SmallChain.segment(1...30), SmallChain.segment(50...69)]))
    }

    @Test("it knows the blocks that the sink has, and which ones as long as they are not durable")
    func contains() throws {
        var taken = TakenBlocks([SmallChain.segment(1...9)])
        taken.take(span(10...14))
        #expect([1, 9, 10, 14].allSatisfy { taken.contains(SmallChain.position($0)) })
        #expect([0, 15].allSatisfy { !taken.contains(SmallChain.position($0)) })
        #expect(!taken.contains(SmallChain.position(9, fork: 1)) && !taken.contains(SmallChain.position(12, fork: 1)))
        taken.settle(SmallChain.position(14))
        #expect(!taken.contains(SmallChain.position(12, fork: 1)) && taken.contains(SmallChain.position(12)))
        // Another block in the place of one that was undone is that one.
        taken.rollback(to: SmallChain.position(12))
        taken.take(SmallChain.batch(13...15, fork: 1, parentFork: 0).span)
        #expect(taken.contains(SmallChain.position(13, fork: 1)) && !taken.contains(SmallChain.position(13)))
        #expect(taken.highest == SmallChain.position(15, fork: 1))
        // What is final is told by its number: there is only one.
        taken.finalize(through: 15)
        #expect(taken.contains(SmallChain.position(13)) && !taken.contains(SmallChain.position(16)))
        taken.take(span(16...17))
        taken.finalize(through: 20)
        taken.take(span(18...19))
        #expect(taken.contains(SmallChain.position(18, fork: 1)))
    }

    @Test("of what it began with it knows those that may still be orphaned")
    func beginning() {
        let taken = TakenBlocks([SmallChain.segment(1...20)], recent: (15...20).map { SmallChain.position($0) })
        #expect(taken.contains(SmallChain.position(15)) && !taken.contains(SmallChain.position(15, fork: 1)))
        #expect(taken.contains(SmallChain.position(14)) && taken.highest == SmallChain.position(20))
    }

    @Test("after any history it is what a sink with the same rules says", arguments: UInt64(1)...40)
    func model(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var sink = Coverage()
        var taken = TakenBlocks()
        for _ in 0..<80 {
            if Int.random(in: 0..<4, using: &random) == 0, let segment = sink.segments.randomElement(using: &random) {
                let target = SmallChain.position(UInt64.random(in: segment.first - 1...segment.last.number, using: &random))
                _ = sink.rollback(to: target)
                taken.rollback(to: target)
            } else {
                let first = UInt64.random(in: 1...60, using: &random)
                let new = span(first...first + UInt64.random(in: 0...6, using: &random))
                guard (try? sink.append(new, stream: stream)) != nil else { continue }
                taken.take(new)
                // Some are told of late.
                if Bool.random(using: &random) { taken.settle(new.last) }
            }
            for number in UInt64(0)...70 {
                let isHeld = (try? sink.require(SmallChain.position(number), in: "")) != nil
                #expect(taken.contains(SmallChain.position(number)) == isHeld, "seed \(seed), block \(number)")
            }
        }
    }
}
