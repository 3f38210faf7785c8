/// One command: what it takes and what it does.
struct Command: Sendable {
    let name: String
    /// One line for the overview.
    let summary: String
    /// What stands behind the name in the usage line.
    let usage: String
    let options: [Option]
    /// Whether arguments without a dash are taken, and how many at most.
    var operands: ClosedRange<Int> = 0...0
    /// Shown first in the help.
    var examples: [String] = []
    let run: @Sendable (Arguments) async throws -> ExitCode
}

/// One option of a command.
struct Option: Sendable {
    /// With its dashes: `--from`.
    let name: String
    /// A short form: `-c`.
    var short: String?
    /// What the value is called in the help; nil for a switch.
    let value: String?
    let doc: String

    init(_ name: String, short: String? = nil, _ value: String? = nil, _ doc: String) {
        self.name = name
        self.short = short
        self.value = value
        self.doc = doc
    }

    static let config = Option("--config", short: "-c", "FILE", "the configuration (default: sluice.yaml)")
    static let json = Option("--json", nil, "machine-readable output")
    static let quiet = Option("--quiet", nil, "no progress, only errors")
    static let logLevel = Option("--log-level", "LEVEL", "debug, info, warning or error (default: warning on a terminal, info elsewhere)")
}
