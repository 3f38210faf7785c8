import SluiceChain
import SluiceCore

/// What the factories of some subscriptions have made so far, as far as was read.
struct DiscoveredContracts: Sendable {
    /// In the order of the subscriptions that name them, each once.
    private(set) var factories: [ContractFactory] = []
    /// By factory: the contracts, each with the block of its first mention.
    private var made: [[Address: BlockRef]] = []

    /// Takes on other factories; of those that stay, what they made stays known.
    mutating func use(_ factories: [ContractFactory]) {
        let before = zip(self.factories, made).map { ($0, $1) }
        self.factories = factories
        made = factories.map { factory in before.first { $0.0 == factory }?.1 ?? [:] }
    }

    func contains(_ address: Address, madeBy factory: Int) -> Bool { made[factory][address] != nil }

    /// Returns whether it was not known before, or only from a later block.
    @discardableResult
    mutating func note(_ address: Address, madeBy factory: Int, in block: BlockRef) -> Bool {
        if let known = made[factory][address], known.number <= block.number { return false }
        made[factory][address] = block
        return true
    }

    /// Forgets what was made behind a position.
    mutating func rollback(to position: Position) {
        for index in made.indices { made[index] = made[index].filter { $0.value.number <= position.number } }
    }

    /// Everything, in the order of blocks and addresses.
    var all: [DiscoveredContract] {
        zip(factories, made).flatMap { factory, made in
            made.map { address, block in
                DiscoveredContract(
                    address: address, factory: factory.address, signature: factory.event.signature, argument: factory.argument, block: block
                )
            }
        }.sorted { ($0.block.number, $0.address.description) < ($1.block.number, $1.address.description) }
    }

    /// Takes over what was exported; what no factory here has made is left out.
    mutating func restore(_ contracts: [DiscoveredContract]) {
        for contract in contracts {
            for (index, factory) in factories.enumerated()
            where factory.address == contract.factory && factory.argument == contract.argument
                && factory.event.signature == contract.signature
            {
                note(contract.address, madeBy: index, in: contract.block)
            }
        }
    }
}
