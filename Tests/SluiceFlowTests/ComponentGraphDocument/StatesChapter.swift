import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// The states of a pipeline.
    @Suite("Pipeline states") struct States {
        private let chain: ManagedChain
        private let sink: TableSink

        init() {
            let sink = TableSink()
            var chain = ManagedChain()
            chain.registers.append(Supply.register)
            chain.more["table"] = sink
            (self.sink, self.chain) = (sink, chain)
        }

        private func request(_ start: UInt64?) -> PipelineRequest { chain.request("p", start: start, sinks: ["table"]) }

        private var blocks: [BlockRef] { chain.oracle.canonical.map(\.ref) }

        @Test("backfill: blocks are read in order from the height where the pipeline starts up to the newest one")
        func backfill() async throws {
            let manager = try chain.manager()
            sink.hold(true)
            try await working(manager) {
                let id = try await manager.create(request(3))
                try await eventually("it reads") { await manager.pipeline(id)?.progress.emitted != nil }
                #expect(await manager.state(of: id) == .backfill)
                sink.hold(false)
                try await eventually("it has read all") { await manager.state(of: id) == .live }
                #expect(sink.blocks == Array(blocks[3...100]))
                #expect(sink.transits.filter { !$0.hasPrefix("f") }.first == "3-6")
            }
        }

        /// What was ever deposited: of each block its number.
        private struct Supply: SluiceCore.Pipe {
            static let register = Register(
                name: "supply", number: RegisterType(rawValue: 201), doc: "", schemas: [NumberPipe.schema("supply")],
                dependencies: ["geth_block"], needs: [Need("rows")], isAddressed: true,
                stateKey: StateKeyShape(prefix: "supply", id: "address"), keepsFindings: true,
                maker: .pipe { Supply(deposits: $0.findings) })

            let schemas = [NumberPipe.schema("supply")]
            var deposits: [Finding]
            var new: [Finding] = []

            init(deposits: [Finding]) { self.deposits = deposits }

            mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                var columns = schemas[0].fields.map { ColumnBuilder($0.type) }
                for number in batch.span.first...batch.span.last.number {
                    let deposit = Finding(block: BlockRef(number: number, hash: batch.span.hash(number)), text: "\(number)")
                    deposits.append(deposit)
                    new.append(deposit)
                    columns[0].append(Int64(number))
                    columns[1].append(deposit.block.hash)
                    columns[2].append(deposits.reduce(0) { $0 + (Int64($1.text) ?? 0) })
                }
                return [Table(schema: schemas[0], columns: columns.map { $0.finish() }, rowCount: batch.span.count)]
            }

            mutating func rollback(to position: Position) {
                deposits.removeAll { $0.block.number > position.number }
                new.removeAll { $0.block.number > position.number }
            }

            mutating func takeFindings() -> [Finding] {
                defer { new = [] }
                return new
            }
        }

        @Test("what must be known of the past to judge the present is known when a backfill is over: the supply is the sum of all deposits")
        func history() async throws {
            var chain = chain
            let late = TableSink()
            chain.more["late"] = late
            let manager = try chain.manager()
            func sum(_ first: Int64, _ last: Int64) -> Int64 { (first...last).reduce(0, +) }
            try await working(manager) {
                let ids = try await manager.create([
                    chain.request("all", start: 0, sinks: ["table"], registers: ["supply"]),
                    chain.request("late", start: nil, sinks: ["late"], registers: ["supply"]),
                ])
                try await eventually("both are live") {
                    let states = await [manager.state(of: ids[0]), manager.state(of: ids[1])]
                    return states == [.live, .live] && sink.blocks.count == 101
                }
                chain.oracle.grow(10)
                try await eventually("they follow") { sink.blocks.count == 111 && late.blocks.last?.number == 110 }
                chain.oracle.reorganise(behind: 105, to: 112, branch: 1)
                try await eventually("the other branch") { [sink, late].allSatisfy { $0.blocks.last == self.blocks.last } }
            }
            #expect(sink.values("supply") == (0...112).map { sum(0, $0) })
            // Without a backfill the past is missing, and the figures are wrong.
            let first = try #require(late.blocks.first).number
            #expect(first >= 100 && late.values("supply") == (Int64(first)...112).map { sum(Int64(first), $0) })
        }

        @Test("live: what is read is the newest block, as soon as it is there")
        func live() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await manager.create(request(nil))
                for head in 100...105 as ClosedRange<UInt64> {
                    try await eventually("block \(head)") { sink.blocks.last?.number == head }
                    #expect(await manager.state(of: id) == .live)
                    chain.oracle.grow(1)
                }
            }
            #expect(Array(sink.blocks.prefix(6)) == Array(blocks[100...105]))
        }

        /// A pipeline that was live, and is made to rest; and what was asked of the network by then.
        private func resting(_ state: PipelineState, _ manager: EtlManager) async throws -> PUUID {
            let id = try await manager.create(request(0))
            try await eventually("it is live") { await manager.state(of: id) == .live && sink.blocks.count == 101 }
            switch state {
            case .paused: try await manager.pause(id)
            case .stopped: try await manager.stop(id)
            default:
                chain.oracle.fail(at: 101, .config)
                chain.oracle.grow(1)
                try await eventually("it has failed") { await manager.state(of: id) == .error }
            }
            #expect(await manager.state(of: id) == state)
            return id
        }

        @Test(
            "stopped, paused, or in error: nothing is read, and nothing is processed", arguments: [PipelineState.stopped, .paused, .error])
        func idle(state: PipelineState) async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await resting(state, manager)
                let (calls, transits) = (chain.oracle.calls, sink.transits)
                chain.oracle.grow(10)
                try await Task.sleep(for: .milliseconds(50))
                #expect(chain.oracle.calls == calls && sink.transits == transits)
                #expect(await manager.state(of: id) == state)
                #expect(await manager.pipeline(id)?.commands.contains(.resume) == (state != .stopped))
            }
        }

        @Test(
            "what is paused or in error goes on where it was as soon as it is resumed; what is stopped does not, and begins with a restart",
            arguments: [PipelineState.stopped, .paused, .error])
        func resuming(state: PipelineState) async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await resting(state, manager)
                chain.oracle.grow(10)
                let rows = sink.blocks.count
                if state == .stopped {
                    let error = await #expect(throws: SluiceError.self) { try await manager.resume(id) }
                    #expect(error?.code == .illegalTransition && error?.message.contains("must be restarted") == true)
                    #expect(await manager.state(of: id) == .stopped && sink.blocks.count == rows)
                    try await manager.restart(stopped: id)
                } else {
                    try await manager.resume(id)
                }
                try await eventually("it has caught up") { sink.blocks.last == blocks.last }
                let view = await manager.pipeline(id)
                #expect(view?.state == .live && view?.failure == nil)
            }
            #expect(sink.blocks == blocks && !sink.transits.contains { $0.hasPrefix("r") })
        }

        @Test("an error has a reason, that of what failed first, and it is kept")
        func error() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await resting(.error, manager)
                #expect(await manager.pipeline(id)?.failure?.message == "fake failure at 101")
                #expect(chain.shelf.records.withLock { $0[id.fullText]?.error } == "fake failure at 101")
            }
        }
    }
}
