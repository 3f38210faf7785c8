import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct RingQueueTests {
    @Test("a queue does what an array does", arguments: 0..<20 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var queue = RingQueue<Int>()
        var model: [Int] = []
        for step in 0..<2_000 {
            switch Int.random(in: 0..<(step < 1_000 ? 6 : 9), using: &random) {
            case 0..<4:
                queue.append(step)
                model.append(step)
            case 4, 6, 7:
                let taken = queue.popFirst()
                #expect(taken == (model.isEmpty ? nil : model.removeFirst()))
            case 5:
                let taken = queue.popLast()
                #expect(taken == model.popLast())
            default:
                let number = Int.random(in: 0...step, using: &random)
                let removed = queue.remove { $0 == number }
                #expect(removed == (model.contains(number) ? number : nil))
                model.removeAll { $0 == number }
            }
            #expect(queue.count == model.count && queue.isEmpty == model.isEmpty)
            #expect(queue.first == model.first && queue.last == model.last)
            if !model.isEmpty {
                let at = Int.random(in: model.indices, using: &random)
                #expect(queue[at] == model[at])
            }
        }
        let rest = queue.drain()
        #expect(rest == model && queue.isEmpty)
    }
}
