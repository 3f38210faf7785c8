import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// The graph that components make.
    @Suite("Component graph") struct Graph {
        private static let doubled = numbers("doubled", 201, of: "rows") { $0 * 2 }
        private static let fourfold = numbers("fourfold", 202, of: "doubled") { $0 * 2 }

        private func names(_ problems: [RegistryProblem]) -> [String] { problems.map(\.description) }

        @Test("the graph of a configuration has each component as a node, and what one reads of another as an edge between the two")
        func nodesAndEdges() throws {
            let registry = try Registry(DocumentNode.registers)
            let asked = registry.registers.filter { $0.kind != .aggregator }.map(\.name)
            let plan = try GraphPlan(
                registry: registry, networks: [.init(name: "one", chainID: 1, kind: .layer1, endpoints: [])],
                pipelines: [.init(name: "p", networks: ["one"], registers: asked, sinks: ["s"])],
                sinks: [.init(name: "s", type: "duckdb", delivery: .exactlyOnce, holdsBack: false)])
            let components = plan.nodes.filter { [.oracle, .pipe].contains($0.kind) }
            #expect(components.map(\.name).sorted() == asked.sorted())
            let names = Dictionary(uniqueKeysWithValues: components.map { ($0.id, $0.name) })
            let edges = plan.edges.compactMap { edge in
                names[edge.from].flatMap { from in names[edge.to].map { "\(from) -> \($0): \(edge.tables.joined(separator: " "))" } }
            }
            let expected = try asked.flatMap { name in
                let register = try registry.register(name)
                return register.dependencies.map { "\($0) -> \(name): \(register.needs.map(\.table).joined(separator: " "))" }
            }
            #expect(edges.sorted() == expected.sorted() && edges.contains("geth_block -> logs: logs"))
        }

        @Test("the graph that runs knows its components: who uses them, and what went through each")
        func running() async throws {
            let (oracle, sinks) = (FakeOracle(head: 30, finalized: 20), (TableSink(), TableSink()))
            let shared = hub(oracle, registers: [rowsRegister, Self.doubled, Self.fourfold])
            #expect(shared.components.isEmpty)
            try await following(shared, [branch("p", [Self.doubled], into: [sinks.0]), branch("q", [Self.fourfold], into: [sinks.1])]) {
                try await eventually("all blocks") { sinks.0.blocks.count == 31 && sinks.1.blocks.count == 31 }
                let components = shared.components
                #expect(components.map(\.register) == ["doubled", "fourfold"] && components.map(\.users) == [2, 1])
                #expect(components.map(\.rows.in) == [31, 31] && components.map(\.rows.out) == [31, 31])
            }
            #expect(shared.components.isEmpty, "with those who used them they are gone")
        }

        @Test("an edge to a component further on gives the one before a way into it; without the edge it has none")
        func edge() async throws {
            let (oracle, sinks, given) = (FakeOracle(head: 30, finalized: 20), (TableSink(), TableSink()), Box<[Int64]>([]))
            let second = numbers("second", 203, of: "doubled") { number in
                given.change { $0.append(number) }
                return number
            }
            let shared = hub(oracle, registers: [rowsRegister, Self.doubled, second])
            let (first, other) = (branch("p", [Self.doubled], into: [sinks.0]), branch("q", [second], into: [sinks.1], start: 35))
            try await following(shared, [first]) {
                try await eventually("the first alone") { sinks.0.blocks.count == 31 }
                #expect(given.value.isEmpty)
                oracle.grow(5)
                try await eventually("a few more") { sinks.0.blocks.count == 36 }
                shared.join([other])
                try await eventually("the edge is there") { sinks.1.blocks.count == 1 }
                oracle.grow(4)
                try await eventually("it carries") { sinks.1.blocks.count == 5 && sinks.0.blocks.count == 40 }
                other.leave()
                _ = await other.ended()
                oracle.grow(4)
                try await eventually("the first alone again") { sinks.0.blocks.count == 44 }
            }
            // What the one before made of blocks 35 to 39, once.
            #expect(given.value == [70, 72, 74, 76, 78] && sinks.1.values("second") == given.value)
        }

        @Test("the edge begins where a component's rows come out and ends where the next one takes them in: nothing is lost on it")
        func ends() async throws {
            let (oracle, sink) = (FakeOracle(head: 30, finalized: 20), TableSink())
            let odd = numbers("odd", 203, of: "rows") { $0.isMultiple(of: 2) ? nil : $0 }
            let last = numbers("last", 204, of: "odd") { $0 % 3 == 0 ? nil : $0 }
            let shared = hub(oracle, registers: [rowsRegister, odd, last])
            try await following(shared, [branch("p", [last], into: [sink])]) {
                try await eventually("all blocks") { sink.blocks.count == 31 }
                let rows = shared.components.map(\.rows)
                #expect(rows.map(\.in) == [31, 15] && rows.map(\.out) == [15, 10])
                #expect(rows.allSatisfy { $0.in == $0.out + $0.filtered.values.reduce(0, +) + $0.deadLetters })
            }
            #expect(sink.values("last") == [1, 5, 7, 11, 13, 17, 19, 23, 25, 29])
        }

        @Test("a component is given what the one before it made, also where the oracle read a table of the same name")
        func sameName() async throws {
            let (oracle, sink) = (FakeOracle(head: 30, finalized: 20), TableSink())
            struct Even: SluiceCore.Pipe {
                let schemas = [rowsSchema]
                func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
                    let table = batch.tables[0]
                    let kept = (0..<table.rowCount).filter { table.columns[0].load($0, as: Int64.self).isMultiple(of: 2) }
                    return [Table(schema: rowsSchema, columns: table.columns.map { $0.rows(kept) }, rowCount: kept.count)]
                }
            }
            let even = Register(
                name: "even", number: RegisterType(rawValue: 203), doc: "", schemas: [rowsSchema], dependencies: ["rows"],
                needs: [Need("rows")], maker: .pipe { _ in Even() })
            let last = Register(
                name: "last", number: RegisterType(rawValue: 204), doc: "", schemas: [NumberPipe.schema("last")], dependencies: ["even"],
                needs: [Need("rows")], maker: .pipe { _ in NumberPipe(sources: ["rows"], schemas: [NumberPipe.schema("last")]) { $0 } })
            let asked = branch("p", [last], into: [sink], until: 30)
            try await following(hub(oracle, registers: [rowsRegister, even, last]), [asked]) { _ = await asked.ended() }
            #expect(sink.values("last") == (0...15).map { $0 * 2 })
        }

        // MARK: - No way leads back

        @Test("there are no two components that read each other")
        func noTwoWays() throws {
            let registry = try Registry(DocumentNode.registers)
            for register in registry.registers {
                for other in try registry.path(of: register.name).dropFirst() {
                    #expect(try !registry.path(of: other.name).contains { $0.name == register.name }, "\(register.name), \(other.name)")
                }
            }
            let pair = [numbers("c1", 201, of: "c2") { $0 }, numbers("c2", 202, of: "c1") { $0 }]
            #expect(names(Registry.problems(in: [rowsRegister] + pair)) == ["c1 -> c2 -> c1: a register cannot depend on itself"])
        }

        @Test("that is checked before anything runs, for a circle of any length, and the circle is told", arguments: [1, 2, 3, 7, 40])
        func checked(length: Int) async throws {
            var registers = [rowsRegister]
            for index in 0..<length {
                registers.append(numbers("c\(index)", UInt8(50 + index), of: "c\((index + 1) % length)") { $0 })
            }
            let circle = (0...length).map { "c\($0 % length)" }.joined(separator: " -> ")
            let error = #expect(throws: SluiceError.self) { _ = try Registry(registers) }
            #expect(error?.code == .invalidRegistry && error?.class == .config)
            #expect(error?.message.contains("\(circle): a register cannot depend on itself") == true, "\(error?.message ?? "")")
        }

        @Test("every component but an oracle declares where what it reads comes from")
        func entrypoints() {
            for register in DocumentNode.registers {
                #expect((register.kind == .oracle) == register.dependencies.isEmpty, "\(register.name)")
            }
            let rootless = Register(
                name: "rootless", number: RegisterType(rawValue: 201), doc: "", schemas: [rowsSchema], maker: .pipe { _ in PassPipe() })
            #expect(Registry.problems(in: [rowsRegister, rootless]).map(\.kind) == [.pipeWithoutDependency])
        }

        @Test("a register that makes of another one's output its input closes a circle, and is refused")
        func inverse() {
            let there = numbers("there", 201, of: "rows", "back") { $0 * 2 }
            let back = numbers("back", 202, of: "there") { $0 / 2 }
            #expect(
                names(Registry.problems(in: [rowsRegister, there, back])) == ["there -> back -> there: a register cannot depend on itself"])
        }
    }
}
