import SluiceCore
import SluiceFlow
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Random interleavings of streams that are reorganised, become final, and are interrupted. A failure names its seed.
@Suite struct SynchronizerPropertyTests {
    static let seeds: UInt64 = getenv("SLUICE_TEST_LONG") != nil ? 1_000 : 25
    static let byBlocks: [SynchronizationPolicy] = [
        .alignedByHeight(), .alignedByTime(tolerance: 0), .alignedByTime(tolerance: 3), .window(seconds: 1), .window(seconds: 12),
    ]
    static let byArrival: [SynchronizationPolicy] = [
        .onUpdate(of: 0, others: [.atLeastOne]), .onUpdate(of: 1, others: [.atMostOne]), .onUpdate(of: 0, others: [.any]), .latestOfEach(),
    ]

    @Test(
        "at every moment the bundles that stand are those that there would be if no orphaned block had ever come",
        arguments: byBlocks + byArrival)
    func noTrace(policy: SynchronizationPolicy) throws {
        for seed in 0..<Self.seeds {
            let streams = 2 + Int(seed % 3)
            var scenario = try Scenario(policy, streams: streams, seed: seed)
            for step in 0..<80 {
                scenario.step()
                if let failure = scenario.following.failure { Issue.record("seed \(seed) step \(step): \(failure)") }
                guard scenario.following.lines == scenario.expected else {
                    Issue.record("seed \(seed), step \(step): \(scenario.following.lines), not \(scenario.expected)")
                    return
                }
            }
            #expect(scenario.following.synchronizer.counts.bundles >= scenario.following.bundles.count)
        }
    }

    @Test("a synchronizer that goes on in another process makes the bundles of one that was never interrupted", arguments: byBlocks)
    func resumedByBlocks(policy: SynchronizationPolicy) throws {
        for seed in 0..<Self.seeds {
            var scenario = try Scenario(policy, streams: 2 + Int(seed % 3), seed: seed)
            for _ in 0..<4 {
                for _ in 0..<30 { scenario.step() }
                try scenario.restart()
            }
            for _ in 0..<30 { scenario.step() }
            scenario.catchUp()
            let all = Model.lines(policy, scenario.chains.flatMap { $0 }, streams: scenario.chains.count)
            #expect(scenario.following.failure == nil)
            guard scenario.following.lines == all else {
                Issue.record("seed \(seed): \(scenario.following.lines), not \(all)")
                return
            }
        }
    }

    @Test("interrupted, every block is in as many bundles as the policy promises, and in its place", arguments: byArrival)
    func resumedByArrival(policy: SynchronizationPolicy) throws {
        for seed in 0..<Self.seeds {
            var scenario = try Scenario(policy, streams: 2 + Int(seed % 3), seed: seed)
            for _ in 0..<4 {
                for _ in 0..<30 { scenario.step() }
                try scenario.restart()
            }
            for _ in 0..<30 { scenario.step() }
            scenario.catchUp()
            #expect(scenario.following.failure == nil)
            let problem = policy == .latestOfEach() ? Self.latest(scenario) : Self.onUpdate(scenario)
            if let problem {
                Issue.record("seed \(seed): \(problem): \(scenario.following.lines) of \(scenario.chains)")
                return
            }
        }
    }

    private static func inputs(_ scenario: Scenario) -> [[[StreamBlock]]] {
        scenario.following.bundles.map { $0.inputs.map { $0.flatMap(Following.blocks) } }
    }

    /// Every block once, in order, from the first on; what is missing at the end waits for a reason.
    private static func onUpdate(_ scenario: Scenario) -> String? {
        guard case .onUpdate(let trigger, let others, _) = scenario.policy else { return "another policy" }
        let bundles = inputs(scenario)
        for stream in scenario.streams {
            let all = bundles.flatMap { $0[stream] }
            guard all == Array(scenario.chains[stream].prefix(all.count)) else { return "stream \(stream) has other blocks" }
            for bundle in bundles {
                let count = bundle[stream].count
                let isRight = stream == trigger ? count == 1 : others[0] == .atLeastOne ? count >= 1 : others[0] == .any || count <= 1
                if !isRight { return "stream \(stream) has \(count) blocks in a bundle" }
            }
        }
        let waiting = scenario.streams.map { stream in scenario.chains[stream].count - bundles.reduce(0) { $0 + $1[stream].count } }
        if waiting[trigger] > 0, others[0] != .atLeastOne || !waiting.contains(0) { return "a trigger waits without a reason" }
        return nil
    }

    /// From one bundle to the next one stream goes on by one block, up to the newest of each.
    private static func latest(_ scenario: Scenario) -> String? {
        let bundles = inputs(scenario).map { $0.flatMap { $0 } }
        guard scenario.chains.allSatisfy({ !$0.isEmpty }) else { return bundles.isEmpty ? nil : "a bundle without all streams" }
        guard bundles.last == scenario.chains.compactMap(\.last) else { return "the last bundle is not of the newest blocks" }
        for (bundle, before) in zip(bundles.dropFirst(), bundles) {
            let moved = scenario.streams.filter { bundle[$0] != before[$0] }
            guard moved.count == 1, bundle[moved[0]].number == before[moved[0]].number + 1 else { return "an update has no bundle" }
        }
        for stream in scenario.streams where !bundles.allSatisfy({ scenario.chains[stream].contains($0[stream]) }) {
            return "an orphaned block"
        }
        return nil
    }

