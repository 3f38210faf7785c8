/// All pipelines of a configuration at one moment, a line each: what `sluice top` shows. Pure, so that it is tested without a terminal.
public struct TopView: Sendable {
    /// One pipeline.
    public struct Row: Sendable, Hashable {
        public let pipeline: String
        public let state: String
        public let network: String
        public let head: UInt64?
        public let position: UInt64?
        /// Averaged over the last samples; nil before there are two of them, or when nothing runs.
        public let rowsPerSecond: Double?
        public let reorganisations: UInt64
        public let deadLetters: UInt64
        public let gaps: Int
        public let message: String?

        public init(
            pipeline: String, state: String, network: String, head: UInt64?, position: UInt64?, rowsPerSecond: Double?,
            reorganisations: UInt64, deadLetters: UInt64, gaps: Int, message: String?
        ) {
            self.pipeline = pipeline
            self.state = state
            self.network = network
            self.head = head
            self.position = position
            self.rowsPerSecond = rowsPerSecond
            self.reorganisations = reorganisations
            self.deadLetters = deadLetters
            self.gaps = gaps
            self.message = message
        }

        /// Blocks between the head and the position.
        public var lag: UInt64? { head.flatMap { head in position.map { head - min(head, $0) } } }

        /// For programs.
        public var json: JSON {
            .members([
                "pipeline": .string(pipeline), "state": .string(state), "network": .string(network), "head": .integer(head),
                "position": .integer(position), "lag_blocks": .integer(lag),
                "rows_per_second": rowsPerSecond.map { .number(Amount.fixed($0, 1)) } ?? .null,
                "reorganisations": .integer(reorganisations), "dead_letters": .integer(deadLetters), "gaps": .integer(gaps),
                "message": .text(message),
            ])
        }
    }

    private let width: Int
    private let height: Int
    private let style: Style

    /// - Parameter height: lines that there is room for.
    public init(width: Int, height: Int, style: Style) {
        // A screen full to the last column would wrap on some terminals.
        self.width = max(20, width - 1)
        self.height = max(4, height)
        self.style = style
    }

    /// All lines, each cut to the width; what does not fit into the height is counted.
    /// - Parameters:
    ///   - title: the configuration's path.
    ///   - hint: how it ends, such as `q quits`; nil when it ends by itself.
    public func lines(_ rows: [Row], title: String, hint: String?) -> [String] {
        let header = ["\(style.bold("sluice top"))  \(Visible.safe(title))  \(style.dim(summary(rows)))", ""]
        let foot = hint.map { ["", style.dim($0)] } ?? []
        // The head of the table takes two lines.
        let room = max(1, height - header.count - foot.count - 2)
        let notes = rows.compactMap { row in row.message.map { "! \(row.pipeline): \(Visible.safe($0))" } }
        let shown = rows.count > room ? Array(rows.prefix(max(1, room - 1))) : rows
        var body = table(shown)
        if shown.count < rows.count { body.append(style.dim("and \(rows.count - shown.count) more")) }
        // What is wrong is said where there is room left for it.
        if !notes.isEmpty, room > shown.count + 1 { body += [""] + notes.prefix(room - shown.count - 1).map { style.yellow($0) } }
        return (header + body + foot).map { Visible.cut($0, width) }
    }

    private func summary(_ rows: [Row]) -> String {
        let counts = Dictionary(grouping: rows, by: \.state).mapValues(\.count)
        let states = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
        return ([Amount.count(UInt64(rows.count), "pipeline")] + states).joined(separator: ", ")
    }

    private struct ColumnSpec {
        let title: String
        let isRight: Bool
        /// On a narrow terminal those of high rank go first.
        let rank: Int
        let cell: (Row) -> String
    }

    private func table(_ rows: [Row]) -> [String] {
        func shown(_ number: UInt64?) -> String { number.map { Amount.grouped($0) } ?? "-" }
        func warned(_ number: UInt64) -> String { number > 0 ? style.yellow(Amount.grouped(number)) : "0" }
        let style = style
        var columns = [
            ColumnSpec(title: "pipeline", isRight: false, rank: 0) { style.bold(Visible.cut(Visible.safe($0.pipeline), 32)) },
            ColumnSpec(title: "state", isRight: false, rank: 1) { Self.coloured($0.state, style) },
            ColumnSpec(title: "network", isRight: false, rank: 7) { Visible.cut(Visible.safe($0.network), 20) },
            ColumnSpec(title: "head", isRight: true, rank: 6) { shown($0.head) },
            ColumnSpec(title: "position", isRight: true, rank: 3) { shown($0.position) },
            ColumnSpec(title: "lag", isRight: true, rank: 2) { shown($0.lag) },
            ColumnSpec(title: "rows/s", isRight: true, rank: 4) { Amount.rate($0.rowsPerSecond) },
            ColumnSpec(title: "reorgs", isRight: true, rank: 8) { Amount.grouped($0.reorganisations) },
            ColumnSpec(title: "dead", isRight: true, rank: 5) { warned($0.deadLetters) },
            ColumnSpec(title: "gaps", isRight: true, rank: 5) { warned(UInt64($0.gaps)) },
        ]
        while true {
            var table = TextTable(columns.map(\.title), right: Set(columns.indices.filter { columns[$0].isRight }))
            for row in rows { table.add(columns.map { $0.cell(row) }) }
            let lines = table.lines(style: style)
            let isWide = lines.contains { Visible.width($0) > width }
            guard isWide, columns.count > 2, let last = columns.indices.max(by: { columns[$0].rank < columns[$1].rank }) else {
                return lines
            }
            columns.remove(at: last)
        }
    }

    private static func coloured(_ state: String, _ style: Style) -> String {
        switch state {
        case "live": style.green(state)
        case "backfill", "starting": style.blue(state)
        case "waiting", "paused", "not running": style.yellow(state)
        case "error": style.red(state)
        default: style.dim(state)
        }
    }
}
