/// What one measurement gave.
struct Figure: Sendable {
    /// A bound that the project sets itself.
    struct Goal: Sendable {
        enum Metric: String, Sendable {
            case cpu = "CPU", rate = "blocks/s", memory = "RSS", ratio = "ratio", perCPU = "rows/CPU-s", latency = "p99 ms"

            /// Whether more is better.
            var isRate: Bool { self == .rate || self == .perCPU }
        }
        let metric: Metric
        let target: Double
        var stretch: Double?
    }

    let suite: String
    let name: String
    let blocks: Int
    let bytes: Int
    let rows: Int
    let runs: [Usage]
    var goals: [Goal] = []
    /// Against another figure, where that is what counts.
    var ratio: Double?
    /// What a goal of rows a CPU-second or of latency is held against.
    var measured: Double?
    /// Seconds of `runs` that are start-up, in which no block is read.
    var startup = 0.0
    var note = ""

    private func median(_ value: (Usage) -> Double) -> Double {
        let sorted = runs.map(value).sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    private var thousands: Double { Double(blocks) / 1_000 }
    /// CPU seconds for 1,000 blocks: median, and the least.
    var cpu: Double { median(\.cpu) / thousands }
    var leastCPU: Double { (runs.map(\.cpu).min() ?? .nan) / thousands }
    var wall: Double { median(\.wall) }
    var blocksPerSecond: Double { Double(blocks) / wall }
    var netBlocksPerSecond: Double { Double(blocks) / max(1e-9, wall - startup) }
    var megabytesPerSecond: Double { Double(bytes) / wall / 1e6 }
    var rowsPerSecond: Double { Double(rows) / wall }
    var peak: Double { runs.map(\.peak).max() ?? .nan }

    /// Each goal with its verdict.
    var verdicts: [String] {
        goals.map { goal in
            let value: Double =
                switch goal.metric {
                case .cpu: cpu
                case .rate: blocksPerSecond
                case .memory: peak
                case .ratio: ratio ?? .nan
                case .perCPU, .latency: measured ?? .nan
                }
            func holds(_ bound: Double) -> Bool { goal.metric.isRate ? value >= bound : value <= bound }
            let digits = goal.target >= 10 ? 0 : 2
            let sign = goal.metric.isRate ? ">=" : "<="
            let stretch = goal.stretch.map { " (\(Text.fixed($0, digits)))" } ?? ""
            let verdict = goal.stretch.map(holds) ?? false ? "stretch" : holds(goal.target) ? "met" : "MISSED"
            return "\(goal.metric.rawValue) \(sign) \(Text.fixed(goal.target, digits))\(stretch): \(verdict)"
        }
    }
}

/// All figures, as a table for people and as JSON for machines.
struct Report {
    private(set) var figures: [Figure] = []
    /// What was measured with.
    var heading: [String] = []

    private static let columns: [(title: String, width: Int)] = [
        ("measurement", 34), ("blocks", 7), ("CPU-s/1k", 9), ("least", 7), ("blocks/s", 9), ("MB/s", 7), ("rows/s", 9), ("RSS MB", 7),
    ]

    /// The table's first lines.
    var opening: String {
        let titles = Self.columns.enumerated().map { $0 == 0 ? Text.left($1.title, $1.width) : Text.right($1.title, $1.width) }
        return (heading + ["", titles.joined(separator: " ") + "  targets (stretch), remarks"]).joined(separator: "\n")
    }

    /// Takes a figure and returns its line.
    mutating func add(_ figure: Figure) -> String {
        figures.append(figure)
        let cells = [
            figure.name, "\(figure.blocks)", Text.fixed(figure.cpu, 3), Text.fixed(figure.leastCPU, 3),
            Text.fixed(figure.blocksPerSecond, 0), Text.fixed(figure.megabytesPerSecond, 0), Text.fixed(figure.rowsPerSecond, 0),
            Text.fixed(figure.peak, 1),
        ]
        let padded = zip(cells, Self.columns).enumerated().map { index, cell in
            index == 0 ? Text.left(cell.0, cell.1.width) : Text.right(cell.0, cell.1.width)
        }
        let remarks = figure.verdicts + (figure.note.isEmpty ? [] : [figure.note])
        return padded.joined(separator: " ") + "  " + remarks.joined(separator: "; ")
    }

    /// One object a figure; seconds, bytes and counts as they are.
    var json: String {
        let items = figures.map { figure -> String in
            var fields: [(String, String)] = [
                ("suite", Text.json(figure.suite)), ("name", Text.json(figure.name)), ("blocks", "\(figure.blocks)"),
                ("json_bytes", "\(figure.bytes)"), ("rows", "\(figure.rows)"), ("runs", "\(figure.runs.count)"),
                ("cpu_seconds_per_1000_blocks", Text.fixed(figure.cpu, 4)),
                ("least_cpu_seconds_per_1000_blocks", Text.fixed(figure.leastCPU, 4)), ("wall_seconds", Text.fixed(figure.wall, 4)),
                ("blocks_per_second", Text.fixed(figure.blocksPerSecond, 1)),
                ("megabytes_per_second", Text.fixed(figure.megabytesPerSecond, 1)),
                ("rows_per_second", Text.fixed(figure.rowsPerSecond, 0)), ("peak_rss_megabytes", Text.fixed(figure.peak, 1)),
            ]
            if let measured = figure.measured { fields.append(("measured", Text.fixed(measured, 1))) }
            if let ratio = figure.ratio { fields.append(("ratio", Text.fixed(ratio, 3))) }
            fields.append(("targets", "[" + figure.verdicts.map(Text.json).joined(separator: ", ") + "]"))
            if !figure.note.isEmpty { fields.append(("note", Text.json(figure.note))) }
            return "  {" + fields.map { "\(Text.json($0)): \($1)" }.joined(separator: ", ") + "}"
        }
        let head = heading.map(Text.json).joined(separator: ", ")
        return "{\"heading\": [\(head)],\n \"figures\": [\n\(items.joined(separator: ",\n"))\n]}\n"
    }
}
