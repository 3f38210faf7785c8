import SluiceCore
import SluiceFlow
import Testing

/// Where streams begin, go back to, and are read again from.
@Suite struct SynchronizerResumeTests {
    @Test("numbers at their end are refused, not counted beyond")
    func lastNumbers() throws {
        for number in [UInt64.max, UInt64.max - 1] {
            var following = try Following(.latestOfEach(), streams: 1)
            following.send([StreamBlock(stream: 0, number: number)])
            #expect(following.failure?.code == .streamBroken)
            var back = try Following(.latestOfEach(), streams: 1)
            back.on(.rollback(stream: 0, to: BlockRef(number: .max, hash: .zero)))
            #expect(back.failure?.code == .streamBroken)
        }
    }

    @Test("a stream that began at the head of its chain is read again from there, whatever the head is now")
    func began() throws {
        for policy in [SynchronizationPolicy.onUpdate(of: 0, others: [.any]), .latestOfEach()] {
            var following = try Following(policy, streams: 2)
            following.send("a900 b70 a901 b71 a902")
            #expect(following.finalized == 0)
            let first = BlockRef(number: 899, hash: StreamBlock(stream: 0, number: 899, timestamp: 9_000).hash)
            for count in [following.bundles.count, 1] {
                try following.restart(holding: count)
                #expect(following.synchronizer.readFrom[0] == first)
                #expect(following.synchronizer.readFrom[1]?.number == (following.records.last?.marks[1].began == nil ? nil : 69))
            }
            // A reader that begins behind blocks that are in bundles would leave a hole.
            var late = try Synchronizer(
                policy: .onUpdate(of: 0, others: [.any]), streams: 1,
                resuming: [
                    BundleRecord(
                        number: 1, hash: .zero, parentHash: .zero,
                        marks: [.init(taken: first, seen: first, readFrom: first, began: nil, lateBelow: 0)])
                ])
            guard case .fail(let error) = late.on(.batch(stream: 0, batch([StreamBlock(stream: 0, number: 900)])), now: .zero).first else {
                Issue.record("a hole was accepted")
                return
            }
            #expect(error.code == .streamBroken)
        }
    }

    @Test("a stream may go back behind where it began, even before its first block")
    func behindBeginning() throws {
        var following = try Following(.alignedByHeight(), streams: 2)
        following.send("a5 a6 b4 b5 b6")
        #expect(following.lines == ["a5 b5", "a6 b6"])
        following.rollback(to: StreamBlock(stream: 0, number: 2, branch: 1, timestamp: 20))
        #expect(following.lines == [] && following.failure == nil)
        following.send("a3' a4' a5'")
        #expect(following.lines == ["a4' b4", "a5' b5"])
        #expect(following.records[0].marks.map { $0.began?.number } == [2, 3])
        var first = try Following(.alignedByHeight(), streams: 2)
        first.rollback(to: StreamBlock(stream: 0, number: 2, timestamp: 20))
        first.send("b3 a3")
        #expect(first.lines == ["a3 b3"])
        first.rollback(to: StreamBlock(stream: 0, number: 2, timestamp: 20))
        #expect(first.lines == [] && first.failure == nil)
    }

    @Test("what a policy waits for: a stream that is not yet back where it was, above all")
    func needed() throws {
        func needed(_ following: Following) -> [Bool] { (0..<3).map { following.synchronizer.isNeeded($0) } }
        var update = try Following(.onUpdate(of: 1, others: [.atLeastOne, .any]), streams: 3)
        #expect(needed(update) == [false, true, false])
        update.send("b1")
        #expect(needed(update) == [true, false, false])
        update.send("a1 c1 b2 a2")
        #expect(update.lines == ["a1 b1 -", "a2 b2 c1"])
        try update.restart(holding: 2)
        #expect(needed(update) == [true, true, true])
        update.send("a1 a2 c1")
        #expect(needed(update) == [false, true, false])
        var window = try Following(.window(seconds: 10), streams: 3)
        #expect(needed(window) == [true, true, true])
        window.send("a1@100 a2@110 b1@109")
        #expect(needed(window) == [false, true, true])
        var height = try Following(.alignedByHeight(), streams: 3)
        height.send("a1 c1")
        #expect(needed(height) == [false, true, false])
    }

    @Test("records that are not those of the aggregator are refused")
    func wrongRecords() throws {
        var following = try Following(.alignedByHeight(), streams: 2)
        following.send("a1 b1 a2 b2 a3 b3")
        let records = following.records
        for (wrong, streams) in [
            (records, 3), ([records[0], records[2]], 2), ([records[1], records[0]], 2), ([records[0], records[0]], 2),
        ] {
            #expect { try Synchronizer(policy: .alignedByHeight(), streams: streams, resuming: wrong) } throws: {
                ($0 as? SluiceError)?.code == .bundleRecords
            }
        }
    }

    @Test("one stream going back below a final bundle is refused")
    func beyondFinality() throws {
        var following = try Following(.alignedByHeight(), streams: 2)
        following.send("a1 a2 a3 b1 b2 b3")
        following.finalize(0, 2)
        following.finalize(1, 3)
        #expect(following.finalized == 2)
        following.rollback(to: StreamBlock(stream: 0, number: 2, timestamp: 20))
        #expect(following.lines == ["a1 b1", "a2 b2"] && following.failure == nil)
        following.rollback(to: StreamBlock(stream: 0, number: 1, timestamp: 10))
        #expect(following.failure?.code == .bundleBeyondFinality)
        #expect(following.lines == ["a1 b1", "a2 b2"])
    }
}
