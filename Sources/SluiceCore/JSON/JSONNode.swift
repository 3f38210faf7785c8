/// A value of JSON, and where it begins.
public struct JSONNode: Sendable {
    public indirect enum Value: Sendable {
        case string(String)
        case bool(Bool)
        /// As it was written.
        case number(String)
        case array([JSONNode])
        case object([String: JSONNode])
        case null
    }

    public let value: Value
    /// Bytes before it.
    public let offset: Int

    public var text: String? { if case .string(let text) = value { text } else { nil } }
    public var flag: Bool? { if case .bool(let flag) = value { flag } else { nil } }
    public var items: [JSONNode]? { if case .array(let items) = value { items } else { nil } }
    public var members: [String: JSONNode]? { if case .object(let members) = value { members } else { nil } }
    /// A whole number without a sign; nil for anything else.
    public var whole: UInt64? { if case .number(let text) = value { UInt64(text) } else { nil } }

    /// A member of an object; nil when it is none, or has none of that name.
    public subscript(_ name: String) -> JSONNode? { members?[name] }
}
