/// The measurements by name. Each hands its figures to `emit` as they come.
struct Suites {
    let bench: Bench
    /// One run of each, and fewer blocks for the steps.
    let quick: Bool
    let emit: (Figure) -> Void

    static let names = [
        "parse", "columns", "duckdb", "parquet", "path", "transfers", "range", "latency", "limit", "faults", "graph", "live", "postgres",
        "clickhouse", "influx", "files", "redis", "kafka", "objects",
    ]
    /// About 20 seconds together.
    static let quickNames = ["parse", "columns", "duckdb", "parquet", "path", "transfers", "latency"]

    func run(_ name: String) throws {
        switch name {
        case "parse": try step("parse", "parse only (walk, nothing kept)")
        case "columns":
            try step("columns", "reply to columns")
            try step("verified", "reply to columns, verified")
        case "duckdb": try step("duckdb", "columns to DuckDB", blocks: 2_000)
        case "parquet": try step("parquet", "columns to Parquet", blocks: 2_000)
        case "path": try path()
        case "transfers": try transfers()
        case "range": try range()
        case "latency": try latency()
        case "limit": try limit()
        case "faults": try faults()
        case "graph": try graph()
        case "live": try live()
        case "postgres": try postgres()
        case "clickhouse": try clickhouse()
        case "files":
            try step("csv", "columns to CSV", blocks: 2_000)
            try step("jsonl", "columns to JSON lines", blocks: 2_000)
        case "redis": try redis()
        case "kafka": try kafka()
        case "objects": try objects()
        case "influx":
            try step("influx", "columns to lines (blocks, transactions, logs)", blocks: 8_000)
            try step("influx-prices", "columns to lines (one small row a block)", blocks: 4_000_000)
        default: throw BenchError("no measurement \(name)")
        }
    }

    func count(_ usual: Int) -> Int { bench.blocks ?? (quick ? min(usual, 2_000) : usual) }
    var runs: Int { quick ? 1 : bench.runs }

    /// One step alone; what it costs is measured inside the process, without its preparations. Its peak memory holds the replies too.
    private func step(_ step: String, _ name: String, blocks usual: Int = 4_000) throws {
        let blocks = count(usual) / bench.workload.count * bench.workload.count
        var usages: [Usage] = []
        for _ in 0..<runs {
            let store = "\(bench.folder)/step"
            Cleanup.remove(store)
            let (output, usage) = try bench.helper(["measure", step, "\(blocks)", store])
            Cleanup.remove(store)
            let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
            guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring \(step): no figures came") }
            usages.append(Usage(cpu: cpu, wall: wall, peak: usage.peak))
        }
        emit(figure(step, name, blocks, usages))
    }

    func figure(
        _ suite: String, _ name: String, _ blocks: Int, _ usages: [Usage], rows: Int? = nil, goals: [Figure.Goal] = [],
        ratio: Double? = nil,
        note: String = ""
    ) -> Figure {
        Figure(
            suite: suite, name: name, blocks: blocks, bytes: bench.bytes(blocks), rows: rows ?? bench.rows(blocks).reduce(0, +),
            runs: usages,
            goals: goals, ratio: ratio, note: note)
    }

    /// All rows of the blocks, or it is no figure.
    func whole(_ trial: Trial, _ times: Int) throws -> [Usage] {
        let (usages, rows) = try trial.run(times)
        guard rows == bench.rows(trial.blocks) else {
            throw BenchError("a run left \(rows) rows of \(trial.registers), not \(bench.rows(trial.blocks))")
        }
        return usages
    }

    private static let memory = Figure.Goal(metric: .memory, target: 200, stretch: 126)
    private static let rate = Figure.Goal(metric: .rate, target: 900, stretch: 1_400)

    private func path() throws {
        let blocks = count(2_000)
        for (store, target, stretch) in [(Trial.Store.duckdb, 1.5, 1.0), (.parquet, 1.3, 0.9)] {
            let usages = try whole(Trial(bench: bench, store: store, blocks: blocks), runs)
            let goals = [Figure.Goal(metric: .cpu, target: target, stretch: stretch), Self.rate, Self.memory]
            emit(figure("path", "RPC to \(store == .duckdb ? "DuckDB" : "Parquet")", blocks, usages, goals: goals))
        }
    }

