public import SluiceChain
public import SluiceCore

/// A contract that a factory was seen to make.
public struct DiscoveredContract: Hashable, Sendable {
    public let address: Address
    public let factory: Address
    /// Canonical signature of the factory's event.
    public let signature: String
    /// Name of its argument.
    public let argument: String
    /// The block in which it was made.
    public let block: BlockRef

    public init(address: Address, factory: Address, signature: String, argument: String, block: BlockRef) {
        self.address = address
        self.factory = factory
        self.signature = signature
        self.argument = argument
        self.block = block
    }
}
