import Glibc
import SluiceCore
import SluiceSimulator
import SluiceTestKit
import Testing

extension EndToEnd {
    /// Addresses that are added and removed while programs run: through Redis, by several processes, and in the state file.
    @Suite struct SharedState {
        private static let transfer = "event Transfer(address indexed from, address indexed to, uint256 value)"

        private static func write(
            _ box: Sandbox, _ name: String, port: UInt16, shared: String = "", balances: [String] = [], events: [String] = [],
            start: String = "latest"
        ) throws {
            func list(_ addresses: [String]) -> String { addresses.map { "\"\($0)\"" }.joined(separator: ", ") }
            let wanted = events.isEmpty ? "[]" : "[{ addresses: [\(list(events))], events: [\"\(transfer)\"] }]"
            try Surroundings.write(
                """
                state: \(name).state
                networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"], poll_interval: 20ms } }
                sinks: { tables: { type: duckdb, path: "\(name).duckdb", commit_rows: 500 } }
                \(shared)
                pipelines:
                  watch:
                    network: simulated
                    start: \(start)
                    registers: [account_balance, event_log]
                    balances: { addresses: [\(list(balances))], interval_blocks: 1000 }
                    events: \(wanted)
                    sinks: [tables]

                """, to: box.path("\(name).yaml"))
        }

        private static func rows(_ box: Sandbox, _ name: String, _ sql: String) async throws -> [String] {
            try await box.output("query", "-c", "\(name).yaml", "--format", "csv", sql).split(whereSeparator: \.isNewline).dropFirst().map(
                String.init)
        }

        /// Starts a run, and returns once it asks the network, which it does with its sinks open: a query that came before that would hold
        /// the database and keep it out.
        private static func start(_ box: Sandbox, _ name: String, _ simulator: Simulator) async throws -> ChildProgram {
            func asked() -> Int { simulator.statistics.calls["eth_chainId", default: 0] }
            let before = asked()
            let run = try box.start(["run", "-c", "\(name).yaml", "--quiet"])
            try await Surroundings.eventually("a run of \(name)") { asked() > before ? true : nil }
            return run
        }

        private static func tokens(_ box: Sandbox, _ simulator: Simulator, port: UInt16) async throws -> [String] {
            let chain = Workplace(box, "tokens", port: port)
            try await chain.backfill(Chain.first...(Chain.first + 30))
            return try await rows(
                box, "tokens", "SELECT to_0x(token_address) FROM erc20_transfers GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 3")
        }

        /// A chain that only grows, quickly, so that blocks come while the test acts.
        private static func chain() -> GeneratorOptions {
            var generator = Chain.options(blocks: 40)
            generator.blockTime = .milliseconds(60)
            generator.transactions = 12...24
            return generator
        }

        /// The transfers of a token from a block on, as a pipeline of all transfers has them.
        private static func expected(_ box: Sandbox, _ token: String, _ blocks: ClosedRange<UInt64>) async throws -> [String] {
            try await rows(
                box, "all",
                """
                SELECT block_number, log_index, to_0x(from_address), to_0x(to_address), CAST(value AS VARCHAR) FROM erc20_transfers \
                WHERE to_0x(token_address) = '\(token)' AND block_number BETWEEN \(blocks.lowerBound) AND \(blocks.upperBound) ORDER BY 1, 2
                """)
        }

        private static func found(_ box: Sandbox, _ name: String, _ token: String) async throws -> [String] {
            try await rows(
                box, name,
                """
                SELECT block_number, log_index, arguments->>'from', arguments->>'to', arguments->>'value' FROM event_logs \
                WHERE to_0x(address) = '\(token)' ORDER BY 1, 2
                """)
        }

        private static func block(_ row: String?) -> UInt64? { row?.split(separator: ",").first.flatMap { UInt64($0) } }

