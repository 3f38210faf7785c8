import SluiceSimulator
import Testing

extension EndToEnd {
    /// Events of two tokens, asked for by address, beside all transfers of the same chain.
    @Suite struct EventLog {
        private struct Plan: Decodable {
            struct Call: Decodable {
                let method: String
                let topics: [String]
                let addresses: [String]
            }
            struct Pipeline: Decodable {
                let pipeline: String
                let fetch: [Call]
            }
            let pipelines: [Pipeline]
        }

        private static let blocks = Chain.blocks(80)

        private static func write(_ box: Sandbox, _ name: String, port: UInt16, _ asked: String) throws {
            try Surroundings.write(
                """
                state: \(name).state
                networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"], poll_interval: 20ms } }
                sinks: { tables: { type: duckdb, path: "\(name).duckdb", commit_rows: 500 } }
                pipelines:
                  \(name):
                    network: simulated
                    start: \(Chain.first)
                    sinks: [tables]
                    \(asked)

                """, to: box.path("\(name).yaml"))
        }

        private static func rows(_ box: Sandbox, _ name: String, _ sql: String) async throws -> [String] {
            try await box.output("query", "-c", "\(name).yaml", "--format", "csv", sql).split(whereSeparator: \.isNewline).dropFirst().map(
                String.init)
        }

        @Test("the transfers of two tokens, decoded by their declaration, are those among all transfers, and only their logs are asked for")
        func transfers() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: Self.blocks.count)) { simulator, port in
                    try Self.write(box, "all", port: port, "register: erc20_transfers")
                    let range = ["--from", "\(Self.blocks.lowerBound)", "--to", "\(Self.blocks.upperBound)"]
                    _ = try await box.output(["backfill", "-c", "all.yaml"] + range)
                    let tokens = try await Self.rows(
                        box, "all",
                        "SELECT to_0x(token_address) FROM erc20_transfers GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2")
                    try #require(tokens.count == 2)
                    let sent = simulator.statistics.bytesSent
                    let declaration = "event Transfer(address indexed from, address indexed to, uint256 value)"
                    try Self.write(
                        box, "two", port: port,
                        "registers: [event_log]\n    events: [{ addresses: [\"\(tokens[0])\", \"\(tokens[1])\"], events: [\"\(declaration)\"] }]"
                    )

                    let plan = try Surroundings.decoded(Plan.self, try await box.output("plan", "-c", "two.yaml", "--json"))
                    let call = try #require(plan.pipelines.first?.fetch.last)
                    #expect(call.method == "eth_getLogs" && call.addresses == tokens.sorted() && call.topics.count == 1)
                    let said = try await box.output("validate", "-c", "two.yaml")
                    #expect(said.contains("Transfer(address,address,uint256) of \(tokens.sorted().joined(separator: ", "))"), "\(said)")

                    // In two goes, the second of which goes on behind the first.
                    for end in [Self.blocks.lowerBound + 30, Self.blocks.upperBound] {
                        _ = try await box.output("run", "-c", "two.yaml", "--until-block", "\(end)", "--quiet")
                    }
                    let expected = try await Self.rows(
                        box, "all",
                        """
                        SELECT block_number, log_index, to_0x(token_address), to_0x(from_address), to_0x(to_address), CAST(value AS VARCHAR) \
                        FROM erc20_transfers WHERE to_0x(token_address) IN ('\(tokens[0])', '\(tokens[1])') ORDER BY 1, 2
                        """)
                    let found = try await Self.rows(
                        box, "two",
                        """
                        SELECT block_number, log_index, to_0x(address), arguments->>'from', arguments->>'to', arguments->>'value' \
                        FROM event_logs ORDER BY 1, 2
                        """)
                    #expect(found.count > 20 && found == expected, "\(found.prefix(3)) \(expected.prefix(3))")
                    #expect(simulator.statistics.calls["eth_getBlockReceipts"] == nil)
                    // All transfers and two tokens' share of them, blocks included: the same reading without a filter would be as large.
                    #expect(simulator.statistics.bytesSent - sent < sent * 3 / 4, "\(sent) \(simulator.statistics.bytesSent)")
                }
            }
        }

        @Test("what cannot be asked for is refused with its place")
        func refused() async throws {
            try await Sandbox.run { box in
                try Self.write(box, "bad", port: 1, "registers: [event_log]\n    events: [{ address: \"0x12\", abi: gone.json }]")
                let (ending, errors) = try await box.sluice("validate", "-c", "bad.yaml")
                #expect(ending == .exited(78), "\(ending)")
                #expect(errors.contains("bad.yaml:10:25: pipelines.bad.events[0].address: no address: 2 digits instead of 40"), "\(errors)")
                #expect(errors.contains("bad.yaml:10:38: pipelines.bad.events[0].abi: cannot read the ABI: no such file"), "\(errors)")
            }
        }
    }
}
