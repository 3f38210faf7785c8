public import SluiceChain
public import SluiceCore

/// Events that are asked for, and of which contracts.
public struct EventSubscription: Hashable, Sendable {
    /// Whose events are wanted.
    public enum Contracts: Hashable, Sendable {
        /// Every contract's.
        case any
        case at(Set<Address>)
        /// Of those that a factory makes, from the log on in which it says so; not the factory's own.
        case made(by: ContractFactory)
    }

    public let contracts: Contracts
    public let events: [ABIEvent]

    /// - Throws: `event_subscription` (class `config`) when an anonymous event is asked for of every contract: nothing but the address tells
    ///   the logs of such an event from others.
    public init(_ contracts: Contracts, events: [ABIEvent]) throws(SluiceError) {
        if contracts == .any, let event = events.first(where: \.isAnonymous) {
            throw SluiceError(
                .eventSubscription, .config, "the anonymous event \(event.signature) is asked for of every contract",
                mend: "name the addresses that log it")
        }
        self.contracts = contracts
        self.events = events
    }

    /// Events of some addresses.
    public init(addresses: Set<Address>, events: [ABIEvent]) {
        contracts = .at(addresses)
        self.events = events
    }

    /// Events of what a factory makes.
    public init(factory: ContractFactory, events: [ABIEvent]) {
        contracts = .made(by: factory)
        self.events = events
    }

    /// What the oracle must read for it.
    var need: Need {
        var wanted = events
        var addresses: [[UInt8]] = []
        switch contracts {
        case .any: break
        case .at(let set): addresses = set.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
        case .made(let factory): wanted.append(factory.event)
        }
        let topics = wanted.contains(where: \.isAnonymous) ? [] : Set(wanted.map(\.topic0)).sorted()
        return Need(EthereumTables.logs.name, topics: topics, addresses: addresses)
    }

    /// Whether its contracts are not known beforehand.
    var hasFactory: Bool { if case .made = contracts { true } else { false } }

    /// Whether nothing can match it.
    var isEmpty: Bool {
        if events.isEmpty { return true }
        if case .at(let addresses) = contracts { return addresses.isEmpty }
        return false
    }
}

extension [EventSubscription] {
    /// What the oracle must read for all of them; nothing when nothing is asked for. Contracts that factories make are not known
    /// beforehand: a subscription to them reads the logs of these events of every contract.
    public var needs: [Need] { filter { !$0.isEmpty }.map(\.need) }
}
