import SluiceCore
import SluiceFlow
import Testing

/// Registries over random graphs, whole ones and ones with a fault put into them.
@Suite struct RegistryPropertyTests {
    /// A register as the generator keeps it, so that it can be changed.
    private struct Node {
        var name: String
        var number: UInt8
        var isOracle: Bool
        var dependencies: [String] = []
        var needs: [String] = []
        var tables: [String]
        var isAddressed = false
        var hasKey = false

        var register: Register {
            Register(
                name: name, number: RegisterType(rawValue: number), doc: "",
                schemas: tables.map { Schema(name: $0, key: ["k"], doc: "", fields: [Field("k", .int64, "")]) },
                dependencies: dependencies, needs: needs.map { Need($0) }, isAddressed: isAddressed,
                stateKey: hasKey ? StateKeyShape(prefix: name, id: "address") : nil,
                maker: isOracle ? .oracle { PassPipe() } : .pipe { _ in PassPipe() })
        }
    }

    /// Some oracles, and pipes over what was there before each of them; in any order.
    private static func graph(_ random: inout SeededRandom) -> [Node] {
        var nodes: [Node] = []
        let oracles = Int.random(in: 1...3, using: &random)
        for index in 0..<oracles + Int.random(in: 2...20, using: &random) {
            var node = Node(name: "r\(index)", number: UInt8(100 + index), isOracle: index < oracles, tables: [])
            node.tables = (0..<Int.random(in: 1...3, using: &random)).map { "\(node.name)_\($0)" }
            node.isAddressed = Int.random(in: 0..<4, using: &random) == 0
            if node.isOracle {
                node.needs = node.tables
            } else {
                let sources = nodes.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random))
                // What is made from something addressed is addressed.
                if sources.contains(where: \.isAddressed) { node.isAddressed = true }
                node.dependencies = sources.map(\.name)
                node.needs = sources.flatMap(\.tables).filter { _ in Bool.random(using: &random) }
            }
            node.hasKey = node.isAddressed
            nodes.append(node)
        }
        return nodes.shuffled(using: &random)
    }

    /// What a register reads, directly or not, itself included: worked out by spreading over the edges until nothing is added.
    private static func below(_ name: String, _ nodes: [Node]) -> Set<String> {
        var found: Set<String> = [name]
        while true {
            let next = found.union(nodes.filter { found.contains($0.name) }.flatMap(\.dependencies))
            if next == found { return found }
            found = next
        }
    }

    /// Whether each register of a path depends on the one behind it.
    private static func isPath(_ path: [String], _ nodes: [Node]) -> Bool {
        zip(path, path.dropFirst()).allSatisfy { above, under in
            nodes.contains { $0.name == above && $0.dependencies.contains(under) }
        }
    }

    @Test("whole graphs resolve, each in an order in which everything stands before what it reads", arguments: 0..<300 as Range<UInt64>)
    func whole(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let nodes = Self.graph(&random)
        let registry = try Registry(nodes.map(\.register))
        for node in nodes {
            let path = try registry.path(of: node.name).map(\.name)
            #expect(path.first == node.name)
            #expect(Set(path).count == path.count && Set(path) == Self.below(node.name, nodes))
            let place = Dictionary(uniqueKeysWithValues: path.enumerated().map { ($0.element, $0.offset) })
            for above in nodes where place[above.name] != nil {
                for under in above.dependencies {
                    #expect((place[above.name] ?? .max) < (place[under] ?? .min), "\(above.name) -> \(under)")
                }
            }
            // The root is the oracle that first dependencies lead to.
            var root = node
            while let first = root.dependencies.first, let next = nodes.first(where: { $0.name == first }) { root = next }
            #expect(path.last == root.name && root.isOracle)
            let pid = try registry.pipelinePID(of: node.name, network: .layer2, type: .live)
            #expect(pid.bytes == [2, 2, 2, node.isOracle ? 1 : 2, node.number, 2, 2, 1, root.number])
            #expect(PipelinePID(bytes: pid.bytes) == pid)
        }
        // Neither paths nor fingerprints depend on the order in which registers are listed.
        let other = try Registry(nodes.shuffled(using: &random).map(\.register))
        for node in nodes {
            #expect(try other.path(of: node.name).map(\.name) == registry.path(of: node.name).map(\.name))
            #expect(try other.fingerprint(of: node.name) == registry.fingerprint(of: node.name))
        }
    }

    /// Puts a fault into a graph; returns what must be reported for it.
    private static func inject(
        _ kind: RegistryProblem.Kind, into nodes: inout [Node], _ random: inout SeededRandom
    ) throws -> (RegistryProblem) -> Bool {
        let pipes = nodes.indices.filter { !nodes[$0].isOracle }
        let pipe = try #require(pipes.randomElement(using: &random))
        let any = try #require(nodes.indices.randomElement(using: &random))
        let name = nodes[any].name
        let pipeName = nodes[pipe].name
        switch kind {
        case .badName:
            // A top, so that nothing else misses it.
            nodes.append(Node(name: "Not plain", number: 90, isOracle: true, tables: ["x"]))
            return { $0.path == ["Not plain"] }
        case .duplicateName:
            nodes.append(Node(name: name, number: 90, isOracle: true, tables: ["x"]))
            return { $0.path == [name] }
        case .badNumber:
            nodes[any].number = Bool.random(using: &random) ? 0 : RegisterType.gethBlock.rawValue
            return { $0.path == [name] }
        case .duplicateNumber:
            let others = nodes.indices.filter { $0 != any }
            let other = try #require(others.randomElement(using: &random))
            let pair = [name, nodes[other].name]
            nodes[any].number = nodes[other].number
            return { $0.path.count == 1 && pair.contains($0.path[0]) && pair.allSatisfy($0.description.contains) }
        case .oracleWithDependency:
            let oracle = try #require(nodes.indices.filter { nodes[$0].isOracle }.randomElement(using: &random))
            let oracleName = nodes[oracle].name
            nodes.append(Node(name: "extra", number: 90, isOracle: true, tables: ["x"]))
            nodes[oracle].dependencies = ["extra"]
            return { $0.path.suffix(2) == [oracleName, "extra"] }
        case .pipeWithoutDependency:
            nodes[pipe].dependencies = []
            return { $0.path.last == pipeName }
        case .missingDependency:
            nodes[pipe].dependencies[Int.random(in: 0..<nodes[pipe].dependencies.count, using: &random)] = "ghost"
            return { $0.path.suffix(2) == [pipeName, "ghost"] && $0.message.hasPrefix("no register ghost") }
        case .repeatedDependency:
            let twice = nodes[pipe].dependencies[0]
            nodes[pipe].dependencies.append(twice)
            return { $0.path.suffix(2) == [pipeName, twice] }
        case .cycle:
            // From a pipe back to one that reads it, or to itself: every cycle there is then uses this edge.
            let isAddressed = nodes[pipe].isAddressed
            let above = nodes.filter { !$0.isOracle && (isAddressed || !$0.isAddressed) }
                .filter { below($0.name, nodes).contains(pipeName) }.map(\.name)
            let back = try #require(above.randomElement(using: &random))
            nodes[pipe].dependencies.insert(back, at: Int.random(in: 0...nodes[pipe].dependencies.count, using: &random))
            return { problem in
                problem.path.first == problem.path.last
                    && zip(problem.path, problem.path.dropFirst()).contains { $0 == pipeName && $1 == back }
            }
        case .missingTable:
            nodes[pipe].needs.append("nowhere")
            return { $0.path.last == pipeName && $0.message.contains("nowhere") }
        case .conflictingTable:
            nodes.append(Node(name: "extra", number: 90, isOracle: true, tables: nodes[any].tables))
            return { ["extra", name].contains($0.path[0]) && $0.message.contains("another key or other columns") }
        case .addressing:
            let readers = nodes.indices.filter { index in
                nodes[index].isAddressed && nodes.contains { nodes[index].dependencies.contains($0.name) && $0.isAddressed }
            }
            guard Bool.random(using: &random), let reader = readers.randomElement(using: &random) else {
                nodes[any].hasKey.toggle()
                return { $0.path.last == name }
            }
            let readerName = nodes[reader].name
            nodes[reader].isAddressed = false
            nodes[reader].hasKey = false
            return { $0.path.dropLast().last == readerName && $0.message.contains("is not addressed itself") }
        }
    }

    @Test(
        "a fault that is put into a whole graph is reported, with a path to it that is there",
        arguments: RegistryProblem.Kind.allCases, 0..<60 as Range<UInt64>)
    func faults(kind: RegistryProblem.Kind, seed: UInt64) throws {
        var random = SeededRandom(seed: seed &+ 1_000_003)
        var nodes = Self.graph(&random)
        let isExpected = try Self.inject(kind, into: &nodes, &random)
        var registers = nodes.map(\.register)
        if kind == .conflictingTable, let last = registers.popLast() {
            let schemas = last.schemas.map { Schema(name: $0.name, key: ["k"], doc: "", fields: [Field("k", .string, "")]) }
            registers.append(Register(name: last.name, number: last.number, doc: "", schemas: schemas, maker: last.maker))
        }
        let problems = Registry.problems(in: registers)
        let found = problems.filter { $0.kind == kind }
        #expect(!found.isEmpty && found.contains(where: isExpected), "\(problems)")
        for problem in problems {
            #expect(Self.isPath(problem.path, nodes), "\(problem)")
            #expect(problem.kind == kind, "one fault does not look like several: \(problem)")
        }
        let error = #expect(throws: SluiceError.self) { _ = try Registry(registers) }
        #expect(error?.code == .invalidRegistry && problems.allSatisfy { error?.description.contains($0.description) ?? false })
    }
}
