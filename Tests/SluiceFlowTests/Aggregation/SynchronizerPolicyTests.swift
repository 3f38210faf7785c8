import SluiceCore
import SluiceFlow
import Testing

@Suite struct SynchronizerPolicyTests {
    @Test("on update of a slow chain: each of its blocks goes with one or more of a quicker one, and waits where there is none")
    func slowTrigger() throws {
        var following = try Following(.onUpdate(of: 0, others: [.atLeastOne]), streams: 2)
        following.send("b1 b2 b3 a1 b4 b5 a2 b6 b7 a3")
        #expect(following.lines == ["a1 b1,b2,b3", "a2 b4,b5", "a3 b6,b7"])
        // Two of A in a row: the second waits, because B must have one at least.
        following.send("a4 b8 a5")
        #expect(following.lines.suffix(1) == ["a4 b8"])
        following.send("b9 b10")
        #expect(following.lines.suffix(2) == ["a4 b8", "a5 b9"])
        following.send("a6")
        #expect(following.lines.last == "a6 b10")
    }

    @Test("on update of a quick chain: each of its blocks goes with one or none of a slower one, of which none is left out")
    func fastTrigger() throws {
        var following = try Following(.onUpdate(of: 1, others: [.atMostOne]), streams: 2)
        following.send("b1 a1 b2 b3 b4 a2 b5")
        #expect(following.lines == ["- b1", "a1 b2", "- b3", "- b4", "a2 b5"])
        // A block of A is never left out: when two came, the second goes with the next of B.
        following.send("a3 a4 b6 b7 b8")
        #expect(following.lines.suffix(3) == ["a3 b6", "a4 b7", "- b8"])
    }

    @Test("on update, with any number of streams, each with a cardinality of its own")
    func threeStreams() throws {
        var following = try Following(.onUpdate(of: 1, others: [.atLeastOne, .any]), streams: 3)
        following.send("b1 a1 a2 b2 c1 c2 a3 b3 b4 c3 a4 a5")
        #expect(following.lines == ["a1 b1 -", "a2 b2 -", "a3 b3 c1,c2", "a4 b4 c3"])
        following.send("c4 a6 c5 b5")
        #expect(following.lines.last == "a5,a6 b5 c4,c5")
        // One cardinality stands for all.
        var same = try Following(.onUpdate(of: 2, others: [.atMostOne]), streams: 3)
        same.send("a1 a2 b1 c1 c2 c3")
        #expect(same.lines == ["a1 b1 c1", "a2 - c2", "- - c3"])
    }

    @Test("latest of each: a bundle at every update, once each stream has one")
    func latest() throws {
        var following = try Following(.latestOfEach(), streams: 3)
        following.send("a1 a2 b1 b2 c1 a3 c2 b3")
        #expect(following.lines == ["a2 b2 c1", "a3 b2 c1", "a3 b2 c2", "a3 b3 c2"])
        #expect(following.synchronizer.counts.passedOver[.superseded] == 2)
    }

    @Test("aligned by height: one bundle a height that all streams have")
    func heights() throws {
        var following = try Following(.alignedByHeight(), streams: 3)
        following.send("a5 a6 b3 b4 b5 c6 b6 c7 a7 c8 b7 b8")
        #expect(following.lines == ["a6 b6 c6", "a7 b7 c7"])
        #expect(following.synchronizer.counts.passedOver == [.unmatched: 4])
    }

    @Test("aligned by time: blocks that lie close to each other, each in one bundle at most")
    func times() throws {
        var following = try Following(.alignedByTime(tolerance: 2), streams: 2)
        following.send("a1@100 a2@112 b1@90 b2@99 b3@101 b4@109 b5@111 b6@114 a3@124 b7@127 a4@130")
        #expect(following.lines == ["a1 b2", "a2 b5"])
        following.send("b8@128 b9@132")
        #expect(following.lines.last == "a4 b8")
        #expect(following.synchronizer.counts.passedOver == [.unmatched: 6])
    }

