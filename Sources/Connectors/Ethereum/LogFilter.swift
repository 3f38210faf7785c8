public import SluiceChain
public import SluiceCore

/// Which logs `eth_getLogs` is asked for: those of one of the contracts, with one of the topics.
public struct LogFilter: Hashable, Sendable {
    /// First topics, in ascending order; empty for any.
    public let topics: [Hash32]
    /// Contracts, in the order of their bytes; empty for any.
    public let addresses: [Address]

    public init(topics: [Hash32] = [], addresses: [Address] = []) {
        self.topics = topics
        self.addresses = addresses
    }

    /// Whether it lets every log of a block through: only then the logs can be held against the block's bloom as a whole.
    public var isOpen: Bool { topics.isEmpty && addresses.isEmpty }
}
