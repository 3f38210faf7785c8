/// One command: what it takes and what it does.
public struct Command: Sendable {
    public let name: String
    /// One line for the overview.
    public let summary: String
    /// What stands behind the name in the usage line.
    public let usage: String
    public let options: [Option]
    /// Whether arguments without a dash are taken, and how many at most.
    public var operands: ClosedRange<Int> = 0...0
    /// Shown first in the help.
    public var examples: [String] = []
    /// Left out of the overview.
    public var isHidden = false
    /// Does it; throws what Sluice's own errors say.
    public let perform: @Sendable (Arguments) async throws -> ExitCode

    public init(
        name: String, summary: String, usage: String, options: [Option], operands: ClosedRange<Int> = 0...0, examples: [String] = [],
        isHidden: Bool = false, perform: @escaping @Sendable (Arguments) async throws -> ExitCode
    ) {
        self.name = name
        self.summary = summary
        self.usage = usage
        self.options = options
        self.operands = operands
        self.examples = examples
        self.isHidden = isHidden
        self.perform = perform
    }
}

/// One option of a command.
public struct Option: Sendable {
    /// With its dashes: `--from`.
    public let name: String
    /// A short form: `-c`.
    public var short: String?
    /// What the value is called in the help; nil for a switch.
    public let value: String?
    public let doc: String
    /// Whether it may be given several times.
    public let isRepeatable: Bool

    public init(_ name: String, short: String? = nil, _ value: String? = nil, _ doc: String, isRepeatable: Bool = false) {
        self.name = name
        self.short = short
        self.value = value
        self.doc = doc
        self.isRepeatable = isRepeatable
    }

    public static let config = Option("--config", short: "-c", "FILE", "the configuration (default: sluice.yaml)")
    public static let json = Option("--json", nil, "machine-readable output")
    public static let quiet = Option("--quiet", nil, "no progress, only errors")
    public static let logLevel = Option(
        "--log-level", "LEVEL", "debug, info, warning or error (default: warning on a terminal, info elsewhere)")
}