    @Test("window: all blocks of all streams in a span of time, when each stream has come to its end")
    func windows() throws {
        var following = try Following(.window(seconds: 10), streams: 3)
        following.send("a1@100 a2@109 b1@104 c1@95 a3@110 b2@111 c2@105")
        #expect(following.lines == ["- - c1"])
        following.send("c3@131 a4@119 b3@125 a5@133")
        #expect(following.lines == ["- - c1", "a1,a2 b1 c2", "a3,a4 b2 -"])
        following.send("b4@139 b5@200 a6@145 c4@141")
        #expect(following.lines.suffix(2) == ["- b3 -", "a5 b4 c3"])
        // What is at its beginning belongs to a window, what is at its end to the next; times at the very end of numbers are no trap.
        following.send("a7@18446744073709551615 c5@18446744073709551614 b6@18446744073709551615 b7@18446744073709551615")
        #expect(following.lines.suffix(2) == ["a6 - c4", "- b5 -"])
    }

    @Test("the hash of a bundle covers its blocks, the one before, and whether it is partial")
    func hashes() throws {
        var one = try Following(.onUpdate(of: 0, others: [.any]), streams: 2)
        var two = one
        one.send("b1 a1 a2")
        two.send("a1 b1 a2")
        #expect(one.lines == ["a1 b1", "a2 -"] && two.lines == ["a1 -", "a2 b1"])
        #expect(one.bundles[0].hash != two.bundles[0].hash)
        let block = Batch(chainID: 1, span: Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: .zero, timestamp: 9)]), tables: [])
        var small = try Synchronizer(policy: .latestOfEach(), streams: 1)
        guard case .emit(let bundle, _) = small.on(.batch(stream: 0, block), now: .zero).first else {
            Issue.record("no bundle")
            return
        }
        // keccak-256 of 32 zeros, 1 in 8 bytes, 0 in one, 1 in four, 7 in eight, 32 zeros.
        #expect(bundle.hash.description == "0x1c612a251b65677e3800beaa2de45d8984b5b40524f4a2b138c5eb5f54cf6b95")
        #expect(bundle.span.lastTimestamp == 9 && bundle.span.first == 1 && bundle.span.last == bundle.ref)
    }

    @Test(
        "a policy that makes no sense for its streams is refused",
        arguments: [
            (SynchronizationPolicy.onUpdate(of: 2, others: [.any]), 2), (.onUpdate(of: -1, others: [.any]), 2),
            (.onUpdate(of: 0, others: [.any, .any]), 2), (.onUpdate(of: 0, others: []), 3), (.window(seconds: 0), 2),
            (.alignedByHeight(), 0),
            (.alignedByHeight(timeout: .skip(after: .seconds(-1))), 2),
        ])
    func refused(policy: SynchronizationPolicy, streams: Int) {
        #expect { try Synchronizer(policy: policy, streams: streams) } throws: { ($0 as? SluiceError)?.class == .config }
    }

    @Test("a stream that does not follow itself ends it, with an error that says where")
    func broken() throws {
        for wrong in ["a1 a3", "a1 a2 a2", "a2 a1"] {
            var following = try Following(.latestOfEach(), streams: 1)
            following.send(wrong)
            #expect(following.failure?.code == .streamBroken)
            // It stays ended.
            let count = following.bundles.count
            following.send("a9")
            #expect(following.bundles.count == count)
        }
        var other = try Following(.latestOfEach(), streams: 1)
        other.send("a1")
        other.on(.batch(stream: 0, batch([StreamBlock(stream: 0, number: 2)], parent: StreamBlock(stream: 0, number: 1, branch: 1))))
        #expect(other.failure?.code == .streamBroken)
        var back = try Following(.latestOfEach(), streams: 1)
        back.send("a1 a2 a3")
        back.rollback(to: StreamBlock(stream: 0, number: 2, branch: 1, timestamp: 20))
        #expect(back.failure?.code == .streamBroken)
    }
}
