/// What kind of network a component reads, as identifiers say it. The kind is not the network: that is told apart by its chain id.
public struct NetworkKind: NumberedName {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let names = ["layer1", "layer2", "other_layer1", "service"]

    /// Ethereum, or a test network of it.
    public static let layer1 = Self(rawValue: 1)
    /// A rollup on a layer 1.
    public static let layer2 = Self(rawValue: 2)
    /// A chain of its own that is not Ethereum.
    public static let otherLayer1 = Self(rawValue: 3)
    /// No chain: an interface that is asked for data.
    public static let service = Self(rawValue: 4)
}
