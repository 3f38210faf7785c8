import EthereumConnector
import SluiceChain
import SluiceCore
import SluiceSimulator
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Pipes: what they do, and what belongs to them.
    @Suite("Pipes") struct Pipes {
        private static let doubled = numbers("doubled", 201, of: "rows") { $0 * 2 }
        private static let fourfold = numbers("fourfold", 202, of: "doubled") { $0 * 2 }

        private let oracle = FakeOracle(head: 20, finalized: 10)

        private func read(_ registers: [Register], into sink: TableSink) async throws {
            let asked = branch("p", registers, into: [sink], until: 20)
            try await following(
                hub(oracle, registers: [rowsRegister, Self.doubled, Self.fourfold] + registers.filter { $0.number.rawValue > 202 }), [asked]
            ) {
                _ = await asked.ended()
            }
        }

        @Test("a pipe changes what it is given in whatever way its author wrote")
        func transforms() async throws {
            let odd = numbers("odd_squares", 210, of: "rows") { $0.isMultiple(of: 2) ? nil : $0 * $0 }
            let collatz = numbers("collatz", 211, of: "odd_squares") { $0.isMultiple(of: 2) ? $0 / 2 : 3 * $0 + 1 }
            let sink = TableSink()
            try await read([odd, collatz], into: sink)
            #expect(sink.values("odd_squares") == [1, 9, 25, 49, 81, 121, 169, 225, 289, 361])
            #expect(sink.values("collatz") == [4, 28, 76, 148, 244, 364, 508, 676, 868, 1084])
        }

        @Test("what a pipe has made of a batch goes to its destinations before it is given the next one")
        func submits() async throws {
            let (seen, delivered) = (Box<[Int64]>([]), Box<[Int64]>([]))
            // The one behind the pipe is called in between.
            let first = numbers("first", 210, of: "rows") { number in
                seen.change { $0.append(number) }
                return number
            }
            let second = numbers("second", 211, of: "first") { number in
                #expect(seen.value.last.map { $0 < number + 4 } == true, "\(number) came late: \(seen.value.suffix(4))")
                delivered.change { $0.append(number) }
                return number
            }
            let sink = TableSink()
            try await read([first, second], into: sink)
            #expect(delivered.value == Array(0...20) && sink.values("second") == Array(0...20))
        }

        // MARK: - Attributes

        @Test("a component tells the manager what it does: it is made and inactive, then live, then terminated")
        func activity() async throws {
            let (oracle, sink, told) = (FakeOracle(head: 20, finalized: 10), TableSink(), Box<[ActivityChange]>([]))
            let asked = branch("p", [Self.doubled], into: [sink]) { event in
                if case .component(let change) = event { told.change { $0.append(change) } }
            }
            try await following(hub(oracle, registers: [rowsRegister, Self.doubled]), [asked]) {
                try await eventually("all blocks") { sink.blocks.count == 21 }
            }
            let changes = Dictionary(grouping: told.value, by: \.component)
            #expect(changes.count == 2 && changes.keys.map(\.pid.kind).sorted { $0.rawValue < $1.rawValue } == [.oracle, .pipe])
            #expect(changes.values.allSatisfy { $0.map(\.state) == [.inactive, .live, .terminated] && $0.allSatisfy { $0.cause == nil } })

            let chain = ManagedChain()
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await manager.create(chain.request("p"))
                try await eventually("it is at work") { await manager.pipeline(id)?.components.values.map { $0 } == [.live] }
                try await manager.pause(id)
                try await eventually("nothing is") { await manager.pipeline(id)?.components.isEmpty == true }
            }
        }

        @Test("a pipe that cannot go on tells the manager: the pipelines that need it are in error with its reason, and no other")
        func failure() async throws {
            let broken = numbers("broken", 210, of: "geth_block", reading: "rows") { number in
                guard number < 60 else { throw SluiceError(.init("broken"), .fatal, "the pipe cannot read \(number)") }
                return number
            }
            var chain = ManagedChain()
            chain.registers.append(broken)
            let (made, other) = (TableSink(), chain.sinks["a"])
            chain.more["made"] = made
            let manager = try chain.manager()
            try await working(manager) {
                let ids = try await manager.create([
                    chain.request("bad", sinks: ["made"], registers: ["broken"]), chain.request("good", sinks: ["a"]),
                ])
                try await eventually("one is in error") { await manager.state(of: ids[0]) == .error }
                let view = await manager.pipeline(ids[0])
                #expect(view?.failure?.message == "the pipe cannot read 60")
                #expect(view?.components.values.map { $0 } == [.terminated], "the one that failed")
                try await eventually("the other is live") { await manager.state(of: ids[1]) == .live && other?.rows.count == 101 }
            }
            #expect(made.values("broken").allSatisfy { $0 < 60 })
        }

        @Test("several other components may write into one pipe")
        func ingress() async throws {
            let sums = numbers("sums", 210, of: "rows", "doubled", "fourfold") { $0 + 1 }
            let sink = TableSink()
            try await read([sums], into: sink)
            let expected = (0...20).flatMap { (number: Int64) -> [Int64] in [number + 1, number * 2 + 1, number * 4 + 1] }
            #expect(sink.values("sums") == expected)
        }

        @Test("the work of a pipe is one function from a batch to tables; what it left out and could not read it says beside them")
        func function() throws {
            let block = batch((0..<8).map { FakeBlock(number: $0, branch: 0) }, parent: .zero)
            var pipe: any Pipe = NumberPipe(sources: ["rows"], schemas: [NumberPipe.schema("small")]) { $0 < 3 ? $0 : nil }
            for _ in 0..<2 {
                // The same input, the same output.
                var report = PipeReport()
                let tables = try pipe.transform(block, report: &report)
                #expect(tables.map(\.rowCount) == [3] && report.filtered == ["left out": 5])
                var rows = RowCount()
                rows.add(in: block, needs: [Need("rows")], out: tables, report: report)
                #expect(rows.in == rows.out + rows.filtered.values.reduce(0, +) + rows.deadLetters)
            }
        }

        @Test("a pipe writes into further components and into sinks at once")
        func egress() async throws {
            let sinks = (TableSink(), TableSink())
            let shared = hub(oracle, registers: [rowsRegister, Self.doubled, Self.fourfold])
            let asked = [branch("p", [Self.doubled], into: [sinks.0], until: 20), branch("q", [Self.fourfold], into: [sinks.1], until: 20)]
            try await following(shared, asked) { for branch in asked { _ = await branch.ended() } }
            #expect(sinks.0.values("doubled") == (0...20).map { $0 * 2 } && sinks.1.values("fourfold") == (0...20).map { $0 * 4 })
        }

        @Test("a pipe says beforehand which tables it makes, with their columns; those its sinks are opened for, and those come")
        func outputType() async throws {
            for register in DocumentNode.registers where register.kind == .pipe {
                #expect(try register.makePipe(ComponentContext(pipeline: "p")).schemas == register.schemas, "\(register.name)")
            }
            let sink = TableSink()
            try await read([Self.doubled, Self.fourfold], into: sink)
            #expect(sink.schemas == Self.doubled.schemas + Self.fourfold.schemas)
            #expect(sink.tables("doubled").allSatisfy { $0.schema == Self.doubled.schemas[0] } && !sink.tables("doubled").isEmpty)
        }

        // MARK: - Examples

        @Test("the events that transactions emit are taken apart: whose they are, their name, their arguments")
        func events() async throws {
            try await DocumentNode.run(history: 40) { node in
                let event = try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 value)")
                let register = EventLogRegister.register([try EventSubscription(.any, events: [event])])
                let (sink, head) = (TableSink(), node.simulator.head)
                let asked = branch("p", [register], into: [sink], start: head - 29, until: head)
                try await following(try node.hub(), [asked]) { _ = await asked.ended() }
                func address(_ topic: String) -> String { "0x" + topic.suffix(40) }
                var expected: [[String]] = []
                for number in head - 29...head {
                    for log in try node.logs(number) {
                        guard let topics = log["topics"] as? [String], topics.count == 3, topics[0] == "\(event.topic0)",
                            let data = log["data"] as? String, data.count == 66, let value = UInt256(bigEndian: Hex.bytes(data) ?? [])
                        else { continue }
                        expected.append([
                            log["transactionHash"] as? String ?? "", log["address"] as? String ?? "", "Transfer",
                            #"{"from":"\#(address(topics[1]))","to":"\#(address(topics[2]))","value":"\#(value)"}"#,
                        ])
                    }
                }
                let found = sink.tables("event_logs").flatMap { table in
                    (0..<table.rowCount).map { row in
                        ["transaction_hash", "address", "event", "arguments"].map { name -> String in
                            guard let column = table.column(name) else { return "" }
                            return column.type.width == nil
                                ? String(decoding: column.bytes(row), as: UTF8.self) : Hex.text(column.bytes(row))
                        }
                    }
                }
                #expect(found.count > 10 && found == expected)
            }
        }
    }
}
