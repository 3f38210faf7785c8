import Foundation
import Testing

extension EndToEnd {
    /// What `sluice plan` says of a configuration, without a network.
    @Suite struct Plan {
        private static let configuration = """
            state: main.state
            networks:
              ethereum: { endpoints: ["http://127.0.0.1:1/secretsecretsecretsecret"] }
              base: { endpoints: ["http://127.0.0.1:2"] }
            sinks:
              warehouse: { type: duckdb, path: main.duckdb }
              lake: { type: parquet, path: lake }
            pipelines:
              transfers: { network: ethereum, register: erc20_transfers, sinks: [warehouse] }
              chain: { network: ethereum, register: blocks, sinks: [warehouse, lake] }
              both: { network: ethereum, registers: [erc20_transfers, logs], sinks: [lake] }
              rollup: { network: base, register: geth_block, sinks: [lake] }

            """

        private struct Report: Decodable {
            struct Cost: Decodable {
                let network: String
                let pipelines: [String]
                let callsPerBlock: Double
                let unitsPerBlock: Double
                let unitsPerDay: Int
            }
            struct Graph: Decodable {
                struct Node: Decodable {
                    let pid: String?
                    let usedBy: Int
                }
                let nodes: [Node]
            }
            let fetch: [Cost]
            let graph: Graph
        }

        @Test("pipelines of a network share an oracle, and what it fetches is reckoned once")
        func plan() async throws {
            try await Sandbox.run { box in
                try Surroundings.write(Self.configuration, to: box.path("main.yaml"))
                let text = try await box.output("plan", "-c", "main.yaml")
                #expect(text.contains("└─ oracle geth_block  layer1:live:oracle:geth_block, shared by 3\n"), "\(text)")
                #expect(text.contains("pipe erc20_transfers  layer1:live:pipe:erc20_transfers, shared by 2\n"), "\(text)")
                #expect(text.contains("layer2:live:oracle:geth_block") && text.contains("held back to finality"))
                let report = try Surroundings.decoded(Report.self, try await box.output("plan", "-c", "main.yaml", "--json"))
                #expect(report.fetch.map(\.pipelines) == [["transfers", "chain", "both"], ["rollup"]])
                #expect(report.fetch.map(\.callsPerBlock) == [1.02, 2])
                #expect(report.fetch.map(\.unitsPerBlock) == [17.5, 36] && report.fetch.map(\.unitsPerDay) == [126_000, 1_555_200])
                #expect(report.graph.nodes.first { $0.pid == "layer1:live:oracle:geth_block" }?.usedBy == 3)
                for format in ["mermaid", "dot"] {
                    let picture = try await box.output("plan", "-c", "main.yaml", "--format", format)
                    #expect(picture.hasPrefix(format == "dot" ? "digraph" : "flowchart"))
                    #expect(!picture.contains("secret") && !text.contains("secret"), "a key in an endpoint's path is shown")
                }
            }
        }
    }
}
