/// One thing that is wrong in a configuration: where, what, and what was probably meant.
public struct ConfigProblem: Sendable, Hashable, CustomStringConvertible {
    public let file: String
    public let mark: SourceMark
    /// The place in the tree, as `pipelines.transfers.register`; empty for the root.
    public let path: String
    /// Lower case, no full stop, no secrets.
    public let message: String
    /// What was probably meant, or what would be right.
    public let suggestion: String?
    /// The line with a caret under the place; values that may be secret are `***`.
    public let excerpt: String?

    /// `file:line:column: path: message; suggestion`, without the excerpt.
    public var summary: String {
        let place = "\(file):\(mark.line):\(mark.column): "
        return place + (path.isEmpty ? "" : path + ": ") + message + (suggestion.map { "; " + $0 } ?? "")
    }

    public var description: String { summary + (excerpt.map { "\n" + $0 } ?? "") }
}
