import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite("Sharing", .timeLimit(.minutes(1))) struct SharingTests {
    /// Counts its instances and the batches that they saw.
    private struct CountingPipe: Pipe {
        let schemas = [rowsSchema]
        let seen: Box<[Int]>
        let index: Int
        init(_ seen: Box<[Int]>) {
            self.seen = seen
            var index = 0
            seen.change {
                index = $0.count
                $0.append(0)
            }
            self.index = index
        }
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            seen.change { $0[index] += 1 }
            return batch.tables
        }
    }

    private func register(_ name: String, _ seen: Box<[Int]>, table: String = "rows") -> Register {
        Register(
            name: name, number: RegisterType(rawValue: 201), doc: "",
            schemas: [Schema(name: table, key: rowsSchema.key, doc: "", fields: rowsSchema.fields)], needs: [Need(table)],
            maker: .oracle { CountingPipe(seen) })
    }

    private func branch(
        _ name: String, _ sink: FakeSink, start: UInt64? = 0, until: UInt64? = nil, registers: [Register] = [rowsRegister]
    ) -> Branch {
        Branch(
            definition(name, start: start, registers: registers), goal: .follow(until: until), sinks: [SinkAttachment("sink", sink)],
            progress: PipelineProgress())
    }

    @Test("ten pipelines over one network read what one reads, and run each component once")
    func ten() async throws {
        let alone = FakeOracle(head: 200, finalized: 190)
        let one = hub(alone)
        try await working(one) {
            let only = branch("only", FakeSink(), until: 200)
            one.join([only])
            _ = await only.ended()
        }
        let oracle = FakeOracle(head: 200, finalized: 190)
        let seen = Box<[Int]>([])
        let register = register("rows", seen)
        let shared = hub(oracle, registers: [register])
        let sinks = (0..<10).map { _ in FakeSink() }
        try await working(shared) {
            let branches = sinks.enumerated().map { branch("p\($0.offset)", $0.element, until: 200, registers: [register]) }
            shared.join(branches)
            for branch in branches { #expect(await branch.ended().isCompleted) }
        }
        for sink in sinks { #expect(sink.rows == oracle.rows(0...200)) }
        // Behind its end nothing is left to read; whether the head is looked at before all have gone is a matter of moments.
        func reading(_ calls: [String]) -> [String] { calls.filter { !$0.hasPrefix("live from 200") } }
        #expect(reading(oracle.calls) == reading(alone.calls))
        // An instance for the history, and one for the head at most: not ten.
        #expect(seen.value.count <= 3 && seen.value.reduce(0, +) <= 60, "\(seen.value)")
    }

    @Test("a pipeline that joins later catches up and goes on with the others: no hole, no block twice, one reading")
    func joinsLater() async throws {
        let oracle = FakeOracle(head: 100, finalized: 90)
        let shared = hub(oracle)
        let (first, second) = (FakeSink(), FakeSink())
        try await working(shared) {
            let one = branch("one", first)
            shared.join([one])
            try await eventually("the first one follows") { first.rows.count == 101 }
            let two = branch("two", second, start: 7)
            shared.join([two])
            try await eventually("the second one has caught up") { second.rows.count == 94 }
            oracle.state.withLock { state in state.chain += (101...150).map { FakeBlock(number: $0, branch: 0) } }
            try await eventually("both go on") { first.rows.count == 151 && second.rows.count == 144 }
            one.leave()
            two.leave()
            _ = await (one.ended(), two.ended())
        }
        #expect(first.rows == oracle.rows(0...150) && second.rows == oracle.rows(7...150))
        for sink in [first, second] {
            let written = sink.writes.flatMap { Array($0) }
            #expect(Set(written).count == written.count && sink.segments.count == 1)
        }
    }

    @Test("one that fails ends alone; the others never stop")
    func failsAlone() async throws {
        let oracle = FakeOracle(head: 60, finalized: 50)
        let shared = hub(oracle)
        let (good, bad) = (FakeSink(), FakeSink())
        try await working(shared) {
            let one = branch("good", good)
            let two = branch("bad", bad)
            shared.join([one, two])
            try await eventually("both follow") { good.rows.count == 61 && bad.rows.count == 61 }
            bad.state.withLock { $0.failAt = 65 }
            oracle.state.withLock { state in state.chain += (61...90).map { FakeBlock(number: $0, branch: 0) } }
            guard case .failed(let error) = await two.ended() else { return #expect(Bool(false), "it failed") }
            #expect("\(error)".contains("the sink is full"))
            try await eventually("the good one goes on") { good.rows.count == 91 }
            #expect(bad.rows.count <= 65)
            // It is resumed from where it ended.
            let again = branch("bad", bad)
            shared.join([again])
            try await eventually("it is back") { bad.rows.count == 91 }
            one.leave()
            again.leave()
            _ = await (one.ended(), again.ended())
        }
        #expect(bad.rows == oracle.rows(0...90))
    }

    @Test("a component that throws ends the pipelines that use it, and no other")
    func componentThrows() async throws {
        struct Throwing: Pipe {
            let schemas = [rowsSchema]
            func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                if batch.span.first >= 40 { throw SluiceError(.init("broken"), .fatal, "the component is broken") }
                return batch.tables
            }
        }
        let broken = Register(
            name: "broken", number: RegisterType(rawValue: 202), doc: "", schemas: [rowsSchema], dependencies: ["rows"],
            needs: [Need("rows")],
            maker: .pipe { _ in Throwing() })
        let dependent = Register(
            name: "dependent", number: RegisterType(rawValue: 203), doc: "", schemas: [rowsSchema], dependencies: ["broken"],
            needs: [Need("rows")],
            maker: .pipe { _ in PassPipe() })
        let oracle = FakeOracle(head: 60, finalized: 50)
        let shared = hub(oracle, registers: [rowsRegister, broken, dependent])
        let sinks = (FakeSink(), FakeSink(), FakeSink())
        try await working(shared) {
            let good = branch("good", sinks.0, until: 60)
            let bad = branch("bad", sinks.1, registers: [broken])
            let worse = branch("worse", sinks.2, registers: [dependent])
            shared.join([good, bad, worse])
            #expect(await good.ended().isCompleted)
            for branch in [bad, worse] {
                guard case .failed(let error as SluiceError) = await branch.ended() else { return #expect(Bool(false), "it failed") }
                #expect(error.code.rawValue == "broken")
            }
        }
        #expect(sinks.0.rows == oracle.rows(0...60))
        // What had not reached the sink yet is read again when they are resumed.
        for sink in [sinks.1, sinks.2] {
            let last = sink.rows.keys.max() ?? 0
            #expect(last < 40 && (sink.rows.isEmpty || sink.rows == oracle.rows(0...last)))
        }
    }

    @Test("what is fetched follows who is there: needs come with a pipeline and go with it")
    func needs() async throws {
        let seen = Box<[Int]>([])
        let wide = register("wide", seen, table: "wide")
        let oracle = FakeOracle(head: 30, finalized: 20)
        let shared = hub(oracle, registers: [rowsRegister, wide])
        let (first, second) = (FakeSink(), FakeSink())
        try await working(shared) {
            let one = branch("one", first)
            let two = branch("two", second, registers: [wide])
            shared.join([one])
            try await eventually("the first one follows") { first.rows.count == 31 }
            shared.join([two])
            try await eventually("the second one follows") {
                second.rows.count == 31 && oracle.state.withLock { $0.needs.last } == [Need("rows"), Need("wide")]
            }
            #expect(Set(shared.components.map(\.register)) == ["rows", "wide"])
            two.leave()
            _ = await two.ended()
            try await eventually("only the first one is left") { oracle.state.withLock { $0.needs.last } == [Need("rows")] }
            #expect(shared.components.map(\.register) == ["rows"] && shared.components.map(\.users) == [1])
            one.leave()
            _ = await one.ended()
            #expect(shared.components.isEmpty)
        }
    }
}

extension Branch.End {
    var isCompleted: Bool { if case .completed = self { true } else { false } }
}
