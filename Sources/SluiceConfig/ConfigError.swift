public import SluiceCore

/// All that is wrong in a configuration, in the order of the file.
public struct ConfigError: Error, Sendable, CustomStringConvertible {
    /// At least one.
    public let problems: [ConfigProblem]

    init(_ problems: [ConfigProblem]) {
        self.problems = problems.sorted { ($0.mark, $0.path) < ($1.mark, $1.path) }
    }

    /// How many problems are printed; the rest is counted.
    private static let printed = 50

    public var description: String {
        var parts = problems.prefix(Self.printed).map(\.description)
        if problems.count > Self.printed { parts.append("and \(problems.count - Self.printed) more problems") }
        return parts.joined(separator: "\n")
    }
}

extension SluiceError.Code {
    /// The configuration cannot be used as it is.
    public static let invalidConfiguration = Self("invalid_configuration")
}

extension ConfigError {
    /// The same as an error of the house, class `config`.
    public var sluiceError: SluiceError { SluiceError(.invalidConfiguration, .config, description) }
}
