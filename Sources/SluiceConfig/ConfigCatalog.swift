/// What the rest of the program offers to a configuration: the sinks and registers that can be named in it.
public struct ConfigCatalog: Sendable {
    /// The `type:` of a network that says none.
    public static let ethereum = "ethereum"

    /// Spec of each sink by its `type:`, without the key `type` itself.
    public let sinkSpecs: [String: ObjectSpec]
    /// Spec of each kind of network that is not Ethereum's by its `type:`, without that key.
    public let sources: [String: ObjectSpec]
    /// The type of network that a register is read from.
    public let source: @Sendable (_ register: String) -> String
    /// Names of the registers.
    public let registers: [String]
    /// Those of them that combine streams.
    public let aggregators: [String]
    /// The tables that a register writes.
    public let tables: @Sendable (_ register: String) -> [String]
    /// Those registers that must be told more than their name.
    public let options: [RegisterOptions]
    /// Where several processes can keep what they share.
    public let sharedStates: [SharedStateOptions]

    public init(
        sinkSpecs: [String: ObjectSpec], sources: [String: ObjectSpec] = [:], registers: [String], aggregators: [String] = [],
        options: [RegisterOptions] = [],
        sharedStates: [SharedStateOptions] = [], tables: @escaping @Sendable (_ register: String) -> [String],
        source: @escaping @Sendable (_ register: String) -> String = { _ in ConfigCatalog.ethereum }
    ) {
        self.sources = sources
        self.source = source
        self.options = options
        self.aggregators = aggregators
        self.sharedStates = sharedStates
        self.sinkSpecs = sinkSpecs
        self.registers = registers
        self.tables = tables
    }
}
