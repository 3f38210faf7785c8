import SluiceCore
import SluiceFlow
import SluiceTelemetry
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct HubTests {
    private func runner(
        _ oracle: FakeOracle, _ sinks: [FakeSink], start: UInt64? = 0, stop: StopSignal = StopSignal(),
        progress: PipelineProgress = PipelineProgress(),
        edgeCapacity: Int = 4096
    ) -> Run {
        Run(
            hub: hub(oracle, edgeCapacity: edgeCapacity), definition: definition("test", start: start),
            sinks: sinks.enumerated().map { SinkAttachment("sink\($0.offset)", $0.element) }, progress: progress, stop: stop)
    }

    /// Runs until a condition holds, then stops in good order.
    private func follow(_ runner: Run, stop: StopSignal, until condition: @escaping @Sendable () -> Bool) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.follow(until: nil) }
            group.addTask {
                for _ in 0..<10_000 where !condition() { try await Task.sleep(for: .milliseconds(1)) }
                if !condition() { Issue.record("it did not come to that") }
                stop.raise()
            }
            try await group.waitForAll()
        }
    }

    @Test("a range lands in every sink, whole; again it does nothing")
    func backfill() async throws {
        let oracle = FakeOracle(head: 60, finalized: 50)
        let sinks = [FakeSink(), FakeSink(perTransaction: 1, isSlow: true)]
        #expect(try await runner(oracle, sinks).backfill(3...47))
        for sink in sinks { #expect(sink.rows == oracle.rows(3...47)) }
        let writes = sinks.map(\.writes.count)
        #expect(try await runner(oracle, sinks).backfill(3...47))
        #expect(sinks.map(\.writes.count) == writes)
        #expect(try await runner(oracle, sinks).backfill(0...50))
        for sink in sinks { #expect(sink.rows == oracle.rows(0...50) && sink.segments.count <= 2) }
        let error = await #expect(throws: SluiceError.self) { _ = try await runner(oracle, sinks).backfill(0...61) }
        #expect(error?.code == .beyondHead)
    }

    @Test("a sink behind the other is filled first, then both follow; no block is written twice")
    func behind() async throws {
        let oracle = FakeOracle(head: 40, finalized: 30)
        let ahead = FakeSink()
        let behind = FakeSink()
        try await runner(oracle, [ahead]).follow(until: 25)
        _ = try await runner(oracle, [behind]).backfill(5...9)
        try await runner(oracle, [ahead, behind]).follow(until: 40)
        #expect(ahead.rows == oracle.rows(0...40) && behind.rows == oracle.rows(0...40))
        for sink in [ahead, behind] {
            let written = sink.writes.flatMap { Array($0) }
            #expect(Set(written).count == written.count && written.count == 41)
        }
    }

    @Test("a sink that fails ends the run with its error; the next run completes all")
    func failingSink() async throws {
        let oracle = FakeOracle(head: 80, finalized: 70)
        let good = FakeSink(isSlow: true)
        let bad = FakeSink()
        bad.state.withLock { $0.failAt = 30 }
        let error = await #expect(throws: SluiceError.self) { try await runner(oracle, [good, bad]).follow(until: 80) }
        #expect(error?.message == "the sink is full")
        #expect(bad.rows.count < 31)
        try await runner(oracle, [good, bad]).follow(until: 80)
        #expect(good.rows == oracle.rows(0...80) && bad.rows == oracle.rows(0...80))
    }

    @Test("an upstream that fails is asked again, from where it ended", arguments: [SluiceError.Class.retry, .endpoint, .split])
    func failingUpstream(kind: SluiceError.Class) async throws {
        let oracle = FakeOracle(head: 40, finalized: 30)
        let ahead = FakeSink()
        let behind = FakeSink()
        // The gap of the one behind lies below where both go on: failing at once must not lead back there.
        try await runner(oracle, [ahead]).follow(until: 25)
        try await runner(oracle, [behind], start: 10).follow(until: 25)
        for number in [26, 34, 40] as [UInt64] { oracle.fail(at: number, kind) }
        try await runner(oracle, [ahead, behind]).follow(until: 40)
        #expect(ahead.rows == oracle.rows(0...40) && behind.rows == oracle.rows(0...40))
    }

    @Test("what only the operator can mend ends the run", arguments: [SluiceError.Class.pause, .config, .fatal, .data])
    func fatalUpstream(kind: SluiceError.Class) async throws {
        let oracle = FakeOracle(head: 40, finalized: 30)
        let sink = FakeSink()
        oracle.fail(at: 20, kind)
        let error = await #expect(throws: SluiceError.self) { try await runner(oracle, [sink]).follow(until: 40) }
        #expect(error?.class == kind)
        try await runner(oracle, [sink]).follow(until: 40)
        #expect(sink.rows == oracle.rows(0...40))
    }

    @Test("reorganisations while following leave the canonical chain, in sinks that undo and in sinks that wait")
    func reorganisations() async throws {
        let oracle = FakeOracle(head: 30, finalized: 20)
        let undoing = FakeSink()
        let waiting = FakeSink(holdsBack: true)
        let stop = StopSignal()
        let progress = PipelineProgress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let running = runner(oracle, [undoing, waiting], stop: stop, progress: progress)
            group.addTask { try await running.follow(until: nil) }
            for branch in 1...8 as ClosedRange<UInt8> {
                let head = 30 + UInt64(branch)
                oracle.reorganise(behind: 22, to: head, branch: branch)
                let last = oracle.canonical[Int(head)].ref
                for _ in 0..<5_000 where progress.snapshot.durable["sink0"] != last { try await Task.sleep(for: .milliseconds(1)) }
                #expect(undoing.rows == oracle.rows(0...head))
                // The batch that holds block 20 ends behind it, and waits as a whole.
                #expect(waiting.rows == oracle.rows(0...19), "nothing that is not final")
            }
            oracle.state.withLock { $0.finalized = 38 }
            for _ in 0..<5_000 where waiting.rows.count < 39 { try await Task.sleep(for: .milliseconds(1)) }
            stop.raise()
            try await group.waitForAll()
        }
        #expect(undoing.rows == oracle.rows(0...38) && waiting.rows == oracle.rows(0...38))
        #expect(waiting.state.withLock { $0.rollbacks } == [])
        let written = waiting.writes.flatMap { Array($0) }
        #expect(Set(written).count == written.count)
    }

    @Test("stopped in the middle and run again, as often as you like, the rows are those of a clean run", arguments: [1, 2, 3] as [UInt64])
    func stopAndResume(seed: UInt64) async throws {
        let oracle = FakeOracle(head: 200, finalized: 190, perBatch: 3)
        let sinks = [FakeSink(perTransaction: 2, isSlow: true), FakeSink(holdsBack: true, perTransaction: 5)]
        var random = SeededRandom(seed: seed)
        for _ in 0..<5 {
            let stop = StopSignal()
            let goal = sinks[0].rows.count + Int.random(in: 1...20, using: &random)
            let slow = sinks[0]
            try await follow(runner(oracle, sinks, stop: stop), stop: stop) { slow.rows.count >= goal }
            let segments = sinks[0].segments
            #expect(segments.count == 1 && segments[0].first == 0)
        }
        #expect(sinks[0].rows.count < 200)
        try await runner(oracle, sinks).follow(until: 200)
        #expect(sinks[0].rows == oracle.rows(0...200))
        #expect(sinks[1].rows == oracle.rows(0...190).filter { $0.key <= (sinks[1].segments.last?.last.number ?? 0) })
        #expect(sinks[1].rows.count > 185)
    }

    @Test("blocks that were orphaned while stopped are undone before anything is read")
    func settles() async throws {
        let oracle = FakeOracle(head: 30, finalized: 20)
        let sinks = [FakeSink(), FakeSink()]
        try await runner(oracle, sinks).follow(until: 30)
        oracle.reorganise(behind: 25, to: 35, branch: 1)
        try await runner(oracle, sinks).follow(until: 35)
        for sink in sinks {
            #expect(sink.rows == oracle.rows(0...35))
            #expect(sink.state.withLock { $0.rollbacks } == [25])
        }
        #expect(oracle.calls.filter { $0.hasPrefix("live") }.last == "live from 25 start 0")
    }

    @Test("from the head means the head of the first run")
    func fromHead() async throws {
        let oracle = FakeOracle(head: 30, finalized: 20)
        let sink = FakeSink()
        try await runner(oracle, [sink], start: nil).follow(until: 30)
        #expect(sink.rows == oracle.rows(30...30))
        oracle.state.withLock { state in state.chain += (31...50).map { FakeBlock(number: $0, branch: 0) } }
        try await runner(oracle, [sink], start: nil).follow(until: 50)
        #expect(sink.rows == oracle.rows(30...50) && sink.segments.count == 1)
    }
}
