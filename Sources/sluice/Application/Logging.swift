import SluiceTelemetry

/// How loud the log is.
enum Logging {
    /// The level asked for; by default only what matters, so that the log does not drown the progress on a terminal.
    static func level(_ arguments: Arguments) throws -> LogLevel {
        guard let text = arguments.string("--log-level") else { return Output.isTerminal || arguments.has("--quiet") ? .warning : .info }
        guard let level = LogLevel(name: text) else { throw UsageError("--log-level: \(text) is none of debug, info, warning, error") }
        return level
    }
}
