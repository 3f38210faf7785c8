/// How the keys of an addressable register look, for whatever pipeline.
public struct StateKeyShape: Hashable, Sendable, CustomStringConvertible {
    /// The register that reads it, such as `account_balance`.
    public let prefix: String
    /// What is kept, such as `address`.
    public let id: String
    /// Whether each member has a set of its own, such as an address and the signatures of the events that are wanted of it.
    public let isNested: Bool

    public init(prefix: String, id: String, isNested: Bool = false) {
        self.prefix = prefix
        self.id = id
        self.isNested = isNested
    }

    /// The key of one pipeline.
    public func key(of pipeline: String) -> StateKey { StateKey(pipeline: pipeline, prefix: prefix, id: id) }

    /// As `event_log-address`; with a star behind it when it is nested.
    public var description: String { "\(prefix)-\(id)" + (isNested ? "-*" : "") }
}
