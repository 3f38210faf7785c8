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

    /// What is kept of it.
    var finding: Finding { Finding(block: block, text: "\(address) \(factory) \(argument) \(signature)") }

    /// From what was kept; nil when it is something else.
    init?(_ finding: Finding) {
        let words = finding.text.split(separator: " ")
        guard words.count == 4, let address = Address(hex: String(words[0])), let factory = Address(hex: String(words[1])) else {
            return nil
        }
        self.init(address: address, factory: factory, signature: String(words[3]), argument: String(words[2]), block: finding.block)
    }
}