        @Test(
            "two processes share addresses through Redis: what a third adds reaches both with their next blocks, also after a kill and while the server is away",
            .enabled(if: RedisServer.program != nil, "redis-server is missing: scripts/setup --test"))
        func redis() async throws {
            try await Sandbox.run { box in
                guard mkdir(box.path("redis"), 0o755) == 0 else { throw ChildProgram.Failure(description: "mkdir") }
                let server = try RedisServer(folder: box.path("redis"), settings: ["--requirepass", "geheim"])
                try await server.start()
                defer { server.crash() }
                let generator = Self.chain()
                try await Chain.serving(generator) { simulator, port in
                    let tokens = try await Self.tokens(box, simulator, port: port)
                    try #require(tokens.count == 3)
                    let accounts = generator.accounts.prefix(2).map { Hex.text($0) }
                    let shared =
                        "shared_state: { redis: { url: \"redis://:geheim@127.0.0.1:\(server.port)/1\", reply_timeout: 500ms } }"
                    // Each brings something of its own, and both look at both.
                    try Self.write(box, "one", port: port, shared: shared, events: [tokens[0]])
                    try Self.write(box, "two", port: port, shared: shared, balances: [accounts[0]])
                    let names = ["one", "two"]
                    var runs: [ChildProgram] = []
                    for name in names { runs.append(try await Self.start(box, name, simulator)) }
                    func reached(_ what: String, _ sql: String) async throws {
                        for name in names {
                            try await Surroundings.eventually("\(what) in \(name)") { () -> Bool? in
                                // Before the first commit there is no file yet.
                                guard let count = try? await Self.rows(box, name, sql) else { return nil }
                                return count == ["0"] ? nil : true
                            }
                        }
                    }
                    func events(_ token: String, from block: UInt64 = 0) -> String {
                        "SELECT count(*) FROM event_logs WHERE to_0x(address) = '\(token)' AND block_number > \(block)"
                    }
                    try await reached("events of the first token", events(tokens[0]))
                    try await reached("balances", "SELECT count(*) FROM account_balances WHERE to_0x(address) = '\(accounts[0])'")

                    // A third process adds; the other two need no restart.
                    let before = simulator.head
                    _ = try await box.output("addresses", "add", "-c", "one.yaml", "watch", tokens[1], "--event", Self.transfer)
                    _ = try await box.output(
                        "addresses", "add", "-c", "one.yaml", "watch", accounts[1], "--register", "account_balance")
                    let after = simulator.head
                    try await reached("events of the second token", events(tokens[1]))
                    try await reached("more balances", "SELECT count(*) FROM account_balances WHERE to_0x(address) = '\(accounts[1])'")

                    // The server dies; what was known counts on. One of the two is killed, and comes back when the server is there again.
                    server.crash()
                    let away = simulator.head
                    try await reached("events while the server is away", events(tokens[0], from: away))
                    runs[0].send(SIGKILL)
                    #expect(try await runs[0].wait() == .killed(SIGKILL))
                    try await server.start()
                    runs[0] = try await Self.start(box, "one", simulator)
                    _ = try await box.output("addresses", "add", "-c", "two.yaml", "watch", tokens[2], "--event", Self.transfer)
                    try await reached("events of the third token", events(tokens[2]))
                    let listed = try await box.output("addresses", "list", "-c", "two.yaml")
                    #expect(listed.contains("event_log, 3 addresses") && listed.contains("account_balance, 2 addresses"), "\(listed)")

                    // What is taken away is gone with the next blocks.
                    _ = try await box.output(
                        "addresses", "remove", "-c", "one.yaml", "watch", tokens[0], "--register", "event_log")
                    let removed = simulator.head
                    try await reached("later events", events(tokens[1], from: removed))
                    for run in runs { run.send(SIGINT) }
                    for run in runs { _ = try await run.wait() }

                    #expect(runs.allSatisfy { !$0.errors.contains("geheim") && !$0.output.contains("geheim") })
                    try await Self.writeAll(box, through: simulator.head, port: port)
                    for name in names {
                        try await Self.expect(box, name, tokens, added: before...after, removed: removed)
                    }
                }
            }
        }

        /// All transfers of the chain, by another register.
        private static func writeAll(_ box: Sandbox, through head: UInt64, port: UInt16) async throws {
            try Surroundings.write(
                """
                state: all.state
                networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"] } }
                sinks: { tables: { type: duckdb, path: all.duckdb } }
                pipelines: { all: { network: simulated, register: erc20_transfers, sinks: [tables] } }

                """, to: box.path("all.yaml"))
            _ = try await box.output("backfill", "-c", "all.yaml", "--from", "\(Chain.first)", "--to", "\(head)", "--quiet")
        }

        /// That a process has the events of three tokens: the first until it was removed, the others from their addition on.
        /// - Parameters:
        ///   - added: the heads before and after the second one was added.
        ///   - removed: the head after the first one was removed.
        private static func expect(
            _ box: Sandbox, _ name: String, _ tokens: [String], added: ClosedRange<UInt64>, removed: UInt64
        ) async throws {
            let ends = try await rows(box, name, "SELECT max(block_number) FROM account_balances")
            let last = try #require(block(ends.first))
            var events: [[String]] = []
            for token in tokens { events.append(try await found(box, name, token)) }
            // Complete from the first row on: nothing of a token is missing afterwards, and nothing is there twice.
            for (index, token) in tokens.enumerated() {
                let first = try #require(block(events[index].first))
                let end = index == 0 ? try #require(block(events[0].last)) : last
                #expect(try await events[index] == expected(box, token, first...end), "\(name), token \(index)")
            }
            let second = try #require(block(events[1].first))
            #expect(second >= added.lowerBound, "history of an added address is not read: \(second), \(added)")
            // What came after the addition was acknowledged is there from its first block on.
            let due = try await expected(box, tokens[1], (added.upperBound + 1)...last)
            #expect(!due.isEmpty && events[1].suffix(due.count) == due[...], "\(name)")
            let end = try #require(block(events[0].last))
            #expect(end <= removed, "\(name): \(end) \(removed)")
        }

