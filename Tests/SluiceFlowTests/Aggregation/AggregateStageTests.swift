import SluiceCore
import SluiceFlow
import SluiceTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct AggregateStageTests {
    private func send(_ blocks: [StreamBlock], to ingress: AggregateIngress) async throws {
        for block in blocks { try await ingress.send(.batch(batch(block.stream, block.number...block.number))) }
    }

    @Test("streams that are sent at once come out as one chain of bundles, which a sink takes as any other")
    func together() async throws {
        let collector = Collector()
        let stage = try AggregateStage(CountingAggregator(.alignedByHeight()), streams: 3, chainID: 9, into: collector)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stage.run() }
            for (stream, ingress) in stage.ingresses.enumerated() {
                group.addTask {
                    // Whole batches, then the last five blocks anew on another branch.
                    try await ingress.send(.batch(batch(stream, 1...20)))
                    try await ingress.send(.finalized(15))
                    try await send(blocks(stream, 21...40), to: ingress)
                    // Only what has gone on can be taken back.
                    while stage.progress.head.number < 40 { try await Task.sleep(for: .milliseconds(1)) }
                    let kept = blocks(stream, 35...35)[0]
                    try await ingress.send(.rollback(to: kept.ref))
                    try await ingress.send(.batch(batch(blocks(stream, 36...60, branch: 1), parent: kept)))
                    try await ingress.send(.finalized(50))
                    try await ingress.finish()
                }
            }
            try await group.waitForAll()
        }
        let state = collector.state.withLock { $0 }
        #expect(state.problems == [])
        #expect(state.rows == (1...60).map { [9, $0, 3, 3 * $0] })
        #expect(state.finalized == 50)
        #expect(state.rollbacks >= 1)
        #expect(stage.progress.head == state.coverage.segments.first?.last)
        #expect(stage.progress.counts.bundles - stage.progress.counts.undone == 60)
        #expect(stage.progress.waitingBytes == [0, 0, 0])
    }

    @Test("timeouts end by the clock that was handed in")
    func timer() async throws {
        let clock = ManualClock()
        let collector = Collector()
        let reports = Box<[String: Int]>([:])
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight(timeout: .emitPartial(after: .seconds(60)))), streams: 2, chainID: 9, into: collector,
            time: clock.timeSource, report: { report in reports.change { $0.merge(report.filtered, uniquingKeysWith: +) } })
        let run = Task { try await stage.run() }
        try await send(blocks(0, 1...2), to: stage.ingresses[0])
        await clock.waitForSleepers(1)
        #expect(clock.nextDeadline == MonotonicTime(sinceStart: .seconds(60)))
        clock.advance(by: .seconds(30))
        try await stage.ingresses[1].send(.batch(batch(1, 1...1)))
        await until { collector.rows.count == 1 }
        #expect(collector.rows == [[9, 1, 2, 2]])
        clock.advance(by: .seconds(30))
        await until { collector.rows.count == 2 }
        #expect(collector.rows == [[9, 1, 2, 2], [9, 2, 1, 3]])
        #expect(stage.progress.counts.partial == 1 && reports.value == ["alone": 1])
        for ingress in stage.ingresses { try await ingress.finish() }
        try await run.value
    }

    @Test("a stream that is too far ahead suspends its sender until the others have caught up")
    func backPressure() async throws {
        let collector = Collector()
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight()), streams: 2, chainID: 9, into: collector,
            limits: .init(streamBytes: 20 * 1024, edgeBytes: 4 * 1024))
        let run = Task { try await stage.run() }
        let sent = Box(0)
        let ahead = Task {
            for block in blocks(0, 1...1_000) {
                try await send([block], to: stage.ingresses[0])
                sent.change { $0 += 1 }
            }
            try await stage.ingresses[0].finish()
        }
        await until { sent.value >= 20 && stage.progress.waitingBytes[0] >= 20 * 1024 }
        // Twenty that wait, some on the edge.
        #expect((20...26).contains(sent.value))
        #expect(stage.progress.waitingBytes[0] == 20 * 1024)
        // What is not a batch is never held up behind the limit of another stream.
        try await stage.ingresses[1].send(.finalized(5))
        try await send(blocks(1, 1...500), to: stage.ingresses[1])
        await until { sent.value >= 520 && collector.rows.count == 500 }
        #expect((520...526).contains(sent.value))
        try await stage.ingresses[1].send(.batch(batch(1, 501...1_000)))
        try await stage.ingresses[1].finish()
        try await ahead.value
        try await run.value
        #expect(collector.rows.count == 1_000)
        #expect(stage.progress.limitYields == 0)
    }

    @Test("a window that is larger than the limit is made all the same, and counted")
    func largeWindow() async throws {
        let collector = Collector()
        let stage = try AggregateStage(
            CountingAggregator(.window(seconds: 1_000)), streams: 2, chainID: 9, into: collector,
            limits: .init(streamBytes: 20 * 1024, edgeBytes: 4 * 1024))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stage.run() }
            for stream in 0..<2 {
                group.addTask {
                    try await send(blocks(stream, 1...250), to: stage.ingresses[stream])
                    try await stage.ingresses[stream].finish()
                }
            }
            try await group.waitForAll()
        }
        #expect(collector.rows == [[9, 1, 198, 198], [9, 2, 200, 398]])
        #expect(stage.progress.limitYields > 100)
    }

    @Test("a source that feeds its streams one by one does not lock itself out: the limit yields when nothing else comes")
    func oneSource() async throws {
        let clock = ManualClock()
        let collector = Collector()
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight()), streams: 2, chainID: 9, into: collector,
            limits: .init(streamBytes: 4 * 1024, edgeBytes: 1024, patience: .seconds(5)), time: clock.timeSource)
        let run = Task { try await stage.run() }
        let source = Task {
            // The second stream is ten blocks behind, as if it were held back until they are final.
            for number in 1...UInt64(50) {
                try await stage.ingresses[0].send(.batch(batch(0, number...number)))
                if number > 10 { try await stage.ingresses[1].send(.batch(batch(1, number - 10...number - 10))) }
            }
            for ingress in stage.ingresses { try await ingress.finish() }
        }
        while collector.rows.count < 40 {
            for _ in 0..<100 { await Task.yield() }
            clock.advance(by: .seconds(5))
        }
        try await source.value
        try await run.value
        #expect(stage.progress.limitYields > 0)
        // Ten blocks were left without company.
        #expect(stage.progress.waitingBytes == [10 * 1024, 0])
    }

    @Test(
        "whatever the limits, the sizes of batches and the order in which they come: where the blocks alone decide, the bundles are the same",
        arguments: [.window(seconds: 60), .alignedByHeight(), .alignedByTime(tolerance: 4)] as [SynchronizationPolicy])
    func anyOrder(policy: SynchronizationPolicy) async throws {
        let lengths: [UInt64] = [300, 220, 400]
        var plain = try Following(policy, streams: 3)
        for stream in 0..<3 {
            for block in blocks(stream, 1...lengths[stream], every: UInt64(7 + stream)) { plain.send([block]) }
        }
        let head = plain.synchronizer.head
        #expect(head.number > 20)
        for seed in UInt64(1)...20 {
            var random = SeededRandom(seed: seed)
            let limits = AggregateStage.Limits(
                streamBytes: Int.random(in: 1...40_000, using: &random), edgeBytes: Int.random(in: 1...20_000, using: &random))
            let stage = try AggregateStage(CountingAggregator(policy), streams: 3, chainID: 9, into: Collector(), limits: limits)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await stage.run() }
                for stream in 0..<3 {
                    let seed = random.next()
                    group.addTask {
                        var random = SeededRandom(seed: seed)
                        var rest = blocks(stream, 1...lengths[stream], every: UInt64(7 + stream))[...]
                        var before: StreamBlock?
                        while !rest.isEmpty {
                            let part = rest.prefix(Int.random(in: 1...12, using: &random))
                            try await stage.ingresses[stream].send(.batch(batch(Array(part), parent: before)))
                            before = part.last
                            rest = rest.dropFirst(part.count)
                            for _ in 0..<Int.random(in: 0...3, using: &random) { await Task.yield() }
                        }
                        try await stage.ingresses[stream].finish()
                    }
                }
                try await group.waitForAll()
            }
            #expect(stage.progress.head == head, "seed \(seed)")
        }
    }

    @Test("who sends behind the end is told so, and does not wait for ever")
    func behindTheEnd() async throws {
        let stage = try AggregateStage(
            CountingAggregator(.latestOfEach()), streams: 1, chainID: 9, into: Collector(), limits: .init(streamBytes: 1, edgeBytes: 1))
        let run = Task { try await stage.run() }
        try await send(blocks(0, 1...3), to: stage.ingresses[0])
        try await stage.ingresses[0].finish()
        try await run.value
        await #expect(throws: (any Error).self) { try await stage.ingresses[0].send(.finalized(1)) }
        #expect(stage.progress.head.number == 3)
    }

    @Test("when those that are waited for have ended, the rest is let in and the run ends")
    func endedEarly() async throws {
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight()), streams: 2, chainID: 9, into: Collector(),
            limits: .init(streamBytes: 4 * 1024, edgeBytes: 1024))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stage.run() }
            group.addTask {
                try await send(blocks(0, 1...100), to: stage.ingresses[0])
                try await stage.ingresses[0].finish()
            }
            group.addTask { try await stage.ingresses[1].finish() }
            try await group.waitForAll()
        }
        #expect(stage.progress.waitingBytes == [100 * 1024, 0])
        #expect(stage.progress.limitYields == 96)
    }

    @Test("an error of the aggregator ends the run, and those who send see it")
    func failure() async throws {
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight(), failAt: 3), streams: 2, chainID: 9, into: Collector(),
            limits: .init(streamBytes: 1, edgeBytes: 1))
        let run = Task { try await stage.run() }
        for stream in 0..<2 {
            Task { try await send(blocks(stream, 1...100), to: stage.ingresses[stream]) }
        }
        await #expect { try await run.value } throws: { ($0 as? SluiceError)?.code == .init("fake") }
        await #expect { try await stage.ingresses[0].send(.finalized(1)) } throws: { ($0 as? SluiceError)?.code == .init("fake") }
        await #expect { try await stage.run() } throws: { ($0 as? SluiceError)?.class == .fatal }
    }

    @Test("a stream that contradicts itself ends the run")
    func brokenStream() async throws {
        let stage = try AggregateStage(CountingAggregator(.latestOfEach()), streams: 1, chainID: 9, into: Collector())
        let run = Task { try await stage.run() }
        try await send(blocks(0, 1...1) + blocks(0, 3...3), to: stage.ingresses[0])
        await #expect { try await run.value } throws: { ($0 as? SluiceError)?.code == .streamBroken }
    }

    @Test("a run that is cancelled ends, and so do those who wait to send")
    func cancelled() async throws {
        let clock = ManualClock()
        let stage = try AggregateStage(
            CountingAggregator(.alignedByHeight(timeout: .fail(after: .seconds(60)))), streams: 2, chainID: 9, into: Collector(),
            limits: .init(streamBytes: 1024, edgeBytes: 1), time: clock.timeSource)
        let run = Task { try await stage.run() }
        let sender = Task { try await send(blocks(0, 1...100), to: stage.ingresses[0]) }
        await clock.waitForSleepers(1)
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        await #expect(throws: CancellationError.self) { try await sender.value }
    }

    @Test("what a store holds when the process ends is gone on from, even bundles that were undone since")
    func resumed() async throws {
        let records = KeptRecords()
        let first = Collector()
        let stage = try AggregateStage(
            CountingAggregator(.onUpdate(of: 0, others: [.atLeastOne])), streams: 2, chainID: 9, into: first, records: records)
        let run = Task { try await stage.run() }
        try await send(blocks(1, 1...10), to: stage.ingresses[1])
        try await send(blocks(0, 1...10), to: stage.ingresses[0])
        for number in UInt64(11)...20 {
            try await stage.ingresses[1].send(.batch(batch(1, number...number)))
        }
        await until { first.rows.count == 10 }
        for ingress in stage.ingresses { try await ingress.send(.finalized(12)) }
        await until { first.state.withLock { $0.finalized } == 3 }
        let stored = first.state.withLock { $0.coverage.segments.last?.last }
        #expect(stored?.number == 10)
        // Meanwhile the synchronizer goes back; the store does not hear of it.
        first.state.withLock { $0.isStopped = true }
        try await stage.ingresses[1].send(.rollback(to: blocks(1, 15...15)[0].ref))
        await until { first.state.withLock { $0.isAsked } }
        run.cancel()
        _ = await run.result

        let position = try #require(stored)
        let chain = BundleRecord.chain(to: position, among: records.state.withLock { $0.records })
        #expect(chain.last?.number == 10)
        let second = Collector()
        second.state.withLock { $0.coverage = first.state.withLock { $0.coverage } }
        let resumed = try AggregateStage(
            CountingAggregator(.onUpdate(of: 0, others: [.atLeastOne])), streams: 2, chainID: 9, into: second, resuming: chain,
            records: records)
        #expect(resumed.progress.head == position)
        let rerun = Task { try await resumed.run() }
        let from = try resumed.readFrom.map { try #require($0).number + 1 }
        try await resumed.ingresses[1].send(.batch(batch(1, from[1]...15)))
        try await resumed.ingresses[1].send(
            .batch(batch(blocks(1, 16...25, branch: 1), parent: blocks(1, 15...15)[0])))
        try await resumed.ingresses[0].send(.batch(batch(0, from[0]...12)))
        for ingress in resumed.ingresses { try await ingress.finish() }
        try await rerun.value
        #expect(second.state.withLock { $0.problems } == [])
        #expect(second.state.withLock { $0.rollbacks } == 1)
        #expect(second.state.withLock { $0.coverage.segments.last?.last } == resumed.progress.head)
    }

    @Test("tables whose rows could not be undone are refused")
    func schemas() {
        var aggregator = CountingAggregator(.latestOfEach())
        let missing = Schema(name: "t", key: [], doc: "", fields: [Field("chain_id", .int64, ""), Field("number", .int64, "")])
        aggregator.schemas.append(missing)
        #expect { try AggregateStage(aggregator, streams: 1, chainID: 9, into: Collector()) } throws: {
            ($0 as? SluiceError)?.class == .config
        }
    }
}
