/// A value that passed its spec.
public struct ConfigValue: Sendable {
    public enum Content: Sendable {
        /// Text, a path or a word of a choice.
        case string(String)
        /// A whole number, or a size in bytes.
        case int(Int)
        case float(Double)
        case bool(Bool)
        case duration(Duration)
        case url(ConfigURL)
        case secret(Secret)
        case list([ConfigValue])
        case map([ConfigEntry])
        case object(ConfigObject)
    }

    public let content: Content
    /// Where it stands; for a default, where its object begins.
    public let mark: SourceMark
}

/// One value under a key of the user's choice.
public struct ConfigEntry: Sendable {
    public let key: String
    public let keyMark: SourceMark
    public let value: ConfigValue
}

extension ConfigValue {
    /// The parts as each type, nil when the value is of another.
    public var string: String? { if case .string(let value) = content { value } else { nil } }
    public var int: Int? { if case .int(let value) = content { value } else { nil } }
    public var float: Double? { if case .float(let value) = content { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = content { value } else { nil } }
    public var duration: Duration? { if case .duration(let value) = content { value } else { nil } }
    public var url: ConfigURL? { if case .url(let value) = content { value } else { nil } }
    public var secret: Secret? { if case .secret(let value) = content { value } else { nil } }
    public var list: [ConfigValue]? { if case .list(let value) = content { value } else { nil } }
    public var map: [ConfigEntry]? { if case .map(let value) = content { value } else { nil } }
    public var object: ConfigObject? { if case .object(let value) = content { value } else { nil } }
}
