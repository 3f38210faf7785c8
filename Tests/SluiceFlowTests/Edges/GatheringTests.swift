import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct GatheringTests {
    private func time(_ microseconds: Int) -> MonotonicTime { MonotonicTime(sinceStart: .microseconds(microseconds)) }

    /// What a reader does that took so many batches within so long.
    private func pause(_ count: Int, weight: Int, within microseconds: Int, capacity: Int = 2 << 20) -> Duration? {
        var gathering = Gathering(capacity: capacity)
        #expect(gathering.pause(now: .zero) == nil, "it knows of nothing yet")
        for _ in 0..<count { gathering.took(1, weight: weight) }
        let pause = gathering.pause(now: time(microseconds))
        #expect(gathering.pause(now: time(microseconds + 1)) == nil, "nothing came since")
        return pause
    }

    @Test("small batches that come quickly gather: so long as 256 of them need, and not longer than a millisecond")
    func quick() {
        #expect(pause(100, weight: 1_100, within: 200) == .microseconds(512))
        #expect(pause(100, weight: 1_100, within: 1_900) == .milliseconds(1))
    }

    @Test("where batches come slowly the reader suspends at once")
    func slow() {
        #expect(pause(100, weight: 1_100, within: 2_000) == nil)
        #expect(pause(1, weight: 1_100, within: 12_000_000) == nil)
        #expect(pause(0, weight: 0, within: 10) == nil)
    }

    @Test("heavy batches gather until half of the room is used, so that their sender goes on")
    func heavy() {
        #expect(pause(10, weight: 100_000, within: 100, capacity: 2_000_000) == .microseconds(100))
        #expect(pause(10, weight: 500_000, within: 100, capacity: 2_000_000) == .microseconds(20))
        #expect(pause(10, weight: 1_000_000, within: 100, capacity: 2_000_000) == nil)
    }
}
