/// The help, from the commands' own descriptions.
public enum Help {
    /// What `sluice` alone says.
    public static func overview(_ commands: [Command]) -> String {
        let commands = commands.filter { !$0.isHidden }
        let width = commands.map(\.name.count).max() ?? 0
        return """
            sluice: chain data into tables, exactly once, reorganisations undone.

            usage: sluice COMMAND [OPTIONS]

            \(commands.map { "  " + padded($0.name, width) + "  " + $0.summary }.joined(separator: "\n"))

            sluice COMMAND --help says more. Documentation: docs/ in the source tree.
            """
    }

    /// What the first word of commands of several words says alone, such as `sluice dlq`.
    public static func group(_ commands: [Command]) -> String {
        let word = commands.first?.words.first ?? ""
        let width = commands.map(\.name.count).max() ?? 0
        return """
            usage: sluice \(word) COMMAND [OPTIONS]

            \(commands.map { "  " + padded($0.name, width) + "  " + $0.summary }.joined(separator: "\n"))

            sluice \(word) COMMAND --help says more.
            """
    }

    /// What `sluice COMMAND --help` says.
    public static func text(_ command: Command) -> String {
        var text = "sluice \(command.name): \(command.summary)\n"
        if !command.examples.isEmpty { text += "\nexamples:\n" + command.examples.map { "  \($0)\n" }.joined() }
        text += "\nusage: sluice \(command.name) \(command.usage)\n"
        if !command.options.isEmpty {
            let names = command.options.map { option in
                [option.short, option.name].compactMap { $0 }.joined(separator: ", ") + (option.value.map { " \($0)" } ?? "")
            }
            let width = names.map(\.count).max() ?? 0
            text += "\noptions:\n" + zip(names, command.options).map { "  " + padded($0, width) + "  " + $1.doc + "\n" }.joined()
        }
        return String(text.dropLast())
    }

    public static func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
}
