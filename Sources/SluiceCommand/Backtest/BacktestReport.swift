import SluiceCore
public import SluiceFlow

/// What `sluice backtest` says at its end. Pure.
public struct BacktestReport: Sendable {
    /// What was asked of the endpoints.
    public struct Traffic: Sendable {
        public let requests: UInt64
        public let calls: UInt64
        public let bytes: Int

        public init(requests: UInt64, calls: UInt64, bytes: Int) {
            self.requests = requests
            self.calls = calls
            self.bytes = bytes
        }
    }

    public let pipeline: String
    public let pids: [String]
    public let network: String
    public let chainID: UInt64
    public let range: ClosedRange<UInt64>
    public let outcome: Backtest.Outcome
    public let traffic: Traffic
    /// The file that was written; nil when the rows were dropped.
    public let file: String?
    /// What the components of registers are called.
    public let components: [String: String]

    public init(
        pipeline: String, pids: [String], network: String, chainID: UInt64, range: ClosedRange<UInt64>, outcome: Backtest.Outcome,
        traffic: Traffic, file: String?, components: [String: String]
    ) {
        self.pipeline = pipeline
        self.pids = pids
        self.network = network
        self.chainID = chainID
        self.range = range
        self.outcome = outcome
        self.traffic = traffic
        self.file = file
        self.components = components
    }

    private var state: String {
        switch outcome.end {
        case .completed: "done"
        case .left: "stopped"
        case .failed: "error"
        }
    }

    private var failure: String? { if case .failed(let error) = outcome.end { "\(error)" } else { nil } }
    private var tables: [(name: String, digest: TableDigest)] { outcome.tables.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
    private var rate: Double? { outcome.seconds > 0 ? Double(outcome.blocks) / outcome.seconds : nil }
    private var reasons: [(reason: String, count: Int)] {
        outcome.letterCounts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
    }

    /// For people.
    public func lines(style: Style) -> [String] {
        var lines = ["\(style.bold("backtest \(Visible.safe(pipeline))"))  \(state)  \(style.dim("on \(network) (chain \(chainID))"))"]
        lines += pids.map { "  \(style.dim($0))" }
        lines.append("  blocks \(Amount.grouped(range.lowerBound)) to \(Amount.grouped(range.upperBound))")
        lines.append(
            "  \(Amount.count(outcome.blocks, "block")) in \(Amount.time(outcome.seconds)), \(Amount.rate(rate)) blocks/s, "
                + "\(Amount.bytes(Double(traffic.bytes))) read by \(Amount.count(traffic.calls, "call")) in \(Amount.count(traffic.requests, "request"))"
        )
        lines.append("  rows " + (file.map { "are in \(Visible.safe($0))" } ?? "were counted and dropped"))
        if let failure { lines.append("  ! \(Visible.safe(failure))") }
        if !tables.isEmpty {
            var table = TextTable(["table", "rows", "digest"], right: [1])
            for (name, digest) in tables { table.add([name, Amount.grouped(digest.rows), "\(digest)"]) }
            lines += [""] + table.lines(style: style)
        }
        if !outcome.components.isEmpty {
            var table = TextTable(["component", "in", "out", "filtered", "dead letters"], right: [1, 2, 3, 4])
            for component in outcome.components {
                let rows = component.rows
                table.add([
                    components[component.register] ?? component.register, Amount.grouped(rows.in), Amount.grouped(rows.out),
                    Amount.grouped(rows.filtered.values.reduce(0, +)), Amount.grouped(rows.deadLetters),
                ])
            }
            lines += [""] + table.lines(style: style)
        }
        let filtered = outcome.components.flatMap { component in
            component.rows.filtered.sorted { $0.key < $1.key }.map { "  \(component.register): \($0.key) \(Amount.grouped($0.value))" }
        }
        if !filtered.isEmpty { lines += ["", style.bold("filtered")] + filtered }
        return lines + letters(style)
    }

    private func letters(_ style: Style) -> [String] {
        guard !reasons.isEmpty else { return [] }
        let counts = reasons.map { "\(Visible.safe($0.reason)) \(Amount.grouped($0.count))" }.joined(separator: ", ")
        var lines = ["", "\(style.yellow("dead letters"))  \(counts)  \(style.dim("(not kept)"))"]
        let shown = outcome.letters.prefix(20)
        for letter in shown {
            lines.append(
                "  block \(Amount.grouped(letter.block.number)), \(letter.register), \(Visible.safe(letter.row)): "
                    + "\(Visible.safe(letter.reason)): \(Visible.safe(letter.message))")
        }
        let rest = reasons.reduce(0) { $0 + $1.count } - shown.count
        return rest > 0 ? lines + ["  and \(Amount.grouped(rest)) more"] : lines
    }

    /// For programs.
    public var json: JSON {
        .members([
            "pipeline": .string(pipeline), "pids": .array(pids.map { .string($0) }), "network": .string(network),
            "chain_id": .integer(chainID), "state": .string(state), "message": .text(failure), "from": .integer(range.lowerBound),
            "to": .integer(range.upperBound), "blocks": .integer(outcome.blocks), "seconds": .number(Amount.fixed(outcome.seconds, 3)),
            "file": .text(file), "requests": .integer(traffic.requests), "calls": .integer(traffic.calls),
            "received_bytes": .integer(traffic.bytes),
            "tables": .array(
                tables.map { .members(["table": .string($0.name), "rows": .integer($0.digest.rows), "digest": .string("\($0.digest)")]) }),
            "components": .array(
                outcome.components.map { component in
                    .members([
                        "register": .string(component.register), "pid": .text(components[component.register]),
                        "in": .integer(component.rows.in), "out": .integer(component.rows.out),
                        "filtered": .object(
                            component.rows.filtered.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) }),
                        "dead_letters": .integer(component.rows.deadLetters),
                    ])
                }),
            "dead_letters": .members([
                "count": .integer(reasons.reduce(0) { $0 + $1.count }),
                "reasons": .object(reasons.map { JSON.Member($0.reason, .integer($0.count)) }),
                "letters": .array(
                    outcome.letters.map { letter in
                        .members([
                            "block": .integer(letter.block.number), "block_hash": .string("\(letter.block.hash)"),
                            "register": .string(letter.register), "row": .string(letter.row), "reason": .string(letter.reason),
                            "message": .string(letter.message), "payload": .string(letter.payload),
                        ])
                    }),
            ]),
        ])
    }
}