    private func transfers() throws {
        let blocks = count(2_000)
        var before: [Int]?
        for store in [Trial.Store.duckdb, .parquet] {
            let (usages, rows) = try Trial(bench: bench, store: store, registers: ["erc20_transfers"], blocks: blocks).run(runs)
            guard rows[0] > 0, before == nil || before == rows else {
                throw BenchError("transfers: \(rows) rows, and \(before ?? []) before")
            }
            before = rows
            let name = "RPC to \(store == .duckdb ? "DuckDB" : "Parquet"), ERC-20 transfers"
            let goals = [Figure.Goal(metric: .cpu, target: 0.35, stretch: 0.25)]
            emit(figure("transfers", name, blocks, usages, rows: rows[0], goals: goals, note: "MB/s as if whole blocks were read"))
        }
    }

    /// Costs a block the same, however long the range is?
    private func range() throws {
        let short = count(2_000)
        let first = figure("range", "range of \(short) blocks", short, try whole(Trial(bench: bench, blocks: short), runs))
        emit(first)
        let long = short * 10
        var second = figure(
            "range", "range of \(long) blocks", long, try whole(Trial(bench: bench, blocks: long), 1),
            goals: [Self.memory, Figure.Goal(metric: .ratio, target: 1.1)])
        second.ratio = second.cpu / first.cpu
        second.note = "CPU a block \(Text.fixed(second.cpu / first.cpu, 2)) times that of \(short) blocks"
        emit(second)
    }

    private func latency() throws {
        let blocks = count(400)
        let startup = try startupSeconds()
        let trial = Trial(bench: bench, blocks: blocks, upstream: ["--latency", "100ms", "--latency-spread", "50ms"])
        var result = figure(
            "latency", "latency 100 ms +- 50 ms", blocks, try whole(trial, runs),
            goals: [Figure.Goal(metric: .rate, target: 300, stretch: 500)])
        result.startup = startup
        result.note = "\(Text.fixed(result.netBlocksPerSecond, 0)) blocks/s without \(Text.fixed(startup, 2)) s of start and end"
        emit(result)
    }

    /// What a run of one block takes without latency: the process, its stores, its end.
    private func startupSeconds() throws -> Double {
        let usages = try Trial(bench: bench, blocks: 1).run(3).runs
        return usages.map(\.wall).sorted()[1]
    }

    private func limit() throws {
        let blocks = count(400)
        for isKnown in [true, false] {
            let trial = Trial(
                bench: bench, blocks: blocks, upstream: ["--requests-per-second", "200", "--no-batches"],
                endpoint: isKnown ? ["requests_per_second: 200"] : [])
            emit(
                figure(
                    "limit", "200 requests/s, no batches, \(isKnown ? "known" : "unknown")", blocks,
                    try whole(trial, quick ? 1 : min(runs, 2)),
                    goals: [Figure.Goal(metric: .rate, target: 90, stretch: 95)], note: "at most 100 blocks/s are possible, two calls each")
            )
        }
    }

    private func faults() throws {
        let blocks = count(2_000)
        var clean: Double?
        for share in [0, 1, 5, 20] {
            // What hangs costs a request's time limit; a shorter one than usual keeps the bench short, not the CPU low.
            let trial = Trial(
                bench: bench, blocks: blocks, upstream: share == 0 ? [] : ["--faults", "\(share)%"], network: ["request_timeout: 2s"])
            // Failing answers cost waiting: one run of each is enough, and many take minutes.
            var result = figure(
                "faults", "\(share) % of answers fail", blocks, try whole(trial, share == 0 ? runs : 1), note: "rows complete")
            if let clean {
                result.ratio = result.cpu / clean
                result.note += ", CPU \(Text.fixed(result.cpu / clean, 2)) times that without faults"
                if share <= 5 { result.goals = [Figure.Goal(metric: .ratio, target: 1.2)] }
            }
            clean = clean ?? result.cpu
            emit(result)
        }
    }
}
