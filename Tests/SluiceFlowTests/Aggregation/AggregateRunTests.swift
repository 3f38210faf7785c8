import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

/// Writes down the hashes of the blocks that go together.
private struct PairAggregator: Aggregator {
    static let schema = Schema(
        name: "pairs", key: ["bundle_number"], doc: "",
        fields: [Field("bundle_number", .int64, ""), Field("hashes", .bytes, ""), Field("chain_id", .int64, "")])
    let policy: SynchronizationPolicy
    let schemas = [Self.schema]

    mutating func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
        var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
        columns[0].append(Int64(bundle.number))
        columns[1].append(bytes: bundle.inputs.flatMap { $0.flatMap { $0.span.blocks.flatMap(\.hash.bytes) } })
        columns[2].append(Int64(1))
        return [Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: 1)]
    }
}

private let pairsRegister = Register(
    name: "pairs", number: RegisterType(rawValue: 201), doc: "", schemas: [PairAggregator.schema], dependencies: ["rows"],
    needs: [Need("rows")], maker: .aggregator { _, policy in PairAggregator(policy: policy) })

@Suite("A pipeline that combines streams", .timeLimit(.minutes(2))) struct AggregateRunTests {
    private let folder = TemporaryFolder()
    private let oracles = [FakeOracle(head: 60, finalized: 40), FakeOracle(head: 50, finalized: 30)]

    /// Works until `body` returns, then leaves; the store is opened and closed, as processes do.
    private func run(
        _ sinks: [FakeSink], start: UInt64? = 5, policy: SynchronizationPolicy = .alignedByHeight(), until: UInt64? = nil,
        _ body: (AggregateRun) async throws -> Void
    ) async throws -> Branch.End {
        let store = try await StateStore.open(folder.path + "/s")
        let registers = [rowsRegister, pairsRegister]
        let hubs = oracles.map { hub($0, registers: registers) }
        let definition = try AggregateDefinition(
            name: "p", register: pairsRegister, registry: try Registry(registers), policy: policy,
            streams: hubs.enumerated().map {
                AggregateDefinition.Stream(network: "n\($0.offset)", chainID: UInt64($0.offset + 1), hub: $0.element, start: start)
            })
        let run = AggregateRun(
            definition, until: until, sinks: sinks.enumerated().map { SinkAttachment("s\($0.offset)", $0.element) },
            progress: PipelineProgress(), store: store)
        let end = try await withThrowingTaskGroup(of: Void.self) { group in
            for hub in hubs { group.addTask { await hub.run() } }
            group.addTask { await run.work() }
            do { try await body(run) } catch {
                run.leave()
                throw error
            }
            if until == nil { run.leave() }
            let end = await run.ended()
            for hub in hubs { hub.end() }
            try await group.waitForAll()
            return end
        }
        await store.close()
        return end
    }

    /// What the chains are now says what must be there: the pairs of equal height, from the start on.
    private func expected(from start: UInt64 = 5) -> [UInt64: [UInt8]] {
        let chains = oracles.map(\.canonical)
        let last = chains.map { $0[$0.count - 1].number }.min() ?? 0
        return Dictionary(
            uniqueKeysWithValues: (start...last).map { number in
                (number - start + 1, chains.flatMap { $0[Int(number)].hash.bytes })
            })
    }

    @Test("every pair is there once, reorganisations leave no trace, and another process goes on where the sinks stand")
    func pairs() async throws {
        let sinks = [FakeSink(), FakeSink(perTransaction: 1)]
        let end = try await run(sinks) { _ in
            try await eventually("all pairs") { sinks.allSatisfy { $0.rows == expected() } }
            oracles[0].reorganise(behind: 44, to: 62, branch: 1)
            try await eventually("the other branch") { sinks.allSatisfy { $0.rows == expected() } }
        }
        #expect({ if case .left = end { true } else { false } }())
        oracles[0].reorganise(behind: 47, to: 70, branch: 2)
        oracles[1].reorganise(behind: 41, to: 66, branch: 1)
        let before = oracles.map(\.calls.count)
        _ = try await run(sinks) { _ in
            try await eventually("what changed meanwhile") { sinks.allSatisfy { $0.rows == expected() } }
        }
        // What is final is not read again.
        for (oracle, count) in zip(oracles, before) { #expect(!oracle.calls[count...].contains { $0.hasPrefix("backfill 5-") }) }
        #expect(sinks[0].rows.count == 62)
    }

    @Test("a sink that is new begins with the first bundle, and the other keeps what it has")
    func newSink() async throws {
        let first = FakeSink()
        _ = try await run([first]) { _ in try await eventually("all pairs") { first.rows == expected() } }
        let (second, writes) = (FakeSink(), first.writes.count)
        _ = try await run([first, second]) { _ in
            try await eventually("the second as well") { second.rows == expected() }
        }
        #expect(first.rows == expected() && first.writes.count == writes && first.state.withLock { $0.rollbacks }.isEmpty)
    }

    @Test("from the head on, it knows where it began when nothing had been stored")
    func fromTheHead() async throws {
        // It holds back: nothing is stored before the process ends.
        let sink = FakeSink(holdsBack: true)
        _ = try await run([sink], start: nil, policy: .alignedByHeight()) { run in
            try await eventually("both began") { run.streams.allSatisfy { $0.snapshot.emitted != nil } }
            for oracle in oracles { oracle.reorganise(behind: oracle.canonical.last?.number ?? 0, to: 63, branch: 0) }
            try await eventually("some bundles") { run.progress.snapshot.blocks >= 3 }
        }
        #expect(sink.rows.isEmpty)
        for oracle in oracles { oracle.reorganise(behind: oracle.canonical.last?.number ?? 0, to: 80, branch: 0) }
        for oracle in oracles { oracle.state.withLock { $0.finalized = 80 } }
        _ = try await run([sink], start: nil) { _ in
            try await eventually("all from the first on") { sinkPairs(sink) == (60...80).map { UInt64($0) } }
        }
    }

    @Test("a reorganisation that goes back behind where a stream began lets it begin anew")
    func belowTheStart() async throws {
        let sink = FakeSink(perTransaction: 1)
        oracles[0].reorganise(behind: 60, to: 62, branch: 0)
        _ = try await run([sink], start: nil) { run in
            try await eventually("both began") { run.streams.allSatisfy { $0.snapshot.emitted != nil } }
            oracles[1].reorganise(behind: 45, to: 62, branch: 1)
            try await eventually("what both have now") { sink.rows.count == 1 && sinkPairs(sink) == [62] }
            #expect(sink.rows[1].map { Array($0[32...]) } == FakeBlock(number: 62, branch: 1).hash.bytes)
        }
    }

    /// The heights of the pairs in a sink, by the numbers in their hashes.
    private func sinkPairs(_ sink: FakeSink) -> [UInt64] {
        sink.rows.sorted { $0.key < $1.key }.map { row in row.value[24..<32].reduce(0) { $0 << 8 | UInt64($1) } }
    }

    @Test("a run up to a block ends by itself, with all in its sinks")
    func bounded() async throws {
        let sink = FakeSink(perTransaction: 1000)
        let end = try await run([sink], until: 45) { run in _ = await run.ended() }
        #expect({ if case .completed = end { true } else { false } }())
        #expect(sink.rows.count == 41)
    }

    @Test("a sink that fails ends it with that error, and the next run completes all")
    func failingSink() async throws {
        let sinks = [FakeSink(perTransaction: 1), FakeSink()]
        sinks[0].state.withLock { $0.failAt = 20 }
        let end = try await run(sinks) { run in _ = await run.ended() }
        #expect({ if case .failed(let error) = end { "\(error)".contains("the sink is full") } else { false } }())
        _ = try await run(sinks) { _ in try await eventually("all pairs") { sinks.allSatisfy { $0.rows == expected() } } }
    }

    @Test("a stream whose upstream fails for good ends it with that error, and the next run completes all")
    func failingStream() async throws {
        let sink = FakeSink()
        oracles[1].fail(at: 33, .config)
        let end = try await run([sink]) { run in _ = await run.ended() }
        #expect({ if case .failed(let error) = end { "\(error)".contains("fake failure at 33") } else { false } }())
        _ = try await run([sink]) { _ in try await eventually("all pairs") { sink.rows == expected() } }
    }

    @Test("whatever is reorganised, interrupted or refused in between, what is there in the end is what the chains say", arguments: 0..<60)
    func anything(_ seed: Int) async throws {
        var random = SeededRandom(seed: UInt64(seed) &* 7919 &+ 3)
        let sinks = [FakeSink(perTransaction: 1 + seed % 4), FakeSink(perTransaction: 2), FakeSink(holdsBack: true)]
        for round in 1...6 {
            _ = try await run(sinks) { _ in
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...12, using: &random)))
                for oracle in oracles where Bool.random(using: &random) {
                    let (head, final) = oracle.state.withLock { ($0.chain[$0.chain.count - 1].number, $0.finalized) }
                    let behind = UInt64.random(in: final...head, using: &random)
                    oracle.reorganise(
                        behind: behind, to: max(behind + 1, head + UInt64.random(in: 0...4, using: &random)), branch: UInt8(round))
                }
                if Int.random(in: 0..<3, using: &random) == 0 {
                    let at = UInt64.random(in: 20...60, using: &random)
                    sinks[Int.random(in: 0..<2, using: &random)].state.withLock { $0.failAt = at }
                }
                for oracle in oracles where Bool.random(using: &random) {
                    oracle.state.withLock { $0.finalized = max($0.finalized, $0.chain[$0.chain.count - 1].number - 10) }
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...12, using: &random)))
            }
        }
        for sink in sinks { sink.state.withLock { $0.failAt = nil } }
        for oracle in oracles { oracle.state.withLock { $0.finalized = $0.chain[$0.chain.count - 1].number } }
        _ = try await run(sinks) { _ in
            try await eventually("all pairs in all sinks") { sinks.allSatisfy { $0.rows == expected() } }
        }
    }
}