    @Test(
        "with timeouts no orphaned block stays in a bundle, none comes twice, and none out of turn",
        arguments: [
            { .onUpdate(of: 0, others: [.atLeastOne], timeout: $0) }, { .alignedByHeight(timeout: $0) },
            { .alignedByTime(tolerance: 3, timeout: $0) }, { .window(seconds: 12, timeout: $0) },
        ] as [@Sendable (Timeout) -> SynchronizationPolicy],
        [Timeout.emitPartial(after: .seconds(10)), .skip(after: .seconds(10)), .emitPartial(after: .zero)])
    func timeouts(policy: @Sendable (Timeout) -> SynchronizationPolicy, timeout: Timeout) throws {
        for seed in 0..<Self.seeds {
            var scenario = try Scenario(policy(timeout), streams: 2 + Int(seed % 3), seed: seed)
            for step in 0..<100 {
                if step % 3 == 0 { scenario.following.wait(.seconds(Int64(scenario.random.next() % 8))) }
                scenario.step()
                let bundles = Self.inputs(scenario)
                for stream in scenario.streams {
                    let blocks = bundles.flatMap { $0[stream] }
                    let isCanonical = Set(blocks).isSubset(of: scenario.chains[stream])
                    let isAscending = zip(blocks, blocks.dropFirst()).allSatisfy { $0.number < $1.number }
                    guard isCanonical, isAscending, scenario.following.failure == nil else {
                        Issue.record("seed \(seed), step \(step): \(scenario.following.lines) of \(scenario.chains)")
                        return
                    }
                    let waiting = scenario.following.synchronizer.waitingBytes(stream)
                    #expect(waiting >= 0 && waiting % 1024 == 0)
                }
            }
            // What is in bundles, what was passed over and what waits is all that there is.
            let synchronizer = scenario.following.synchronizer
            let waiting = scenario.streams.reduce(0) { $0 + synchronizer.waitingBytes($1) / 1024 }
            let bundled = Self.inputs(scenario).reduce(0) { $0 + $1.reduce(0) { $0 + $1.count } }
            let passedOver = synchronizer.counts.passedOver.values.reduce(0, +)
            #expect(waiting + bundled + passedOver == scenario.chains.reduce(0) { $0 + $1.count })
        }
    }

    @Test("blocks whose times go back, or make no sense, do no harm: the same bundles in whatever order they arrive", arguments: byBlocks)
    func wildTimes(policy: SynchronizationPolicy) throws {
        for seed in 0..<Self.seeds {
            var random = SeededRandom(seed: seed)
            let chains = (0..<3).map { stream in
                (1...UInt64(60)).map { number in
                    let near = number * 3 + UInt64.random(in: 0...20, using: &random)
                    let far = [0, UInt64.max, UInt64.max - 1, 1 << 63][Int.random(in: 0..<4, using: &random)]
                    let isFar = number > 50 && UInt64.random(in: 0...3, using: &random) == 0
                    return StreamBlock(stream: stream, number: number, timestamp: isFar ? far : near)
                }
            }
            var results: Set<[String]> = []
            for _ in 0..<4 {
                var following = try Following(policy, streams: 3)
                var rests = chains.map { $0[...] }
                while let stream = (0..<3).filter({ !rests[$0].isEmpty }).randomElement(using: &random) {
                    let count = Int.random(in: 1...min(9, rests[stream].count), using: &random)
                    following.send(Array(rests[stream].prefix(count)))
                    rests[stream].removeFirst(count)
                }
                #expect(following.failure == nil)
                results.insert(following.lines)
            }
            #expect(results.count == 1, "seed \(seed)")
        }
    }

    @Test("memory is what is not final and what waits, however long it runs", arguments: byBlocks + byArrival)
    func memory(policy: SynchronizationPolicy) throws {
        var synchronizer = try Synchronizer(policy: policy, streams: 3)
        var numbers: [UInt64] = [0, 0, 0]
        var most = (steps: 0, blocks: 0)
        for round in 0..<UInt64(4_000) {
            for stream in 0..<3 {
                let block = StreamBlock(stream: stream, number: numbers[stream], timestamp: round * 2)
                numbers[stream] += 1
                let before = StreamBlock(stream: stream, number: block.number &- 1, timestamp: round &* 2 &- 2)
                _ = synchronizer.on(.batch(stream: stream, batch([block], parent: before)), now: .zero)
                _ = synchronizer.on(.finalized(stream: stream, block.number - min(block.number, 30)), now: .zero)
            }
            let now = synchronizer.remembered
            most = (max(most.steps, now.steps), max(most.blocks, now.blocks))
        }
        #expect(synchronizer.head.number >= 600)
        #expect(most.blocks <= 3 * 45 && most.steps <= 3 * 45)
    }
}
