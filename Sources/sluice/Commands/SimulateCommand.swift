import SluiceCommand
import SluiceCore
import SluiceFlow
import SluiceSimulator

extension Command {
    static let simulate = Command(
        name: "simulate", summary: "serve a recorded or generated chain over JSON-RPC on loopback",
        usage: "[--replay FILE [--repeat N | --blocks N]] [--seed S] [--port P] [FAULTS]",
        options: [
            Option("--port", "P", "port to listen on (default: 8545; 0 takes any)"),
            Option("--replay", "FILE", "serve the blocks of a JSON-lines file (also .zst)"),
            Option("--repeat", "N", "re-number the recorded blocks into one chain, the file N times over"),
            Option("--blocks", "N", "the same, until there are N blocks"),
            Option("--only", "A,B,...", "of the recorded blocks only these numbers"),
            Option("--start", "N", "number of the first block"),
            Option("--seed", "S", "seed of the generated chain and of the faults (default: 1)"),
            Option("--chain-id", "ID", "chain id (default: 1337 generated, 1 replayed)"),
            Option("--history", "N", "blocks that the generated chain has at the start (default: 128)"),
            Option("--block-time", "DURATION", "time from block to block (default: 1s)"),
            Option("--transactions", "A-B", "transactions of a generated block"),
            Option("--reorg-every", "N", "a reorganisation every N blocks on average"),
            Option("--reorg-depth", "A-B", "depth of the reorganisations (default: 1-3)"),
            Option("--latency", "DURATION", "time before every answer"),
            Option("--latency-spread", "DURATION", "how much that varies, up and down"),
            Option("--requests-per-second", "R", "refuse more calls than that with 429"),
            Option("--faults", "SHARE", "share of answers that fail, spread over all kinds (5% or 0.05)"),
            Option("--no-batches", nil, "refuse batches"),
            Option("--no-block-receipts", nil, "have no eth_getBlockReceipts"),
            Option("--no-finality-tags", nil, "know no finalized and safe"),
        ],
        examples: [
            "sluice simulate --seed 7 --block-time 1s --reorg-every 20",
            "sluice simulate --replay blocks.jsonl.zst --blocks 2000 --port 8545",
        ]
    ) { arguments in
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let simulator = try Simulator(try SimulatorOptions(arguments))
        let port = try await simulator.start()
        Output.line("listening on http://127.0.0.1:\(port), blocks up to \(simulator.head)")
        await stop.wait()
        await simulator.stop()
        let statistics = simulator.statistics
        Output.note("\(statistics.requests) requests, \(statistics.bytesSent) bytes, calls \(statistics.calls), faults \(statistics.faults)")
        return .success
    }
}

extension SimulatorOptions {
    /// Out of the command line.
    fileprivate init(_ arguments: Arguments) throws {
        let seed = try arguments.number("--seed") ?? 1
        let chainID = try arguments.number("--chain-id")
        if let path = arguments.string("--replay") {
            var replay = ReplayOptions(files: [path])
            replay.chainID = chainID ?? 1
            replay.repeats = Int(try arguments.number("--repeat") ?? 1)
            replay.count = try arguments.number("--blocks").map { Int($0) }
            // Without a wish for more than the file holds its blocks keep their own numbers.
            replay.renumber = arguments.string("--repeat") != nil || replay.count != nil
            if let start = try arguments.number("--start") { replay.start = start }
            if let only = arguments.string("--only") { replay.only = Set(only.split(separator: ",").compactMap { UInt64($0) }) }
            self.init(.replay(replay))
        } else {
            var generator = GeneratorOptions(seed: seed)
            generator.chainID = chainID ?? 1337
            generator.history = Int(try arguments.number("--history") ?? 128)
            generator.blockTime = try arguments.duration("--block-time") ?? .seconds(1)
            if let start = try arguments.number("--start") { generator.first = start }
            if let range = try arguments.range("--transactions") { generator.transactions = range }
            generator.reorgEvery = try arguments.number("--reorg-every").map { Int($0) }
            if let range = try arguments.range("--reorg-depth") { generator.reorgDepth = range }
            self.init(.generated(generator))
        }
        port = UInt16(clamping: try arguments.number("--port") ?? 8545)
        faults.seed = seed
        faults.latency = try arguments.duration("--latency") ?? .zero
        faults.latencySpread = try arguments.duration("--latency-spread") ?? .zero
        faults.requestsPerSecond = try arguments.number("--requests-per-second").map { Double($0) }
        faults.faultRate = try arguments.share("--faults") ?? 0
        rpc.hasBatches = !arguments.has("--no-batches")
        rpc.hasFinalityTags = !arguments.has("--no-finality-tags")
        if arguments.has("--no-block-receipts") { rpc.disabledMethods.insert("eth_getBlockReceipts") }
    }
}

extension Arguments {
    /// `A-B`, or one number.
    fileprivate func range(_ name: String) throws -> ClosedRange<Int>? {
        guard let text = string(name) else { return nil }
        let parts = text.split(separator: "-").map { Int($0) }
        guard let first = parts.first ?? nil, let last = parts.last ?? nil, parts.count <= 2, first <= last else {
            throw UsageError("\(name): \(text) is no range (3 or 1-5)")
        }
        return first...last
    }
}
