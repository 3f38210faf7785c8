import SluiceCore
import SluiceFlow
import Testing

@Suite struct SynchronizerTimeoutTests {
    static let policies: [(@Sendable (Timeout) -> SynchronizationPolicy)] = [
        { .onUpdate(of: 0, others: [.atLeastOne], timeout: $0) }, { .alignedByHeight(timeout: $0) },
        { .alignedByTime(tolerance: 3, timeout: $0) }, { .window(seconds: 10, timeout: $0) },
    ]

    @Test("wait: for as long as it takes", arguments: policies)
    func wait(policy: @Sendable (Timeout) -> SynchronizationPolicy) throws {
        var following = try Following(policy(.wait), streams: 2)
        following.send("a1 a2 a3")
        #expect(following.synchronizer.deadline == nil)
        following.wait(.seconds(1_000_000))
        #expect(following.lines == [])
        following.send("b1 b2 b3")
        #expect(following.lines.first == "a1 b1")
        #expect(following.lines.count == (following.synchronizer.policy == .window(seconds: 10) ? 2 : 3))
    }

    @Test("fail: with an error for the operator", arguments: policies)
    func fail(policy: @Sendable (Timeout) -> SynchronizationPolicy) throws {
        var following = try Following(policy(.fail(after: .seconds(60))), streams: 2)
        following.send("a1 a2")
        following.wait(.seconds(59))
        #expect(following.failure == nil)
        following.wait(.seconds(1))
        #expect(following.failure?.code == .streamMissing && following.failure?.class == .pause)
        #expect(following.lines == [])
    }

    @Test("emit partial: on update, each trigger waits so long and no longer")
    func partialUpdate() throws {
        var following = try Following(
            .onUpdate(of: 0, others: [.atLeastOne, .any], timeout: .emitPartial(after: .seconds(60))), streams: 3)
        following.send("c1 a1")
        following.wait(.seconds(30))
        following.send("a2 c2")
        following.wait(.seconds(29))
        #expect(following.lines == [])
        #expect(following.synchronizer.deadline == MonotonicTime(sinceStart: .seconds(60)))
        following.wait(.seconds(1))
        #expect(following.lines == ["a1 - c1,c2 ?"])
        following.send("b1")
        #expect(following.lines.last == "a2 b1 -")
        #expect(following.synchronizer.deadline == nil)
        #expect(following.synchronizer.counts.partial == 1)
    }

    @Test("skip: on update, the trigger alone is given up; what came beside it goes with the next one")
    func skippedUpdate() throws {
        var following = try Following(.onUpdate(of: 0, others: [.atLeastOne, .any], timeout: .skip(after: .seconds(60))), streams: 3)
        following.send("c1 a1")
        following.wait(.seconds(60))
        following.send("a2 b1")
        #expect(following.lines == ["a2 b1 c1"])
        #expect(following.synchronizer.counts.passedOver == [.timedOut: 1])
    }

    @Test("emit partial: aligned, what comes for a height that is gone comes too late, and is counted")
    func partialHeight() throws {
        var following = try Following(.alignedByHeight(timeout: .emitPartial(after: .seconds(60))), streams: 3)
        following.send("a1 b1 c1 a2 c2")
        following.wait(.seconds(10))
        following.send("a3 b2 b3")
        following.wait(.seconds(59))
        #expect(following.lines == ["a1 b1 c1", "a2 b2 c2"])
        following.wait(.seconds(1))
        #expect(following.lines.last == "a3 b3 - ?")
        following.send("c3 c4 a4 b4")
        #expect(following.lines.last == "a4 b4 c4")
        #expect(following.synchronizer.counts.passedOver == [.late: 1])
        // Not even by itself does it make another bundle of its height.
        following.send("a5")
        following.wait(.seconds(60))
        following.send("b5 c5")
        following.wait(.seconds(1_000))
        #expect(following.lines.suffix(2) == ["a4 b4 c4", "a5 - - ?"])
        #expect(following.synchronizer.counts.passedOver == [.late: 3])
    }

    @Test("skip: aligned, the height is given up for all")
    func skippedHeight() throws {
        var following = try Following(.alignedByHeight(timeout: .skip(after: .seconds(60))), streams: 3)
        following.send("a1 b1")
        following.wait(.seconds(60))
        following.send("c1 c2 a2 b2")
        #expect(following.lines == ["a2 b2 c2"])
        #expect(following.synchronizer.counts.passedOver == [.timedOut: 2, .late: 1])
    }

