/// The command line was not understood.
public struct UsageError: Error, CustomStringConvertible {
    public let message: String
    public let suggestion: String?
    /// Where to read on: `sluice query --help`.
    public let help: String

    public init(_ message: String, suggestion: String? = nil, help: String = "sluice --help") {
        self.message = message
        self.suggestion = suggestion
        self.help = help
    }

    public var description: String { "error[usage]: \(message)" + (suggestion.map { "; did you mean \($0)?" } ?? "") + "\n  help: \(help)" }
}
