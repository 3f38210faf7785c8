import SluiceFlow
import Testing

@Suite(.timeLimit(.minutes(1))) struct StopSignalTests {
    @Test("a wish to stop wakes all who wait for it, once and for all; cancelling wakes one")
    func stopSignal() async throws {
        let stop = StopSignal()
        let one = Task { await stop.wait() }
        let two = Task { await stop.wait() }
        for _ in 0..<100 { await Task.yield() }
        one.cancel()
        await one.value
        #expect(!stop.isRaised)
        stop.raise()
        stop.raise()
        await two.value
        await stop.wait()
        #expect(stop.isRaised)
    }
}
