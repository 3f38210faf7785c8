import SluiceConfig

extension Command {
    /// What the first words of a command line ask for.
    public enum Found: Sendable {
        /// A command, and what stands behind its name.
        case command(Command, rest: [String])
        /// The first word alone of commands of several words, such as `dlq`: what there is behind it.
        case group([Command])
    }

    /// The words of the name: two for a command of a group, such as `dlq list`.
    public var words: [String] { name.split(separator: " ").map(String.init) }

    /// Finds the command that a command line begins with; nil when it has no words. A group is found when nothing or a wish for help
    /// stands behind its name.
    /// - Throws: `UsageError` with the nearest name when there is no such command.
    public static func find(_ arguments: [String], among commands: [Command]) throws -> Found? {
        guard let first = arguments.first else { return nil }
        let fitting = commands.filter { $0.words.first == first }
        if let command = fitting.first(where: { arguments.starts(with: $0.words) }) {
            return .command(command, rest: Array(arguments.dropFirst(command.words.count)))
        }
        guard !fitting.isEmpty else {
            let known = commands.filter { !$0.isHidden }.compactMap(\.words.first)
            throw UsageError("unknown command \(first)", suggestion: Spelling.nearest(to: first, in: known))
        }
        guard let second = arguments.dropFirst().first, !["help", "-h", "--help"].contains(second) else { return .group(fitting) }
        let known = fitting.compactMap { $0.words.dropFirst().first }
        guard !second.hasPrefix("-") else {
            throw UsageError("\(first): one of \(known.joined(separator: ", ")) must come first", help: "sluice \(first) --help")
        }
        throw UsageError(
            "unknown command \(first) \(second)", suggestion: Spelling.nearest(to: second, in: known).map { "\(first) \($0)" },
            help: "sluice \(first) --help")
    }
}
