import SluiceCommand
import SluiceConfig
import SluiceStore
import SluiceTelemetry

/// How loud the log is, and where it goes.
enum Logging {
    /// The log of a command. With a screen its lines pass above the live view.
    static func log(_ arguments: Arguments, screen: Screen? = nil) throws -> Log {
        let level = try level(arguments)
        guard let screen else { return Log(level: level) }
        return Log(level: level, clock: StateStore.systemClock, sink: { screen.pass($0) })
    }

    /// The level asked for; by default only what matters, so that the log does not drown the progress on a terminal.
    private static func level(_ arguments: Arguments) throws -> LogLevel {
        guard let text = arguments.string("--log-level") else { return Output.isTerminal || arguments.has("--quiet") ? .warning : .info }
        guard let level = LogLevel(name: text) else {
            let words = ["debug", "info", "warning", "error"]
            throw UsageError(
                "--log-level: \(text) is none of \(words.joined(separator: ", "))", suggestion: Spelling.nearest(to: text, in: words))
        }
        return level
    }
}
