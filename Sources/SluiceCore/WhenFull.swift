/// What is done with rows for a sink that is slower than what comes, as it is asked for: the policy of an edge without its place on disk.
public enum WhenFull: Sendable, Hashable, CustomStringConvertible {
    case block
    /// At most so many bytes on disk.
    case spill(limit: Int)
    case dropNewest

    /// Reads what `description` made; nil for anything else.
    public init?(_ text: String) {
        switch text {
        case "block": self = .block
        case "drop_newest": self = .dropNewest
        default:
            guard text.hasPrefix("spill "), let limit = Int(text.dropFirst(6)), limit > 0 else { return nil }
            self = .spill(limit: limit)
        }
    }

    /// As it is kept.
    public var description: String {
        switch self {
        case .block: "block"
        case .spill(let limit): "spill \(limit)"
        case .dropNewest: "drop_newest"
        }
    }
}
