import Foundation
import SluiceCommand
import SluiceCore
import SluiceFlow
import Testing

@Suite struct GraphDrawingTests {
    private struct NoPipe: SluiceCore.Pipe {
        let schemas: [Schema] = []
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] { [] }
    }

    private static func schema(_ name: String) -> Schema {
        Schema(name: name, key: ["id"], doc: "", fields: [Field("id", .int64, "")])
    }

    private static func pipe(_ name: String, _ number: RegisterType, from: String, needs: String, isAddressed: Bool = false) -> Register {
        Register(
            name: name, number: number, doc: "", schemas: [schema(name)], dependencies: [from], needs: [Need(needs)],
            isAddressed: isAddressed, stateKey: isAddressed ? StateKeyShape(prefix: "addresses", id: name) : nil,
            maker: .pipe { _ in NoPipe() })
    }

    /// Two networks, four pipelines, a component that two of them share.
    private static func plan(sink: String = "warehouse") throws -> GraphPlan {
        let registry = try Registry([
            Register(
                name: "geth_block", number: .gethBlock, doc: "", schemas: [schema("blocks"), schema("logs")],
                needs: [Need("blocks"), Need("logs")], maker: .oracle { NoPipe() }),
            pipe("erc20_transfers", .erc20Transfers, from: "geth_block", needs: "logs"),
            pipe("withdrawals", .withdrawals, from: "geth_block", needs: "blocks"),
        ])
        return try GraphPlan(
            registry: registry,
            networks: [
                .init(name: "ethereum", chainID: 1, kind: .layer1, endpoints: ["https://one.example"]),
                .init(name: "base", chainID: 8453, kind: .layer2, endpoints: ["https://two.example"]),
            ],
            pipelines: [
                .init(name: "transfers", networks: ["ethereum"], registers: ["erc20_transfers"], sinks: [sink]),
                .init(name: "both", networks: ["ethereum"], registers: ["erc20_transfers", "withdrawals"], sinks: [sink, "lake"]),
                .init(name: "whole", networks: ["ethereum"], registers: ["geth_block"], sinks: ["lake"]),
                .init(name: "rollup", networks: ["base"], registers: ["withdrawals"], sinks: [sink]),
            ],
            sinks: [
                .init(name: sink, type: "duckdb", delivery: .exactlyOnce, holdsBack: false),
                .init(name: "lake", type: "parquet", delivery: .effectivelyOnce, holdsBack: true),
                .init(name: "spare", type: "duckdb", delivery: .exactlyOnce, holdsBack: false),
            ])
    }

    @Test("a component of several pipelines is there once, and counts them; networks have components of their own")
    func sharing() throws {
        let plan = try Self.plan()
        let components = plan.nodes.filter { $0.pid != nil && $0.kind != .pipeline }
        #expect(
            components.map { "\($0.pid ?? "") \($0.users)" } == [
                "layer1:live:oracle:geth_block 3", "layer2:live:oracle:geth_block 1", "layer1:live:pipe:erc20_transfers 2",
                "layer1:live:pipe:withdrawals 1", "layer2:live:pipe:withdrawals 1",
            ])
        #expect(Set(plan.nodes.map(\.id)).count == plan.nodes.count)
        for edge in plan.edges { #expect(plan.node(edge.from) != nil && plan.node(edge.to) != nil, "\(edge)") }
        #expect(plan.targets(of: "pipeline:both").map(\.name) == ["warehouse", "lake"])
    }

    @Test("an addressed component works for one pipeline, so that two of them have one each")
    func addressed() throws {
        let registry = try Registry([
            Register(
                name: "geth_block", number: .gethBlock, doc: "", schemas: [Self.schema("logs")], needs: [Need("logs")],
                maker: .oracle { NoPipe() }),
            Self.pipe("event_log", .eventLog, from: "geth_block", needs: "logs", isAddressed: true),
        ])
        let plan = try GraphPlan(
            registry: registry, networks: [.init(name: "ethereum", chainID: 1, kind: .layer1, endpoints: [])],
            pipelines: ["a", "b"].map { .init(name: $0, networks: ["ethereum"], registers: ["event_log"], sinks: []) }, sinks: [])
        #expect(plan.nodes.filter { $0.kind == .pipe }.map(\.users) == [1, 1])
        #expect(plan.nodes.filter { $0.kind == .oracle }.map(\.users) == [2])
    }

    @Test("the tree")
    func tree() throws {
        let oracle = "layer1:live:oracle:geth_block"
        #expect(
            GraphDrawing.tree(try Self.plan(), style: .plain) == [
                "network ethereum  chain 1, https://one.example",
                "└─ oracle geth_block  \(oracle), shared by 3",
                "   ├─ pipe erc20_transfers  layer1:live:pipe:erc20_transfers, shared by 2",
                "   │  ├─ pipeline transfers  live::layer1:live:pipe:erc20_transfers::\(oracle)",
                "   │  │  └─ sink warehouse  duckdb, exactly_once, orphaned rows are undone",
                "   │  └─ pipeline both  live::layer1:live:pipe:erc20_transfers::\(oracle)",
                "   │     ├─ sink warehouse  (above)",
                "   │     └─ sink lake  parquet, effectively_once, held back to finality",
                "   ├─ pipe withdrawals  layer1:live:pipe:withdrawals",
                "   │  └─ pipeline both  (above)",
                "   └─ pipeline whole  live::\(oracle)::\(oracle)",
                "      └─ sink lake  (above)",
                "network base  chain 8453, https://two.example",
                "└─ oracle geth_block  layer2:live:oracle:geth_block",
                "   └─ pipe withdrawals  layer2:live:pipe:withdrawals",
                "      └─ pipeline rollup  live::layer2:live:pipe:withdrawals::layer2:live:oracle:geth_block",
                "         └─ sink warehouse  (above)",
            ])
    }

    @Test("Mermaid: a node and an edge a line, and nothing in a name can end its text")
    func mermaid() throws {
        let text = GraphDrawing.mermaid(try Self.plan())
        #expect(text.hasPrefix("flowchart LR\n  n0((\"network ethereum<br/>chain 1<br/>https://one.example\"))\n"))
        #expect(text.contains("  n2([\"oracle geth_block<br/>layer1:live:oracle:geth_block<br/>shared by 3\"])\n"))
        #expect(text.contains("  n2 -->|\"logs\"| n4\n"))
        let hostile = GraphDrawing.mermaid(try Self.plan(sink: "a\"]\n; click n0 <b>|#"))
        let lines = hostile.split(separator: "\n").dropFirst()
        #expect(lines.count == text.split(separator: "\n").count - 1)
        for line in lines {
            let isNode = line.wholeMatch(of: #/\x20\x20n\d+[\[\(\{]+"[^"]*"[\]\)\}]+/#) != nil
            let isEdge = line.wholeMatch(of: #/\x20\x20n\d+ -->(\|"[^"|]*"\|)? n\d+/#) != nil
            #expect(isNode || isEdge, "\(line)")
            #expect(!line.contains("<b>"), "\(line)")
        }
    }

    @Test("Graphviz: the same, with its own escapes")
    func dot() throws {
        let text = GraphDrawing.dot(try Self.plan(sink: "a\"] \\ \n; }"))
        #expect(text.hasPrefix("digraph sluice {\n") && text.hasSuffix("}\n"))
        for line in text.split(separator: "\n").dropFirst(3).dropLast() {
            let isNode = line.wholeMatch(of: #/\x20\x20n\d+ \[label="([^"\\]|\\.)*", shape=[a-z, =]+\];/#) != nil
            let isEdge = line.wholeMatch(of: #/\x20\x20n\d+ -> n\d+( \[label="([^"\\]|\\.)*"\])?;/#) != nil
            #expect(isNode || isEdge, "\(line)")
        }
        #expect(text.contains("sink a\\\"] \\\\ \\\\n; }\\nduckdb"))
    }

    @Test("JSON is read back as what was planned")
    func json() throws {
        struct Graph: Decodable {
            struct Node: Decodable {
                let id: String
                let kind: String
                let pid: String?
                let usedBy: Int
            }
            struct Edge: Decodable {
                let from: String
                let to: String
                let tables: [String]
            }
            let nodes: [Node]
            let edges: [Edge]
        }
        let plan = try Self.plan(sink: "a\"\n")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let graph = try decoder.decode(Graph.self, from: Data(GraphDrawing.json(plan).pretty().utf8))
        #expect(graph.nodes.map(\.id) == plan.nodes.map(\.id) && graph.nodes.map(\.usedBy) == plan.nodes.map(\.users))
        #expect(graph.edges.map(\.tables) == plan.edges.map(\.tables))
    }

    @Test("what a network costs is the sum over its calls, a day's by its block time")
    func cost() {
        let cost = NetworkCost(
            network: "ethereum", pipelines: ["a", "b"],
            calls: [
                .init(method: "eth_getBlockByNumber", what: "header", perBlock: 1, units: 16),
                .init(method: "eth_getLogs", what: "all logs", perBlock: 0.02, units: 75),
            ], blockSeconds: 12)
        #expect(cost.unitsPerBlock == 17.5 && cost.unitsPerDay == 126_000)
        #expect(
            cost.lines(blocks: 1000, style: .plain) == [
                "  ethereum  for a, b",
                "    fetch eth_getBlockByNumber: header, 1.00 calls a block of 16 units",
                "    fetch eth_getLogs: all logs, 0.02 calls a block of 75 units",
                "    1.02 calls a block, 17.5 units a block, 126,000 units a day at a block each 12s",
                "    1,020 calls and 17,500 units for 1,000 blocks",
            ])
    }
}
