import SluiceCore
import Testing

@Suite struct CoverageTests {
    static let stream = StreamID(pipeline: "p", chainID: 1)

    private func hash(_ number: Int, fork: Int = 0) -> Hash32 {
        Hash32([UInt8(truncatingIfNeeded: number), UInt8(fork)] + Array(repeating: 7, count: 30)) ?? .zero
    }

    private func span(_ range: ClosedRange<Int>, fork: Int = 0, parentFork: Int = 0) -> Span {
        Span(
            first: UInt64(range.lowerBound), parentHash: hash(range.lowerBound - 1, fork: parentFork),
            blocks: range.map { BlockStamp(hash: hash($0, fork: fork), timestamp: 0) })
    }

    private func segment(_ range: ClosedRange<Int>) -> Segment {
        Segment(first: UInt64(range.lowerBound), last: Position(number: UInt64(range.upperBound), hash: hash(range.upperBound)))
    }

    @Test("runs that meet become one, from below and between two")
    func joining() throws {
        var coverage = Coverage()
        for range in [50...59, 10...19, 40...49, 20...20, 21...39] { try coverage.append(span(range), stream: Self.stream) }
        #expect(coverage.segments == [segment(10...59)])
        #expect(
            Coverage([segment(30...39), segment(10...19), segment(20...29), segment(41...50)]).segments == [
                segment(10...39), segment(41...50),
            ])
    }

    @Test("a block that is there already, or a parent that is not, is refused and changes nothing")
    func refusals() throws {
        var coverage = Coverage([segment(10...19), segment(30...39)])
        let before = coverage
        for wrong in [span(19...20), span(5...10), span(0...50), span(15...15), span(20...30), span(39...45), span(20...22, parentFork: 1)]
        {
            let error = #expect(throws: SluiceError.self) { try coverage.append(wrong, stream: Self.stream) }
            #expect(error?.code == .sinkOrder)
            #expect(coverage == before)
        }
    }

    @Test("a rollback takes off the end of the run that holds the position, or the run right behind it, and no other")
    func rollbacks() {
        func after(_ number: Int) -> ([Segment], ClosedRange<UInt64>?) {
            var coverage = Coverage([segment(10...19), segment(30...39)])
            let removed = coverage.rollback(to: Position(number: UInt64(number), hash: hash(number)))
            return (coverage.segments, removed)
        }
        #expect(after(15) == ([segment(10...15), segment(30...39)], 16...19))
        #expect(after(19) == ([segment(10...19), segment(30...39)], nil))
        #expect(after(9) == ([segment(30...39)], 10...19))
        #expect(after(29) == ([segment(10...19)], 30...39))
        #expect(after(25) == ([segment(10...19), segment(30...39)], nil))
        #expect(after(39) == ([segment(10...19), segment(30...39)], nil))
    }

    @Test("whatever comes, segments are the runs of a plain list of blocks", arguments: 1...20 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        /// The fork of each stored block.
        var blocks = [Int?](repeating: nil, count: 64)
        var coverage = Coverage()
        var taken = (appended: 0, refused: 0, undone: 0)
        for _ in 0..<300 {
            let fork = Int.random(in: 0...1, using: &random)
            if Int.random(in: 0..<10, using: &random) < 7 {
                let first = Int.random(in: 1..<60, using: &random)
                let range = first...min(63, first + Int.random(in: 0..<8, using: &random))
                let parent = Int.random(in: 0...1, using: &random)
                let fits = range.allSatisfy { blocks[$0] == nil } && (blocks[first - 1] ?? parent) == parent
                let worked = (try? coverage.append(span(range, fork: fork, parentFork: parent), stream: Self.stream)) != nil
                #expect(worked == fits)
                if fits { for block in range { blocks[block] = fork } }
                taken = (taken.appended + (fits ? 1 : 0), taken.refused + (fits ? 0 : 1), taken.undone)
            } else {
                let number = Int.random(in: 0..<63, using: &random)
                let end = (number + 1..<64).first { blocks[$0] == nil } ?? 64
                let expected = end > number + 1 ? UInt64(number + 1)...UInt64(end - 1) : nil
                let removed = coverage.rollback(to: Position(number: UInt64(number), hash: hash(number, fork: blocks[number] ?? fork)))
                #expect(removed == expected)
                for block in number + 1..<end { blocks[block] = nil }
                if expected != nil { taken.undone += 1 }
            }
            #expect(coverage.segments == runs(blocks))
        }
        #expect(taken.appended > 20 && taken.refused > 20 && taken.undone > 5)
    }

    private func runs(_ blocks: [Int?]) -> [Segment] {
        var runs: [Segment] = []
        var first: Int?
        for (number, fork) in blocks.enumerated() {
            guard let fork else { continue }
            first = number > 0 && blocks[number - 1] != nil ? first : number
            let ends = number + 1 == blocks.count || blocks[number + 1] == nil
            if ends, let first {
                runs.append(Segment(first: UInt64(first), last: Position(number: UInt64(number), hash: hash(number, fork: fork))))
            }
        }
        return runs
    }
}
