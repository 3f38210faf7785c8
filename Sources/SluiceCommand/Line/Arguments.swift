import SluiceConfig
import SluiceCore

/// The options and operands of one command, checked against what it takes.
public struct Arguments: Sendable {
    public let operands: [String]
    private let values: [String: [String]]
    private let switches: Set<String>

    /// - Throws: `UsageError` naming the option that is unknown, misses its value, or comes twice.
    public init(_ arguments: [String], command: Command) throws {
        var operands: [String] = []
        var values: [String: [String]] = [:]
        var switches: Set<String> = []
        var rest = arguments[...]
        let help = "sluice \(command.name) --help"
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
                    "\(command.name): unknown option \(parts[0])",
                    suggestion: Spelling.nearest(to: parts[0], in: command.options.map(\.name)),
                    help: help)
            }
            guard option.isRepeatable || values[option.name] == nil, !switches.contains(option.name) else {
                throw UsageError("\(command.name): \(option.name) is given twice", help: help)
            }
            if option.value == nil {
                guard parts.count == 1 else { throw UsageError("\(command.name): \(option.name) takes no value", help: help) }
                switches.insert(option.name)
            } else if parts.count == 2 {
                values[option.name, default: []].append(parts[1])
            } else {
                guard let value = rest.popFirst() else {
                    throw UsageError("\(command.name): \(option.name) needs \(option.value ?? "a value")", help: help)
                }
                values[option.name, default: []].append(value)
            }
        }
        guard command.operands.contains(operands.count) else {
            throw UsageError(
                operands.count < command.operands.lowerBound
                    ? "\(command.name): something is missing; usage: sluice \(command.name) \(command.usage)"
                    : "\(command.name): unexpected argument \(operands[command.operands.upperBound])", help: help)
        }
        self.operands = operands
        self.values = values
        self.switches = switches
    }

    /// All values of an option that may be repeated, in order.
    public func strings(_ name: String) -> [String] { values[name] ?? [] }
    /// Whether a switch is set.
    public func has(_ name: String) -> Bool { switches.contains(name) }
    /// The value of an option.
    public func string(_ name: String) -> String? { values[name]?.last }

    /// The path of the configuration.
    public var config: String { string("--config") ?? "sluice.yaml" }

    /// A whole number, also with `_` or `,` between digits.
    public func number(_ name: String) throws -> UInt64? {
        guard let text = string(name) else { return nil }
        guard let number = UInt64(text.filter { $0 != "_" && $0 != "," }) else { throw UsageError("\(name): \(text) is no whole number") }
        return number
    }

    /// A share from 0 to 1, also as a percentage (`5%`).
    public func share(_ name: String) throws -> Double? {
        guard let text = string(name) else { return nil }
        guard let share = Self.share(text) else { throw UsageError("\(name): \(text) is no share (0.05 or 5%)") }
        return share
    }

    /// A share from 0 to 1 out of text, also as a percentage; nil for anything else.
    public static func share(_ text: String) -> Double? {
        let isPercent = text.hasSuffix("%")
        guard let number = Double(isPercent ? String(text.dropLast()) : text) else { return nil }
        let share = isPercent ? number / 100 : number
        return (0...1).contains(share) ? share : nil
    }

    /// A duration with its unit: `90s`, `500ms`, `2m`, `1h`.
    public func duration(_ name: String) throws -> Duration? {
        guard let text = string(name) else { return nil }
        guard let duration = Duration(text: text) else { throw UsageError("\(name): \(text) is no duration (90s, 500ms, 2m, 1h)") }
        return duration
    }

    /// A word of a fixed list.
    public func choice(_ name: String, _ words: [String]) throws -> String? {
        guard let text = string(name) else { return nil }
        guard words.contains(text) else {
            throw UsageError(
                "\(name): \(text) is none of \(words.joined(separator: ", "))", suggestion: Spelling.nearest(to: text, in: words))
        }
        return text
    }

    /// `A-B`, or one number.
    public func range(_ name: String) throws -> ClosedRange<Int>? {
        guard let text = string(name) else { return nil }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = parts.first ?? nil, let last = parts.last ?? nil, parts.count <= 2, first <= last else {
            throw UsageError("\(name): \(text) is no range (3 or 1-5)")
        }
        return first...last
    }
}
