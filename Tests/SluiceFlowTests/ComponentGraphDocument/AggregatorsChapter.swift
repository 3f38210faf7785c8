import EthereumConnector
import SluiceCore
import SluiceSimulator
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Aggregators: several streams become one.
    @Suite("Aggregators") struct Aggregators {
        private static let counts = CountingAggregator.schema

        // MARK: - What they are for

        @Test("a register may be made by an aggregator, and a pipeline asks for it as for any other")
        func register() async throws {
            try await TwoLayers.run(blocks: (30, 30)) { layers in
                let sink = TableSink()
                let manager = try layers.manager(["store": sink])
                try await working(manager) {
                    let id = try await manager.create(layers.request("pairs", .alignedByHeight(), sinks: ["store"]))
                    #expect(id.pid.bytes == [2, 1, 2, 3, 11, 1, 2, 1, 2])
                    try await eventually("all pairs") { sink.values("block_bundles", "block_number").count == 60 }
                    try layers.one.simulator.advance(5)
                    try layers.two.simulator.advance(5)
                    try await eventually("more pairs") { sink.values("block_bundles", "block_number").count == 70 }
                }
                #expect(sink.values("block_bundles", "bundle_number") == (1...35).flatMap { [$0, $0] })
            }
        }

        /// Adds up what two streams have at one height: neither of them alone knows that.
        private struct Adding: Aggregator {
            let policy = SynchronizationPolicy.alignedByHeight()
            let schemas = [Aggregators.counts]

            func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
                let sum = bundle.inputs.joined().reduce(0) { $0 + $1.span.first }
                var columns = schemas[0].fields.map { ColumnBuilder($0.type) }
                for (index, value) in [9, Int64(bundle.number), Int64(bundle.inputs.count), Int64(sum)].enumerated() {
                    columns[index].append(value)
                }
                return [Table(schema: schemas[0], columns: columns.map { $0.finish() }, rowCount: 1)]
            }
        }

        @Test("what takes several sources to work out is worked out by an aggregator: it is given the blocks of all of them together")
        func severalSources() async throws {
            let collector = Collector()
            let stage = try AggregateStage(Adding(), streams: 2, chainID: 9, into: collector)
            try await run(stage, blocks(0, 1...5) + blocks(1, 1...5))
            #expect(collector.rows == (1...5).map { [9, $0, 2, 2 * $0] })
        }

        @Test("streams of different pace are not combined without a policy: a pipeline of several that names none is refused")
        func policyIsNeeded() async throws {
            try await TwoLayers.run(blocks: (2, 2)) { layers in
                let manager = try layers.manager(["store": TableSink()])
                let error = await #expect(throws: SluiceError.self) {
                    try await manager.create(layers.request("pairs", nil, sinks: ["store"]))
                }
                #expect(error?.class == .config && error?.message.contains("does not say how its streams are synchronized") == true)
                #expect(await manager.list.isEmpty)
            }
        }

        // MARK: - Attributes

        /// Notes which tables of which stream it was given together.
        private struct Listing: Aggregator {
            let policy = SynchronizationPolicy.alignedByHeight()
            let schemas = [Aggregators.counts]
            let seen: Box<[[[String]]]>

            func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
                seen.change { $0.append(bundle.inputs.map { $0.flatMap(\.tables).map { "\($0.schema.name) \($0.rowCount)" } }) }
                return [Table(schema: schemas[0], columns: schemas[0].fields.map { ColumnBuilder($0.type).finish() }, rowCount: 0)]
            }
        }

        @Test("an aggregator reads any number of streams, whatever tables each of them brings", arguments: [1, 2, 5, 16])
        func streams(count: Int) async throws {
            let seen = Box<[[[String]]]>([])
            let stage = try AggregateStage(Listing(seen: seen), streams: count, chainID: 9, into: BatchCollector())
            let work = Task { try await stage.run() }
            for (stream, ingress) in stage.ingresses.enumerated() {
                let span = batch(stream, 7...7).span
                // Of stream n: n tables, each of its own name and with other columns and rows.
                let tables = (0..<stream).map { index in
                    let schema = Schema(
                        name: "s\(stream)_t\(index)", key: [], doc: "", fields: (0...index).map { Field("f\($0)", .int64, "") })
                    let columns = schema.fields.map { _ in Column.int64([Int64](repeating: 1, count: stream)) }
                    return Table(schema: schema, columns: columns, rowCount: stream)
                }
                try await ingress.send(.batch(Batch(chainID: UInt64(stream), span: span, tables: tables)))
                try await ingress.finish()
            }
            try await work.value
            #expect(seen.value == [(0..<count).map { stream in (0..<stream).map { "s\(stream)_t\($0) \(stream)" } }])
        }

        @Test(
            "the policy decides which blocks of which streams go together",
            arguments: [
                (.onUpdate(of: 0, others: [.any]), ["a1 -", "a2 b1,b2", "a3 b3,b4"]),
                (.latestOfEach(), ["a1 b1", "a1 b2", "a2 b2", "a2 b3", "a2 b4", "a3 b4"]),
                (.alignedByHeight(), ["a1 b1", "a2 b2", "a3 b3"]), (.alignedByTime(tolerance: 1), ["a1 b1", "a2 b3", "a3 b4"]),
                (.window(seconds: 10), ["- b1", "a1 b2", "a2 b3"]),
            ] as [(SynchronizationPolicy, [String])])
        func policy(policy: SynchronizationPolicy, bundles: [String]) throws {
            var following = try Following(policy, streams: 2)
            following.send("a1@10 b1@9 b2@11 a2@22 b3@21 b4@33 a3@33")
            #expect(following.lines == bundles)
        }

        @Test("what an aggregator makes goes into every sink of its pipeline")
        func sinks() async throws {
            try await TwoLayers.run(blocks: (20, 20)) { layers in
                let sinks = [TableSink(), TableSink(), TableSink()]
                let manager = try layers.manager(["a": sinks[0], "b": sinks[1], "c": sinks[2]])
                try await working(manager) {
                    try await manager.create(layers.request("pairs", .alignedByHeight(), sinks: ["a", "b", "c"]))
                    try await eventually("all pairs") { sinks.allSatisfy { $0.blocks.count == 20 } }
                    try layers.two.simulator.reorganise(depth: 3, length: 3)
                    let last = try #require(try layers.two.simulator.canonical(layers.two.simulator.head)).ref.hash
                    try await eventually("the other branch") {
                        sinks.allSatisfy { sink in
                            let table = sink.tables("block_bundles").last
                            return sink.blocks.count == 20 && table?.column("block_hash")?.load(1, as: Hash32.self) == last
                        }
                    }
                }
                #expect(sinks[1].blocks == sinks[0].blocks && sinks[2].blocks == sinks[0].blocks)
            }
        }

        /// Bundles, as further components are given them.
        private struct Bundles: Oracle {
            func head() async throws -> ChainHead { ChainHead(latest: 20, finalized: 20) }
            func settle(_ position: Position, finalized: UInt64?) async throws -> Position { position }
            func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {}

            func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
                let stage = try AggregateStage(CountingAggregator(.window(seconds: 30)), streams: 2, chainID: 9, into: egress)
                try await Aggregators().run(stage, blocks(0, 1...61, every: 10) + blocks(1, 1...61, every: 10))
                while true { try await Task.sleep(for: .seconds(60)) }
            }
        }

        /// Passes on how many blocks there were in all, bundle by bundle.
        private struct Totals: SluiceCore.Pipe {
            let schemas = [
                Schema(name: "totals", key: [], doc: "", fields: [Field("bundle_number", .int64, ""), Field("value", .int64, "")])
            ]

            func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                guard let table = batch.table("counts") else { throw SluiceError(.init("no_table"), .fatal, "no counts") }
                return [Table(schema: schemas[0], columns: [table.columns[1], table.columns[3]], rowCount: table.rowCount)]
            }
        }

        @Test("what an aggregator makes can be read by further components, as what an oracle makes")
        func components() async throws {
            /// The same table, as it comes.
            struct Pass: SluiceCore.Pipe {
                let schemas = [Aggregators.counts]
                func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] { batch.tables }
            }
            let counts = Register(
                name: "counts", number: RegisterType(rawValue: 201), doc: "", schemas: [Self.counts], needs: [Need("counts")],
                maker: .oracle { Pass() })
            let totals = Register(
                name: "totals", number: RegisterType(rawValue: 202), doc: "", schemas: Totals().schemas, dependencies: ["counts"],
                needs: [Need("counts")], maker: .pipe { _ in Totals() })
            let sink = TableSink()
            let shared = Hub(
                Hub.Surroundings(registry: try Registry([counts, totals]), journal: FakeJournal(), time: .live, log: .disabled) { _, _ in
                    Bundles()
                })
            try await following(shared, [branch("p", [totals], into: [sink], start: 1)]) {
                try await eventually("twenty windows") { sink.blocks.count == 20 }
            }
            // Two blocks of each in the first window, from which the block at its beginning is missing; then three.
            #expect(sink.values("totals") == (0..<20).map { 4 + $0 * 6 })
        }

        // MARK: - On update of one stream

        /// Sends blocks in the order in which they are given, then ends the streams.
        private func run(_ stage: AggregateStage, _ blocks: [StreamBlock]) async throws {
            let work = Task { try await stage.run() }
            var tips: [Int: StreamBlock] = [:]
            for block in blocks {
                try await stage.ingresses[block.stream].send(.batch(batch([block], parent: tips[block.stream])))
                tips[block.stream] = block
            }
            for ingress in stage.ingresses { try await ingress.finish() }
            try await work.value
        }

        /// Chains with a block each so many seconds, side by side up to some second; of two that come at once, the later stream's comes first.
        private func chains(every seconds: [UInt64], through end: UInt64) -> [StreamBlock] {
            let all = seconds.enumerated().flatMap { stream, seconds in blocks(stream, 1...end / seconds, every: seconds) }
            return all.sorted { ($0.timestamp, $1.stream) < ($1.timestamp, $0.stream) }
        }

        /// Which blocks of each stream the register `block_bundles` puts together.
        private func bundles(_ policy: SynchronizationPolicy, _ blocks: [StreamBlock]) async throws -> [[[Int64]]] {
            let streams = (0...(blocks.map(\.stream).max() ?? 0)).map { AggregatedStream(network: "\($0)", chainID: UInt64($0 + 1)) }
            let collector = BatchCollector()
            let aggregator = try DocumentNode.register("block_bundles").makeAggregator(streams, policy)
            try await run(try AggregateStage(aggregator, streams: streams.count, chainID: 1, into: collector), blocks)
            return collector.batches.map { batch in
                var bundle = [[Int64]](repeating: [], count: streams.count)
                guard let table = batch.table("block_bundles"), let stream = table.column("stream"),
                    let number = table.column("block_number")
                else { return bundle }
                for row in 0..<table.rowCount {
                    bundle[Int(stream.load(row, as: Int64.self)) - 1].append(number.load(row, as: Int64.self))
                }
                return bundle
            }
        }

        @Test("subscribed to one stream, an aggregator gives nothing until a block of that stream comes, and then at once")
        func oneStream() async throws {
            let quiet = blocks(1, 1...30, every: 2)
            let policy = SynchronizationPolicy.onUpdate(of: 0, others: [.any])
            #expect(try await bundles(policy, quiet) == [])
            let first = StreamBlock(stream: 0, number: 1, timestamp: 60)
            #expect(try await bundles(policy, quiet + [first]) == [[[1], Array(1...30)]])
            // Blocks of the others that come later wait for its next one.
            #expect(try await bundles(policy, quiet + [first] + blocks(1, 31...40, every: 2)) == [[[1], Array(1...30)]])
        }

        @Test("each block of that stream gives one tuple, with what the queues of the others have gathered since the one before")
        func buckets() async throws {
            let found = try await bundles(.onUpdate(of: 0, others: [.any]), chains(every: [7, 3], through: 84))
            #expect(found.count == 12 && found.map { $0[0] } == (1...12).map { [$0] })
            // All that came is there, once and in order.
            #expect(found.flatMap { $0[1] } == Array(1...28))
            for (index, bundle) in found.enumerated() {
                let (from, to) = (Int64(index) * 7, Int64(index + 1) * 7)
                #expect(bundle[1] == (1...28).filter { $0 * 3 > from && $0 * 3 <= to })
            }
        }

        @Test("of two chains A and B with a slower A, a tuple each time A has a block: one of A, one or more of B")
        func slowTrigger() async throws {
            let found = try await bundles(.onUpdate(of: 0, others: [.atLeastOne]), chains(every: [12, 2], through: 120))
            let expected = (0..<10).map { (index: Int64) -> [[Int64]] in [[index + 1], Array(index * 6 + 1...index * 6 + 6)] }
            #expect(found == expected)
            #expect(found.allSatisfy { $0[0].count == 1 && $0[1].count >= 1 })
            // When two of A come in a row, the second waits for one of B.
            let row = [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)].map { StreamBlock(stream: $0, number: $1, timestamp: 100) }
            #expect(try await bundles(.onUpdate(of: 0, others: [.atLeastOne]), row) == [[[1], [1]], [[2], [2]], [[3], [3]]])
        }

        @Test("of the same two chains, a tuple each time B has a block: one of B, one or none of A")
        func fastTrigger() async throws {
            let found = try await bundles(.onUpdate(of: 1, others: [.atMostOne]), chains(every: [12, 2], through: 120))
            #expect(found.map { $0[1] } == (1...60).map { [$0] } && found.allSatisfy { $0[0].count <= 1 })
            // Each block of A goes with the next one of B; none is left out, none comes twice.
            let expected = (1...60).map { (number: Int64) -> [Int64] in number > 1 && number % 6 == 1 ? [number / 6] : [] }
            #expect(found.map { $0[0] } == expected)
        }

        @Test("both forms hold for any number of chains, each with a cardinality of its own")
        func anyNumber() async throws {
            let pace: [UInt64] = [12, 2, 5, 1, 30]
            let all = chains(every: pace, through: 240)
            let slow = try await bundles(.onUpdate(of: 0, others: [.atLeastOne, .any, .atLeastOne, .atMostOne]), all)
            #expect(slow.map { $0[0] } == (1...20).map { [$0] })
            #expect(slow.allSatisfy { $0[1].count == 6 && [2, 3].contains($0[2].count) && $0[3].count == 12 && $0[4].count <= 1 })
            let fast = try await bundles(.onUpdate(of: 3, others: [.atMostOne]), all)
            #expect(fast.map { $0[3] } == (1...240).map { [$0] })
            for stream in [0, 1, 2, 4] {
                #expect(fast.allSatisfy { $0[stream].count <= 1 })
                // In the last second stream 4 comes before the trigger; the others' blocks have none behind them to go with.
                let count = 240 / Int64(pace[stream])
                #expect(fast.flatMap { $0[stream] } == Array(1...(stream > 3 ? count : count - 1)))
            }
        }
    }
}
