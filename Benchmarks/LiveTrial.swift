import Glibc

/// The tip of a chain: `sluice simulate` makes a block every so often, `sluice run` follows it with several pipelines over one network.
struct LiveTrial {
    /// One file, and the pipelines that write into it by their registers.
    struct File {
        let name: String
        let pipelines: [[String]]
        let hasBlocks: Bool
    }

    /// A warehouse in which each table is kept up by a pipeline of its own, so that it can be paused alone; and three people with files of
    /// their own.
    static let ten = [
        File(
            name: "warehouse",
            pipelines: ["blocks", "transactions", "logs", "withdrawals", "erc20_transfers", "erc721_transfers", "erc1155_transfers"].map {
                [$0]
            }, hasBlocks: true),
        File(name: "archive", pipelines: [["geth_block"]], hasBlocks: true),
        File(name: "ledger", pipelines: [["blocks", "transactions"]], hasBlocks: true),
        File(name: "tokens", pipelines: [["erc20_transfers", "erc721_transfers", "erc1155_transfers"]], hasBlocks: false),
    ]
    static let one = [ten[1]]

    /// What one run gave.
    struct Result {
        let usage: Usage
        /// Seconds from a block's first answer as the head to its rows in all files, in the order of the blocks.
        var latencies: [Double] = []
        /// The same for each file, by its name.
        var byFile: [(name: String, latencies: [Double])] = []
        /// Calls by method and HTTP requests, over all blocks of the run.
        var requests = 0.0
        var receipts = 0.0
        var heads = 0.0
    }

    let bench: Bench
    let files: [File]
    let blocks: Int
    let pollInterval: String
    static let blockTime = 0.2
    /// Blocks that are not counted: connections, caches and tables are made with them.
    static let warmUp = 20

    func run() throws -> Result {
        let folder = "\(bench.folder)/live"
        Cleanup.remove(folder)
        guard mkdir(folder, 0o755) == 0 else { throw BenchError("making \(folder): \(String(cString: strerror(errno)))") }
        defer { Cleanup.remove(folder) }
        let lines = "\(folder)/blocks"
        let simulator = try simulate(lines, stats: "\(folder)/stats")
        defer { if kill(simulator.pid, SIGKILL) == 0 { _ = try? simulator.wait(errors: "\(folder)/simulator.log", ends: SIGKILL) } }
        let port = try port(lines)
        try Text.write(configuration(folder, port: port), to: "\(folder)/sluice.yaml")
        let log = "\(folder)/run.log"
        let run = try Child([bench.sluice, "run", "-c", "\(folder)/sluice.yaml", "--quiet"], errors: log)
        let readers = files.map { LiveReader("\(folder)/\($0.name).duckdb", streams: $0.pipelines.count, hasBlocks: $0.hasBlocks) }
        for reader in readers { reader.start() }
        let limit = ContinuousClock.now + .seconds(Double(blocks + Self.warmUp) * Self.blockTime * 2 + 30)
        while readers.contains(where: { $0.blocks.count < blocks + Self.warmUp + 1 }), ContinuousClock.now < limit { usleep(20_000) }
        for reader in readers { reader.stop() }
        kill(run.pid, SIGTERM)
        let usage = try run.wait(limit: .seconds(300), errors: log, ends: SIGTERM)
        kill(simulator.pid, SIGTERM)
        _ = try simulator.wait(limit: .seconds(300), errors: "\(folder)/simulator.log", ends: SIGTERM)
        return try result(usage, readers, served: served(lines), stats: Text.file("\(folder)/stats") ?? "")
    }

    private func simulate(_ lines: String, stats: String) throws -> Child {
        let output = open(lines, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw BenchError("writing \(lines): \(String(cString: strerror(errno)))") }
        defer { close(output) }
        return try Child(
            [
                bench.sluice, "simulate", "--seed", "7", "--port", "0", "--block-time", "200ms", "--transactions", "145-160",
                "--log-blocks",
                "--stats", stats,
            ], output: output, errors: "\(bench.folder)/live/simulator.log")
    }

    private func port(_ lines: String) throws -> Int {
        for _ in 0..<500 {
            let first = (Text.file(lines) ?? "").split(separator: "\n").first ?? ""
            if let port = first.split(separator: ":").dropFirst(2).first.flatMap({ Int($0.prefix { $0.isNumber }) }) { return port }
            usleep(20_000)
        }
        throw BenchError("the simulator does not say its port\n\(Text.tail(of: "\(bench.folder)/live/simulator.log"))")
    }

    private func configuration(_ folder: String, port: Int) -> String {
        var text = """
            state: "\(folder)/state"
            networks:
              simulated:
                endpoints: ["http://127.0.0.1:\(port)"]
                poll_interval: \(pollInterval)
            sinks:

            """
        for file in files { text += "  \(file.name): { type: duckdb, path: \"\(folder)/\(file.name).duckdb\" }\n" }
        text += "pipelines:\n"
        for file in files {
            for (index, registers) in file.pipelines.enumerated() {
                let list = registers.joined(separator: ", ")
                text += "  \(file.name)_\(index): { network: simulated, registers: [\(list)], sinks: [\(file.name)] }\n"
            }
        }
        return text
    }

    /// When each block was served first, as the simulator wrote it down.
    private func served(_ lines: String) -> [UInt64: Double] {
        var served: [UInt64: Double] = [:]
        for line in (Text.file(lines) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 4, words[0] == "block", let number = UInt64(words[1]), let time = Double(words[3]) else { continue }
            served[number] = time
        }
        return served
    }

    private func result(_ usage: Usage, _ readers: [LiveReader], served: [UInt64: Double], stats: String) throws -> Result {
        var result = Result(usage: usage)
        let seen = readers.map(\.blocks)
        let counted = seen[0].keys.filter { number in seen.allSatisfy { $0[number] != nil } && served[number] != nil }.sorted()
            .dropFirst(Self.warmUp)
        guard counted.count >= min(blocks, 20) else { throw BenchError("only \(counted.count) blocks were seen in all files") }
        for (file, seen) in zip(files, seen) {
            result.byFile.append((file.name, counted.map { (seen[$0] ?? .nan) - (served[$0] ?? .nan) }))
        }
        result.latencies = counted.indices.map { place in
            result.byFile.map { $0.latencies[place - counted.startIndex] }.max() ?? .nan
        }
        func count(_ name: String) -> Double {
            guard let place = stats.split(separator: "\"").firstIndex(where: { $0 == name }) else { return 0 }
            let digits = stats.split(separator: "\"")[place + 1].drop { !$0.isNumber }.prefix { $0.isNumber }
            return Double(digits) ?? 0
        }
        let all = Double(max(1, served.count))
        result.requests = count("requests") / all
        result.receipts = count("eth_getBlockReceipts") / all
        result.heads = count("eth_getBlockByNumber") / all
        return result
    }
}
