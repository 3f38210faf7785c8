import SluiceConfig

/// The command line was not understood.
struct UsageError: Error, CustomStringConvertible {
    let message: String
    let suggestion: String?

    init(_ message: String, suggestion: String? = nil) {
        self.message = message
        self.suggestion = suggestion
    }

    var description: String { "error: \(message)" + (suggestion.map { "; did you mean \($0)?" } ?? "") + "\n  help: sluice --help" }
}

/// The options and operands of one command, checked against what it takes.
struct Arguments: Sendable {
    let operands: [String]
    private let values: [String: String]
    private let switches: Set<String>

    /// - Throws: `UsageError` naming the option that is unknown, misses its value, or comes twice.
    init(_ arguments: [String], command: Command) throws {
        var operands: [String] = []
        var values: [String: String] = [:]
        var switches: Set<String> = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                operands += rest
                break
            }
            guard argument.hasPrefix("-"), argument.count > 1 else {
                operands.append(argument)
                continue
            }
            let parts = argument.hasPrefix("--") ? argument.split(separator: "=", maxSplits: 1).map(String.init) : [argument]
            guard let option = command.options.first(where: { $0.name == parts[0] || $0.short == parts[0] }) else {
                throw UsageError(
                    "\(command.name): unknown option \(parts[0])", suggestion: Spelling.nearest(to: parts[0], in: command.options.map(\.name)))
            }
            guard values[option.name] == nil, !switches.contains(option.name) else {
                throw UsageError("\(command.name): \(option.name) is given twice")
            }
            if option.value == nil {
                guard parts.count == 1 else { throw UsageError("\(command.name): \(option.name) takes no value") }
                switches.insert(option.name)
            } else if parts.count == 2 {
                values[option.name] = parts[1]
            } else {
                guard let value = rest.popFirst() else { throw UsageError("\(command.name): \(option.name) needs \(option.value ?? "a value")") }
                values[option.name] = value
            }
        }
        guard command.operands.contains(operands.count) else {
            throw UsageError(
                operands.count < command.operands.lowerBound
                    ? "\(command.name): something is missing; usage: sluice \(command.name) \(command.usage)"
                    : "\(command.name): unexpected argument \(operands[command.operands.upperBound])")
        }
        self.operands = operands
        self.values = values
        self.switches = switches
    }

    func has(_ name: String) -> Bool { switches.contains(name) }
    func string(_ name: String) -> String? { values[name] }

    /// The path of the configuration.
    var config: String { values["--config"] ?? "sluice.yaml" }

    /// A whole number, also with `_` or `,` between digits.
    func number(_ name: String) throws -> UInt64? {
        guard let text = values[name] else { return nil }
        guard let number = UInt64(text.filter { $0 != "_" && $0 != "," }) else { throw UsageError("\(name): \(text) is no whole number") }
        return number
    }

    /// A share from 0 to 1, also as a percentage (`5%`).
    func share(_ name: String) throws -> Double? {
        guard let text = values[name] else { return nil }
        let isPercent = text.hasSuffix("%")
        guard let number = Double(isPercent ? String(text.dropLast()) : text), case let share = isPercent ? number / 100 : number,
            (0...1).contains(share)
        else { throw UsageError("\(name): \(text) is no share (0.05 or 5%)") }
        return share
    }

    /// A duration with its unit: `90s`, `500ms`, `2m`, `1h`.
    func duration(_ name: String) throws -> Duration? {
        guard let text = values[name] else { return nil }
        guard let duration = Duration(text: text) else { throw UsageError("\(name): \(text) is no duration (90s, 500ms, 2m, 1h)") }
        return duration
    }
}
