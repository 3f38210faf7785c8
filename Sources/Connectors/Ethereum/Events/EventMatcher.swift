import SluiceChain
import SluiceCore

/// Which events a log may be one of, worked out once for some subscriptions.
struct EventMatcher: Sendable {
    /// An event of a subscription.
    struct Rule: Sendable {
        let event: ABIEvent
        let contracts: Contracts
    }

    /// Whose events; what factories make is looked up by their index.
    enum Contracts: Sendable {
        case any
        case at(Set<Address>)
        case madeBy(Int)
    }

    /// By first topic. Events that state what is indexed come before those that do not, else in the order of the subscriptions.
    private let named: [Hash32: [Rule]]
    private let anonymous: [Rule]
    /// Indices of the factories that tell by an event with this first topic.
    private let tellers: [Hash32: [Int]]
    /// The factories of all subscriptions, each once.
    let factories: [ContractFactory]

    init(_ subscriptions: [EventSubscription]) {
        var named: [Hash32: [Rule]] = [:]
        var anonymous: [Rule] = []
        var factories: [ContractFactory] = []
        for subscription in subscriptions {
            let contracts: Contracts
            switch subscription.contracts {
            case .any: contracts = .any
            case .at(let addresses): contracts = .at(addresses)
            case .made(let factory):
                contracts = .madeBy(factories.firstIndex(of: factory) ?? factories.count)
                if !factories.contains(factory) { factories.append(factory) }
            }
            for event in subscription.events {
                let rule = Rule(event: event, contracts: contracts)
                if event.isAnonymous { anonymous.append(rule) } else { named[event.topic0, default: []].append(rule) }
            }
        }
        self.named = named.mapValues { rules in rules.filter(\.event.statesIndexed) + rules.filter { !$0.event.statesIndexed } }
        self.anonymous = anonymous
        self.factories = factories
        tellers = Dictionary(grouping: factories.indices) { factories[$0].event.topic0 }
    }

    /// The events whose first topic, number of topics and contract are the log's.
    func named(_ log: EventLog, _ discovered: DiscoveredContracts) -> [ABIEvent] {
        guard let first = log.topics.first, let rules = named[first] else { return [] }
        return matching(rules, log, discovered)
    }

    /// The anonymous events whose number of topics and contract are the log's.
    func anonymous(_ log: EventLog, _ discovered: DiscoveredContracts) -> [ABIEvent] {
        anonymous.isEmpty ? [] : matching(anonymous, log, discovered)
    }

    private func matching(_ rules: [Rule], _ log: EventLog, _ discovered: DiscoveredContracts) -> [ABIEvent] {
        rules.filter { rule in
            guard rule.event.takes(topics: log.topics.count) else { return false }
            switch rule.contracts {
            case .any: return true
            case .at(let addresses): return addresses.contains(log.address)
            case .madeBy(let factory): return discovered.contains(log.address, madeBy: factory)
            }
        }.map(\.event)
    }

    /// Indices of the factories that may tell by this log what they made.
    func tellers(_ log: EventLog) -> [Int] {
        guard let first = log.topics.first, let candidates = tellers[first] else { return [] }
        return candidates.filter { factories[$0].address == log.address && factories[$0].event.takes(topics: log.topics.count) }
    }
}