        @Test("without Redis the state file keeps what was added; what the configuration says no more is gone with the next start")
        func stateFile() async throws {
            try await Sandbox.run { box in
                let generator = Self.chain()
                try await Chain.serving(generator) { simulator, port in
                    let accounts = generator.accounts.prefix(3).map { Hex.text($0) }
                    let start = "\(Chain.first + 30)"
                    try Self.write(box, "main", port: port, balances: [accounts[0], accounts[1]], start: start)
                    func run() async throws {
                        _ = try await box.output("run", "-c", "main.yaml", "--until-block", "\(simulator.head + 6)", "--quiet")
                    }
                    func sampled() async throws -> [String: UInt64] {
                        let rows = try await Self.rows(
                            box, "main", "SELECT to_0x(address), max(block_number) FROM account_balances GROUP BY 1")
                        return Dictionary(
                            uniqueKeysWithValues: rows.map { row in
                                let parts = row.split(separator: ",")
                                return (String(parts[0]), UInt64(parts[1]) ?? 0)
                            })
                    }
                    try await run()
                    _ = try await box.output(
                        "addresses", "add", "-c", "main.yaml", "watch", accounts[2].uppercased().replacing("0X", with: "0x"), "--register",
                        "account_balance")
                    try Self.write(box, "main", port: port, balances: [accounts[1]], start: start)
                    try await run()
                    let found = try await sampled()
                    #expect(found.count == 3)
                    let ends = accounts.compactMap { found[$0] }
                    #expect(ends.count == 3 && ends[0] < ends[1] && ends[1] == ends[2], "\(ends)")
                    // While a run has the file, it can be listed, and a change is refused with what mends it.
                    let running = try await Self.start(box, "main", simulator)
                    try await Surroundings.eventually("a new block") { try await sampled().values.max() ?? 0 > ends[1] ? true : nil }
                    let list = try await box.output("addresses", "list", "-c", "main.yaml", "watch", "--json")
                    #expect(list.contains(accounts[2]) && !list.contains(accounts[0]), "\(list)")
                    let (ending, errors) = try await box.sluice(
                        "addresses", "remove", "-c", "main.yaml", "watch", accounts[2], "--register", "account_balance")
                    #expect(ending == .exited(75) && errors.contains("help: stop that process first, or let it share"), "\(errors)")
                    running.send(SIGTERM)
                    _ = try await running.wait()
                }
            }
        }

        @Test("what cannot be added is refused, with a reason")
        func refused() async throws {
            try await Sandbox.run { box in
                try Self.write(box, "main", port: 1)
                let address = "0x" + String(repeating: "ab", count: 20)
                for (arguments, code, part) in [
                    (["nobody", address], 2, "no pipeline is called nobody"),
                    (["watch", address], 2, "for which register? add --register, one of account_balance, event_log"),
                    (["watch", "0x12", "--event", Self.transfer], 2, "'0x12' is no address"),
                    (["watch", address, "--event", "event Transfer(uint7 x)"], 2, "'uint7' is not a type"),
                    (["watch", address, "--register", "event_log"], 2, "which events of them? event_log needs --event"),
                    (["watch", address, "--register", "event_logs"], 2, "did you mean event_log?"),
                    (["watch", address, "--register", "account_balance", "--event", Self.transfer], 2, "--event is nothing for"),
                ] as [([String], Int32, String)] {
                    let child = try box.start(["addresses", "add", "-c", "main.yaml"] + arguments)
                    let ending = try await child.wait()
                    #expect(ending == .exited(code) && child.errors.contains(part), "\(arguments): \(ending) \(child.errors)")
                }
                let list = try await box.sluice("addresses", "add", "-c", "main.yaml", "watch", address, "--event", Self.transfer)
                #expect(list.ending == .exited(0), "\(list.errors)")
                let listed = try await box.output("addresses", "list", "-c", "main.yaml")
                #expect(listed.contains("  \(address)\n    \(Self.transfer)"), "\(listed)")
            }
        }
    }
}