    @Test("emit partial: aligned by time, the late block of a group does not go with the next one")
    func partialTime() throws {
        var following = try Following(.alignedByTime(tolerance: 2, timeout: .emitPartial(after: .seconds(60))), streams: 2)
        following.send("a1@100")
        following.wait(.seconds(60))
        following.send("b1@102 b2@103 a2@104")
        #expect(following.lines == ["a1 - ?", "a2 b2"])
        #expect(following.synchronizer.counts.passedOver == [.late: 1])
    }

    @Test("emit partial: window, from the moment that the first stream has come to its end")
    func partialWindow() throws {
        var following = try Following(.window(seconds: 10, timeout: .emitPartial(after: .seconds(60))), streams: 3)
        following.send("a1@100 b1@101 c1@102")
        following.wait(.seconds(500))
        #expect(following.lines == [] && following.synchronizer.deadline == nil)
        following.send("a2@110")
        following.wait(.seconds(30))
        following.send("b2@112 a3@113 c2@105")
        following.wait(.seconds(29))
        #expect(following.lines == [])
        following.wait(.seconds(1))
        #expect(following.lines == ["a1 b1 c1,c2 ?"])
        following.send("c3@109 c4@111 c5@120 a4@120 b3@121")
        #expect(following.lines.last == "a2,a3 b2 c4")
        #expect(following.synchronizer.counts.passedOver == [.late: 1])
    }

    @Test("skip: window, all of it is given up")
    func skippedWindow() throws {
        var following = try Following(.window(seconds: 10, timeout: .skip(after: .seconds(60))), streams: 2)
        following.send("a1@100 b1@101 a2@110")
        following.wait(.seconds(60))
        following.send("b2@105 b3@115 b4@120 a3@120")
        #expect(following.lines == ["a2 b3"])
        #expect(following.synchronizer.counts.passedOver == [.timedOut: 2, .late: 1])
    }

    @Test("latest of each: partial bundles until each stream has one, one a timeout")
    func partialLatest() throws {
        var following = try Following(.latestOfEach(timeout: .emitPartial(after: .seconds(60))), streams: 2)
        following.send("a1 a2")
        following.wait(.seconds(60))
        #expect(following.lines == ["a2 - ?"])
        following.wait(.seconds(600))
        #expect(following.lines.count == 1)
        following.send("a3")
        following.wait(.seconds(60))
        following.send("a4 b1 b2")
        #expect(following.lines == ["a2 - ?", "a3 - ?", "a4 b1", "a4 b2"])
        var waiting = try Following(.latestOfEach(timeout: .skip(after: .seconds(60))), streams: 2)
        waiting.send("a1")
        waiting.wait(.seconds(600))
        waiting.send("b1")
        #expect(waiting.lines == ["a1 b1"])
        var failing = try Following(.latestOfEach(timeout: .fail(after: .seconds(60))), streams: 2)
        failing.send("a1")
        failing.wait(.seconds(60))
        #expect(failing.failure?.code == .streamMissing)
    }

    @Test("a reorganisation gives the streams their time anew, and takes back what was given up on its account")
    func reorganisation() throws {
        var following = try Following(.alignedByHeight(timeout: .emitPartial(after: .seconds(60))), streams: 2)
        following.send("a1 b1 a2 b2 a3 b3")
        following.wait(.seconds(3600))
        following.rollback(to: StreamBlock(stream: 1, number: 1, timestamp: 10))
        #expect(following.lines == ["a1 b1"])
        following.wait(.seconds(59))
        following.send("b2'")
        #expect(following.lines == ["a1 b1", "a2 b2'"])
        following.wait(.seconds(1))
        #expect(following.lines.last == "a3 - ?")
        following.send("b3'")
        #expect(following.synchronizer.counts.passedOver[.late] == 1)
        // The block that had waited in vain is gone: as if it had never come, there was nothing to wait for.
        following.rollback(to: StreamBlock(stream: 0, number: 2, timestamp: 20))
        #expect(following.lines == ["a1 b1", "a2 b2'"])
        #expect(following.synchronizer.counts.passedOver[.late] == 0)
        following.send("a3'")
        #expect(following.lines.last == "a3' b3'")
    }
}
