import Glibc
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
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
            Option("--until", "N", "the generated chain stops to grow at block N"),
            Option("--state", "FILE", "keep in FILE how far the generated chain has grown, and go on from there the next time"),
            Option("--transactions", "A-B", "transactions of a generated block"),
            Option("--reorg-every", "N", "a reorganisation every N blocks on average"),
            Option("--reorg-depth", "A-B", "depth of the reorganisations (default: 1-3)"),
            Option("--latency", "DURATION", "time before every answer"),
            Option("--latency-spread", "DURATION", "how much that varies, up and down"),
            Option("--requests-per-second", "R", "refuse more calls than that with 429"),
            Option("--faults", "SHARE", "share of answers that fail, spread over all kinds (5% or 0.05)"),
            Option(
                "--fault", "KIND=SHARE",
                "share of answers that fail in this way; may be repeated. Kinds: "
                    + FaultKind.allCases.map(\.rawValue).joined(separator: ", "),
                isRepeatable: true),
            Option("--lag-blocks", "N", "how many blocks a lagging node is behind at most (with --fault lagging=SHARE; default: 5)"),
            Option("--wrong-chain-id", nil, "answer every question for the chain id with another one"),
            Option("--no-batches", nil, "refuse batches"),
            Option("--no-block-receipts", nil, "have no eth_getBlockReceipts"),
            Option("--no-finality-tags", nil, "know no finalized and safe"),
            Option("--state-blocks", "N", "have the state of the newest N blocks alone, as a node that is no archive"),
            Option("--log-blocks", nil, "write a line for each block when it is first served as the head: number and seconds since 1970"),
            Option("--stats", "FILE", "write what was asked and answered as JSON at the end"),
        ],
        examples: [
            "sluice simulate --seed 7 --block-time 1s --reorg-every 20",
            "sluice simulate --replay blocks.jsonl.zst --blocks 2000 --port 8545",
        ]
    ) { arguments in
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let resume = try arguments.string("--state").map { try SimulatedGrowth($0) }
        var options = try SimulatorOptions(arguments, resume: resume?.steps ?? 0)
        if arguments.has("--log-blocks") { options.onHead = { Output.line("block \($0) at \(secondsSince1970())") } }
        let simulator = try Simulator(options)
        let port = try await simulator.start()
        Output.line("listening on http://127.0.0.1:\(port), blocks up to \(simulator.head)")
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await stop.wait() }
            if let resume {
                // Often, because a simulator that is killed should not fall far back.
                group.addTask {
                    while !Task.isCancelled, (try? await Task.sleep(for: .seconds(1))) != nil { try? resume.save(simulator.steps) }
                }
            }
            await group.next()
            group.cancelAll()
        }
        try resume?.save(simulator.steps)
        await simulator.stop()
        try report(simulator.statistics, to: arguments.string("--stats"))
        return .success
    }

    /// The wall clock, to the microsecond.
    private static func secondsSince1970() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return "\(time.tv_sec).\(String(1_000_000 + time.tv_nsec / 1_000).dropFirst())"
    }

    private static func report(_ statistics: SimulatorStatistics, to path: String?) throws {
        func members(_ counts: [String: Int]) -> [JSON.Member] {
            counts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) }
        }
        var table = TextTable(["what", "count"], right: [1])
        table.add(["requests", Amount.grouped(statistics.requests)])
        table.add(["connections", Amount.grouped(statistics.connections)])
        table.add(["sent", Amount.bytes(Double(statistics.bytesSent))])
        for (name, count) in statistics.calls.sorted(by: { $0.key < $1.key }) { table.add(["call \(name)", Amount.grouped(count)]) }
        for (name, count) in statistics.faults.sorted(by: { $0.key < $1.key }) { table.add(["fault \(name)", Amount.grouped(count)]) }
        for line in table.lines(style: Output.style) { Output.note(line) }
        guard let path else { return }
        let json = JSON.members([
            "requests": .integer(statistics.requests), "connections": .integer(statistics.connections),
            "bytes_sent": .integer(statistics.bytesSent),
            "calls": .object(members(statistics.calls)), "faults": .object(members(statistics.faults)),
        ])
        let file = try PartialFile(path)
        if let failure = Output.write(json.pretty() + "\n", to: try file.open()) { throw failure }
        try file.finish()
    }
}

/// How far a simulated chain has grown, kept in a file.
private struct SimulatedGrowth: Sendable {
    let steps: Int
    private let path: String

    init(_ path: String) throws {
        self.path = path
        guard let file = fopen(path, "r") else {
            guard errno == ENOENT else { throw Folder.failure("reading \(path)") }
            steps = 0
            try Folder.create(Folder.parent(of: path))
            return
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = fread(&bytes, 1, bytes.count, file)
        let text = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").first ?? ""
        guard let steps = Int(text), steps >= 0, steps < 10_000_000 else {
            throw SluiceError(
                .simulatorCommand, .data, "\(path) does not say how far a chain has grown", mend: "remove the file; the chain begins anew")
        }
        self.steps = steps
    }

    func save(_ steps: Int) throws {
        let file = try PartialFile(path)
        if let failure = Output.write("\(steps)\n", to: try file.open()) { throw failure }
        try file.finish()
    }
}

extension SimulatorOptions {
    /// Out of the command line.
    fileprivate init(_ arguments: Arguments, resume: Int) throws {
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
            generator.resume = resume
            generator.until = try arguments.number("--until")
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
        if let blocks = try arguments.number("--lag-blocks") { faults.lagBlocks = blocks }
        for text in arguments.strings("--fault") {
            let (kind, share) = try Self.fault(text)
            faults.rates[kind] = share
        }
        if arguments.has("--wrong-chain-id") { faults.rates[.wrongChainID] = 1 }
        rpc.hasBatches = !arguments.has("--no-batches")
        rpc.hasFinalityTags = !arguments.has("--no-finality-tags")
        rpc.stateBlocks = try arguments.number("--state-blocks")
        if arguments.has("--no-block-receipts") { rpc.disabledMethods.insert("eth_getBlockReceipts") }
    }

    private static func fault(_ text: String) throws -> (FaultKind, Double) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        let names = FaultKind.allCases.map(\.rawValue)
        guard let kind = parts.first.flatMap({ FaultKind(rawValue: $0) }) else {
            throw UsageError(
                "--fault: there is no kind \(parts.first ?? "")", suggestion: Spelling.nearest(to: parts.first ?? "", in: names),
                help: "sluice simulate --help")
        }
        guard parts.count == 2, let share = Arguments.share(parts[1]) else {
            throw UsageError("--fault: \(text) needs a share (\(kind.rawValue)=5%)")
        }
        return (kind, share)
    }
}
