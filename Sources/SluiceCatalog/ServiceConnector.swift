public import SluiceConfig
public import SluiceCore

/// A kind of network that is no chain, as it can be named in a configuration: `type:`, its options, and how it is read.
public struct ServiceConnector: Sendable {
    public let type: String
    public let spec: ObjectSpec
    /// What a plan says of one that is configured so, a line each.
    public let facts: @Sendable (_ options: ConfigObject) -> [String]
    /// Makes what reads it; connects to nothing yet. `name` is the network's in the configuration.
    public let make: @Sendable (_ name: String, _ options: ConfigObject) -> any SharedSource
    /// Connects, and says in a few words what is there.
    public let look: @Sendable (_ name: String, _ options: ConfigObject) async throws -> String

    public init(
        _ type: String, _ spec: ObjectSpec, facts: @escaping @Sendable (_ options: ConfigObject) -> [String],
        make: @escaping @Sendable (_ name: String, _ options: ConfigObject) -> any SharedSource,
        look: @escaping @Sendable (_ name: String, _ options: ConfigObject) async throws -> String
    ) {
        self.type = type
        self.spec = spec
        self.facts = facts
        self.make = make
        self.look = look
    }
}
