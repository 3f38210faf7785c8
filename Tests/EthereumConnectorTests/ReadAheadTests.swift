import SluiceCore
import Testing

@testable import EthereumConnector

@Suite struct ReadAheadTests {
    /// Blocks that come out of an upstream at a rate, all with one latency; returns the window at the end.
    private func steady(_ rate: Double, latency: Duration, seconds: Double, most: Int = 4_096) -> Int {
        var ahead = ReadAhead(latency: latency)
        for block in 0..<Int(rate * seconds) {
            ahead.fetched(in: latency)
            ahead.handedOn(at: .zero + .seconds(Double(block) / rate), most: most)
        }
        return ahead.window
    }

    @Test("the window is five times what the latency hides, and twice for a node beside us")
    func littlesLaw() {
        #expect((240...260).contains(steady(500, latency: .milliseconds(100), seconds: 10)))
        #expect((5...7).contains(steady(1_000, latency: .milliseconds(1), seconds: 5)))
    }

    @Test("what fits the memory is the limit")
    func memory() { #expect(steady(1_000, latency: .milliseconds(200), seconds: 5, most: 40) == 40) }

    @Test("blocks that come out at once after a stall do not widen it: on average they are no more than before")
    func burst() {
        var ahead = ReadAhead(latency: .milliseconds(1))
        var now = MonotonicTime.zero
        var widest = 0
        for round in 0..<200 {
            // A sink that stands still for 20 ms and then takes twenty blocks at once.
            for block in 0..<20 {
                ahead.fetched(in: .milliseconds(1))
                now = now + (block == 0 ? .milliseconds(20) : .microseconds(5))
                ahead.handedOn(at: now, most: 4_096)
            }
            if round > 20 { widest = max(widest, ahead.window) }
        }
        #expect(widest <= 10)
    }

    @Test("it grows while it is what limits the rate")
    func growth() {
        var ahead = ReadAhead(latency: .milliseconds(100))
        var now = MonotonicTime.zero
        for _ in 0..<20 {
            // A window a latency: all that is on its way comes at once.
            let window = ahead.window
            now = now + .milliseconds(100)
            for _ in 0..<window {
                ahead.fetched(in: .milliseconds(100))
                now = now + .microseconds(1)
                ahead.handedOn(at: now, most: 2_000)
            }
        }
        #expect(ahead.window == 2_000)
    }
}
