import EthereumConnector
import SluiceCore
import SluiceSimulator
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// The registry: what components are made from.
    @Suite("Registry") struct RegistryOfComponents {
        private func registry() throws -> Registry { try Registry(DocumentNode.registers) }

        @Test("one registry holds all registers, and what it says of one is all that it takes to make its component")
        func registers() async throws {
            let registry = try registry()
            #expect(Set(registry.registers.map(\.name)).isSuperset(of: ["geth_block", "account_balance", "event_log", "block_bundles"]))
            let error = #expect(throws: SluiceError.self) { _ = try registry.register("geth_blok") }
            #expect(error?.code == .unknownRegister && error?.mend == "did you mean \"geth_block\"?")
            // Nothing but the name of a register, and a node to read.
            try await DocumentNode.run { node in
                for name in ["geth_block", "erc20_transfers", "withdrawals"] {
                    let (sink, register) = (TableSink(), try registry.register(name))
                    let head = node.simulator.head
                    let asked = branch("p", [register], into: [sink], start: head - 3, until: head)
                    try await following(try node.hub(), [asked]) { _ = await asked.ended() }
                    #expect(sink.blocks.count == 4 && sink.schemas == register.schemas)
                }
            }
        }

        @Test("the data type of a register, its tables, is what rows are written and read back by")
        func dataType() async throws {
            try await DocumentNode.run { node in
                let register = try DocumentNode.register("geth_block")
                let block = try #require(try await node.read(node.simulator.head...node.simulator.head).first)
                var (writer, reader) = (BatchCodec(), BatchCodec())
                let bytes = writer.encode(.batch(block))
                guard case .batch(let back) = try bytes.withUnsafeBytes({ try reader.decode($0) }) else {
                    Issue.record("no batch")
                    return
                }
                #expect(back.tables.map(\.schema) == register.schemas && back.rowCount == block.rowCount && block.rowCount > 10)
                for (table, other) in zip(block.tables, back.tables) {
                    var digests = (TableDigest(), TableDigest())
                    for row in 0..<table.rowCount {
                        digests.0.add(table, row: row)
                        digests.1.add(other, row: row)
                    }
                    #expect(digests.0 == digests.1, "\(table.schema.name)")
                }
            }
        }

        @Test("the component type of a register says what is made of it", arguments: DocumentNode.registers)
        func componentType(register: Register) throws {
            let streams = [AggregatedStream(network: "a", chainID: 1), AggregatedStream(network: "b", chainID: 10)]
            switch register.kind {
            case .oracle, .pipe:
                #expect(try register.makePipe(ComponentContext(pipeline: "p")).schemas == register.schemas)
                #expect(throws: SluiceError.self) { try register.makeAggregator(streams, .alignedByHeight()) }
            default:
                #expect(register.kind == .aggregator)
                #expect(try register.makeAggregator(streams, .alignedByHeight()).schemas == register.schemas)
                #expect(throws: SluiceError.self) { try register.makePipe(ComponentContext(pipeline: "p")) }
            }
        }

        /// Adds up the numbers of all blocks that it was given.
        private struct Adding: SluiceCore.Pipe {
            let schemas = [NumberPipe.schema("sums")]
            var sum: Int64 = 0

            mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                var columns = schemas[0].fields.map { ColumnBuilder($0.type) }
                for number in batch.span.first...batch.span.last.number {
                    sum += Int64(number)
                    columns[0].append(Int64(number))
                    columns[1].append(batch.span.hash(number))
                    columns[2].append(sum)
                }
                return [Table(schema: schemas[0], columns: columns.map { $0.finish() }, rowCount: batch.span.count)]
            }
        }

        @Test("the constructor of a register makes a new component each time, which shares nothing with the others")
        func constructor() throws {
            let register = Register(
                name: "sums", number: RegisterType(rawValue: 201), doc: "", schemas: Adding().schemas, dependencies: ["rows"],
                needs: [Need("rows")], maker: .pipe { _ in Adding() })
            var components = try (0..<3).map { _ in try register.makePipe(ComponentContext(pipeline: "p")) }
            func last(_ index: Int, _ numbers: ClosedRange<UInt64>) throws -> Int64? {
                var report = PipeReport()
                let blocks = numbers.map { FakeBlock(number: $0, branch: 0) }
                let table = try components[index].transform(batch(blocks, parent: .zero), report: &report)[0]
                return table.column("value")?.load(table.rowCount - 1, as: Int64.self)
            }
            #expect(try [last(0, 1...4), last(0, 5...6), last(1, 5...6), last(0, 7...7), last(2, 1...1)] == [10, 21, 11, 28, 1])
        }

        @Test("the dependencies of a register are a list in order: events read blocks, and the first leads to the oracle")
        func dependencies() throws {
            let registry = try registry()
            #expect(try registry.register("event_log").dependencies == ["geth_block"])
            #expect(try registry.register("geth_block").dependencies == [])
            let registers = [
                rowsRegister, numbers("left", 201, of: "rows") { $0 }, numbers("right", 202, of: "left") { $0 },
                numbers("top", 203, of: "right", "left") { $0 }, numbers("other", 204, of: "left", "right") { $0 },
            ]
            let own = try Registry(registers)
            #expect(try own.path(of: "top").map(\.name) == ["top", "right", "left", "rows"])
            #expect(try own.path(of: "other").map(\.name) == ["other", "right", "left", "rows"])
            #expect(
                try own.fingerprint(of: "top")
                    != Registry(
                        registers.map { register in
                            register.name == "top" ? numbers("top", 203, of: "left", "right") { $0 } : register
                        }
                    ).fingerprint(of: "top"), "another order is another component")
        }

        @Test("by the dependencies a graph is built in which every component finds what it needs; where it cannot be, that is refused")
        func construction() throws {
            let registry = try registry()
            for register in registry.registers {
                let path = try registry.path(of: register.name)
                for (place, part) in path.enumerated() {
                    // What it reads is there, and made before.
                    for dependency in part.dependencies { #expect(path[(place + 1)...].contains { $0.name == dependency }) }
                    let made = Set(
                        path[(place + 1)...].flatMap(\.schemas).map(\.name) + (part.kind == .oracle ? part.schemas.map(\.name) : []))
                    #expect(part.needs.allSatisfy { made.contains($0.table) })
                }
                #expect(path.last?.kind == .oracle)
            }
            let lonely = numbers("lonely", 201, of: "nothing") { $0 }
            #expect(Registry.problems(in: [rowsRegister, lonely]).map(\.description) == ["lonely -> nothing: no register nothing"])
        }
    }
}
