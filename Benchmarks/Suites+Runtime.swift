/// What the runtime itself costs: the graph alone, and the way of a block at the tip.
extension Suites {
    /// What is measured of the graph.
    private struct GraphCase {
        let shape: GraphMeasure.Shape
        let name: String
        let rows: Int
        let batches: Int
        /// Rows a CPU-second.
        var target: Double?
        var stretch: Double?
    }

    /// Rows or batches a CPU-second, through components and into a sink, in one process.
    func graph() throws {
        let cases = [
            GraphCase(shape: .pipes, name: "three pipes, batches of 1,000 rows", rows: 1_000, batches: 100_000, target: 10_000_000),
            GraphCase(shape: .pipes, name: "three pipes, one row", rows: 1, batches: 500_000, target: 500_000, stretch: 1_000_000),
            GraphCase(shape: .aggregatedPipes, name: "aggregator + two pipes, 1,000 rows", rows: 1_000, batches: 100_000),
            GraphCase(shape: .aggregatedPipes, name: "aggregator + two pipes, one row", rows: 1, batches: 300_000),
            GraphCase(shape: .edgedStreams, name: "two streams: edge, pipe; 1,000 rows", rows: 1_000, batches: 100_000),
            GraphCase(shape: .aggregator, name: "aggregator of the two, 1,000 rows", rows: 1_000, batches: 100_000),
            GraphCase(shape: .edgedStreams, name: "two streams: edge, pipe; one row", rows: 1, batches: 300_000),
            GraphCase(shape: .aggregator, name: "aggregator of the two, one row", rows: 1, batches: 300_000),
        ]
        var (piped, apart) = ([Int: Double](), 0.0)
        for one in cases {
            let (step, rows) = (one.shape.rawValue, one.rows)
            let batches = bench.blocks ?? one.batches
            var usages: [Usage] = []
            var memory: [(early: Double, late: Double)] = []
            for _ in 0..<runs {
                let (output, usage) = try bench.helper(["measure", step, "\(batches)", "\(rows)"])
                let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
                guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring \(step): no figures came") }
                usages.append(Usage(cpu: cpu, wall: wall, peak: usage.peak))
                memory.append(((words["early"] ?? 0) / 1e6, (words["late"] ?? 0) / 1e6))
            }
            var figure = Figure(suite: "graph", name: one.name, blocks: batches, bytes: 0, rows: batches * rows, runs: usages)
            let perSecond = Double(batches * rows) / (figure.cpu * Double(batches) / 1_000)
            figure.measured = perSecond
            if let target = one.target { figure.goals = [Figure.Goal(metric: .perCPU, target: target, stretch: one.stretch)] }
            switch one.shape {
            case .pipes: piped[rows] = figure.cpu
            case .aggregatedPipes:
                // Two batches go into it where one goes into the pipe whose place it takes.
                figure.ratio = piped[rows].map { figure.cpu / 2 / $0 }
                figure.goals = [Figure.Goal(metric: .ratio, target: 1.1)]
            case .edgedStreams: apart = figure.cpu
            case .aggregator: figure.ratio = figure.cpu / apart
            case .streams: break
            }
            let against = one.shape == .aggregator ? "what the two streams cost apart" : "three pipes, each batch that goes in"
            let last = memory[memory.count - 1]
            figure.note =
                "\(Text.fixed(perSecond, 0)) rows/CPU-s, \(Text.fixed(figure.cpu * 1_000, 2)) us a batch or bundle; "
                + (figure.ratio.map { "\(Text.fixed($0, 2)) times \(against); " } ?? "")
                + "memory \(Text.fixed(last.early, 1)) MB after a tenth, \(Text.fixed(last.late, 1)) MB "
                + "at the end; a block is a batch"
            emit(figure)
        }
    }

    /// From the moment a block is served as the head to its rows in DuckDB.
    func live() throws {
        let blocks = count(120)
        let poll = "20ms"
        for (name, files) in [("ten pipelines at the tip", LiveTrial.ten), ("one pipeline at the tip", LiveTrial.one)] {
            let trial = LiveTrial(bench: bench, files: files, blocks: blocks, pollInterval: poll)
            let result = try trial.run()
            func part(_ share: Double, of latencies: [Double]) -> Double {
                let sorted = latencies.sorted()
                return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] * 1_000
            }
            func shown(_ latencies: [Double]) -> String {
                [0.5, 0.99, 1].map { Text.fixed(part($0, of: latencies), 0) }.joined(separator: "/")
            }
            let seen = result.latencies.count
            var figure = Figure(suite: "live", name: name, blocks: seen, bytes: 0, rows: 0, runs: [result.usage])
            figure.measured = part(0.99, of: result.latencies)
            figure.goals = [Figure.Goal(metric: .latency, target: 100)]
            figure.note =
                "served to visible in all \(files.count) files, p50/p99/max \(shown(result.latencies)) ms ("
                + result.byFile.map { "\($0.name) \(shown($0.latencies))" }.joined(separator: ", ")
                + "), \(result.latencies.count { $0 > 0.1 }) blocks above 100 ms; poll \(poll), block time \(Text.fixed(LiveTrial.blockTime * 1_000, 0)) ms; a block costs "
                + "\(Text.fixed(result.receipts, 2)) calls for receipts, \(Text.fixed(result.requests, 1)) requests with the polls"
            emit(figure)
        }
    }
}
