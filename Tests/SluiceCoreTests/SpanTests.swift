import SluiceCore
import Testing

@Suite struct SpanTests {
    private func stamp(_ number: UInt8) -> BlockStamp {
        BlockStamp(hash: Hash32([UInt8](repeating: number, count: 32)) ?? .zero, timestamp: UInt64(number) * 12)
    }

    @Test("a span of one block is the same however it was made", arguments: [0, 7] as [UInt64])
    func single(number: UInt64) {
        let parent = stamp(1).hash
        let one = Span(number, parentHash: parent, block: stamp(2))
        #expect(one == Span(first: number, parentHash: parent, blocks: [stamp(2)]))
        #expect(Set([one, Span(first: number, parentHash: parent, blocks: [stamp(2)])]).count == 1)
        #expect(one.count == 1 && one.blocks == [stamp(2)] && one.block(0) == stamp(2))
        #expect(one.last == BlockRef(number: number, hash: stamp(2).hash) && one.lastTimestamp == 24)
        #expect(one.hash(number) == stamp(2).hash && one.through(number) == one)
        if number > 0 { #expect(one.hash(number - 1) == parent) }
    }

    @Test("cut anywhere, both parts hold the blocks, and the second follows the first")
    func cut() {
        let stamps = (2...6).map { stamp($0) }
        let span = Span(first: 10, parentHash: stamp(1).hash, blocks: stamps)
        #expect(span.count == 5 && span.blocks == stamps && (0..<5).map { span.block($0) } == stamps)
        #expect((9...14).map { span.hash($0) } == (1...6).map { stamp($0).hash })
        for number in UInt64(10)...13 {
            let (front, back) = (span.through(number), span.behind(number))
            #expect(front.blocks + back.blocks == stamps)
            #expect(front.first == 10 && front.last.number == number && back.first == number + 1)
            #expect(back.parentHash == front.last.hash && back.last == span.last && back.lastTimestamp == 72)
        }
        #expect(span.through(10) == Span(10, parentHash: stamp(1).hash, block: stamp(2)))
        #expect(span.behind(13) == Span(14, parentHash: stamp(5).hash, block: stamp(6)))
    }
}
