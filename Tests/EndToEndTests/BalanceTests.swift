import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// Native balances in the real program, against sums over the chain that Python makes.
    @Suite(.needsReaders) struct Balances {
        private struct Report: Decodable {
            let rows: Int
            let addresses: [String]
            let blocks: [UInt64]
            /// Sampled blocks that change a balance which is looked at.
            let moving: Int
            let wrong: [String]
        }

        /// Accounts that take part in a chain.
        private static func accounts(_ generator: GeneratorOptions, _ count: Int) -> [String] {
            generator.accounts.prefix(count).map { Hex.text($0) }
        }

        /// One pipeline of balances: its name, whose, how often.
        private struct Wish {
            let name: String
            var addresses: [String]
            var interval: UInt64
            var more = ""
        }

        private static func write(_ box: Sandbox, _ file: String, port: UInt16, _ wishes: [Wish], start: String = "\(Chain.first)") throws {
            let sinks = wishes.map { "  \($0.name): { type: duckdb, path: \"\(file)-\($0.name).duckdb\", commit_rows: 500 }\n" }.joined()
            let pipelines = wishes.map { wish in
                """
                  \(wish.name):
                    network: simulated
                    register: account_balance
                    start: \(start)
                    balances: { addresses: [\(wish.addresses.map { "\"\($0)\"" }.joined(separator: ", "))], interval_blocks: \(wish.interval)\(wish.more) }
                    sinks: [\(wish.name)]

                """
            }.joined()
            try Surroundings.write(
                """
                state: \(file).state
                networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"], poll_interval: 20ms } }
                sinks:
                \(sinks)pipelines:
                \(pipelines)
                """, to: box.path("\(file).yaml"))
        }

        /// What Python says of the rows of a pipeline.
        private static func report(_ box: Sandbox, _ file: String, _ wish: Wish, chain: Workplace) async throws -> Report {
            try await box.python("balances.py", chain.database, "\(file)-\(wish.name).duckdb", as: Report.self)
        }

        private static func grid(_ range: ClosedRange<UInt64>, _ interval: UInt64) -> [UInt64] {
            range.filter { ($0 + 1).isMultiple(of: interval) || $0 == range.upperBound }
        }

        @Test("two pipelines with different addresses make the calls of one, and their balances are the sums of what the chain moved")
        func shared() async throws {
            try await Sandbox.run { box in
                let generator = Chain.options(blocks: 230)
                let range = Chain.blocks(220)
                let names = Self.accounts(generator, 5)
                let wishes = [
                    Wish(name: "one", addresses: Array(names[0...2]), interval: 10),
                    Wish(name: "two", addresses: Array(names[2...4]), interval: 20),
                ]
                var calls: [String: [String: Int]] = [:]
                try await Chain.serving(generator) { simulator, port in
                    for (file, own) in [("first", [wishes[0]]), ("both", wishes)] {
                        let before = simulator.statistics.calls
                        try Self.write(box, file, port: port, own)
                        let bounds = ["--from", "\(range.lowerBound)", "--to", "\(range.upperBound)", "--quiet"]
                        _ = try await box.output(["backfill", "-c", "\(file).yaml"] + bounds)
                        calls[file] = simulator.statistics.calls.merging(before) { $0 - $1 }
                    }
                    let chain = Workplace(box, "chain", port: port)
                    try await chain.backfill(range)
                    for (file, wish) in [("first", wishes[0]), ("both", wishes[0]), ("both", wishes[1])] {
                        let found = try await Self.report(box, file, wish, chain: chain)
                        #expect(found.wrong == [] && Set(found.addresses) == Set(wish.addresses))
                        #expect(found.blocks == Self.grid(range, wish.interval) && found.rows == 3 * found.blocks.count)
                        // Without a change in a sampled block itself, balances of the block before would pass.
                        #expect(found.moving > 0)
                    }
                }
                // 22 blocks with three addresses; at every second of them two more. The one that both ask for is asked for once.
                #expect(calls["first"]?["eth_getBalance"] == 66 && calls["both"]?["eth_getBalance"] == 66 + 22)
                let headers = calls.mapValues { $0["eth_getBlockByNumber", default: 0] }
                #expect(headers["first"] == headers["both"], "\(headers)")
            }
        }

        @Test("following a reorganising chain, killed again and again, only the balances of the chain that prevailed are left")
        func killed() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                var generator = Chain.options(seed: Surroundings.seed, blocks: 40)
                generator.blockTime = .milliseconds(40)
                generator.reorgEvery = 4
                generator.reorgDepth = 1...6
                let last = Chain.first + 60 + UInt64(Surroundings.kills) * 14
                generator.until = last
                generator.window = 8192
                try await Chain.serving(generator) { simulator, port in
                    let names = Self.accounts(generator, 6)
                    let wishes = [
                        Wish(name: "one", addresses: Array(names[0...3]), interval: 5),
                        Wish(name: "two", addresses: Array(names[2...5]), interval: 7),
                    ]
                    try Self.write(box, "live", port: port, wishes)
                    var kills = 0
                    while true {
                        let child = try box.start(["run", "-c", "live.yaml", "--until-block", "\(last)"])
                        if kills < Surroundings.kills {
                            try await Task.sleep(for: .milliseconds(Int64.random(in: 50...1100, using: &random)))
                            child.send(SIGKILL)
                        }
                        let ending = try await child.wait()
                        guard ending == .killed(SIGKILL) else {
                            #expect(ending == .exited(0), "seed \(Surroundings.seed), kill \(kills): \(child.errors.suffix(2000))")
                            break
                        }
                        kills += 1
                    }
                    #expect(simulator.head == last && kills >= Surroundings.kills / 3, "the run ended before it could be disturbed")
                    let chain = Workplace(box, "chain", port: port)
                    try await chain.backfill(Chain.first...last)
                    for wish in wishes {
                        let found = try await Self.report(box, "live", wish, chain: chain)
                        #expect(found.wrong == [], "seed \(Surroundings.seed), \(wish.name)")
                        #expect(Set(found.addresses) == Set(wish.addresses))
                        let grid = Set(Self.grid(Chain.first...last, wish.interval))
                        #expect(grid.subtracting(found.blocks) == [], "seed \(Surroundings.seed), \(wish.name)")
                        #expect(found.rows == 4 * found.blocks.count && found.moving > 0, "\(found)")
                    }
                    print("killed a run of balances \(kills) times, seed \(Surroundings.seed)")
                }
            }
        }

        @Test("history that the node has no state of is an error with the node's answer and the mend, for that pipeline alone")
        func pruned() async throws {
            try await Sandbox.run { box in
                let generator = Chain.options(blocks: 100)
                let range = Chain.blocks(90)
                try await Chain.serving(generator) { options in
                    options.rpc.stateBlocks = 32
                } _: { _, port in
                    let names = Self.accounts(generator, 2)
                    let wishes = [
                        Wish(name: "strict", addresses: names, interval: 10),
                        Wish(name: "lenient", addresses: names, interval: 10, more: ", pruned: leave_out"),
                    ]
                    try Self.write(box, "main", port: port, wishes)
                    let bounds = ["--from", "\(range.lowerBound)", "--to", "\(range.upperBound)", "--quiet"]
                    let child = try box.start(["backfill", "-c", "main.yaml"] + bounds)
                    #expect(try await child.wait() == .exited(75), "\(child.errors)")
                    #expect(
                        child.errors.contains(
                            "no endpoint has the state of block \(Chain.first + 9); http://127.0.0.1:\(port) answers: eth_getBalance: missing trie node"
                        ), "\(child.errors)")
                    #expect(child.errors.contains("help: add an archive endpoint, or begin later"), "\(child.errors)")
                    func query(_ name: String, _ sql: String) async throws -> [String] {
                        try await box.output("query", "-c", "main.yaml", "--sink", name, "--format", "csv", sql)
                            .split(whereSeparator: \.isNewline).dropFirst().map(String.init)
                    }
                    // The other one has what there is, and says what is missing.
                    #expect(
                        try await query("lenient", "SELECT DISTINCT block_number FROM account_balances ORDER BY 1")
                            == ([69, 79, 89] as [UInt64]).map { "\(Chain.first + $0)" })
                    let letters = try await box.output("dlq", "list", "-c", "main.yaml")
                    #expect(letters.contains("6 open dead letters: state_unavailable 6"), "\(letters)")
                    // What is not known is no empty result either: the blocks are still to be read.
                    let held = try await query("strict", "SELECT count(*) FROM account_balances")
                    #expect(held == ["0"])
                    let status = try await box.output("status", "-c", "main.yaml")
                    #expect(status.contains("strict"), "\(status)")
                }
            }
        }
    }
}
