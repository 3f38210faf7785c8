import SluiceChain
import SluiceCore

extension EventSubscription {
    /// What shared state asks for: addresses, each with the events that are wanted of it, as declarations or bare signatures. Addresses that
    /// want the same come together; an address without events asks for nothing. What cannot be read is left out, with a line that says so.
    static func read(_ held: StateSnapshot) -> (subscriptions: [EventSubscription], problems: [String]) {
        var addresses: [[String]: Set<Address>] = [:]
        var events: [String: ABIEvent] = [:]
        var unreadable: Set<String> = []
        var problems: [String] = []
        for entry in held.entries {
            guard let address = Address(hex: entry.member) else {
                problems.append("'\(entry.member.prefix(80))' is no address (0x and 40 hex digits)")
                continue
            }
            for text in entry.items where events[text] == nil {
                do {
                    events[text] = try ABIEvent(text)
                } catch {
                    problems.append("\(address): \(error.message)")
                    unreadable.insert(text)
                }
            }
            let readable = entry.items.filter { !unreadable.contains($0) }
            if !readable.isEmpty { addresses[readable, default: []].insert(address) }
        }
        let ordered = addresses.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return (ordered.map { EventSubscription(addresses: $1, events: $0.compactMap { events[$0] }) }, problems)
    }

    /// What stands for subscriptions in the shared state: each address with its events. Those to contracts that are not known beforehand
    /// have no place there.
    static func entries(of subscriptions: [EventSubscription]) -> [StateSnapshot.Entry] {
        var declarations: [Address: [String]] = [:]
        for subscription in subscriptions {
            guard case .at(let addresses) = subscription.contracts else { continue }
            let own = subscription.events.map(\.declaration)
            for address in addresses {
                declarations[address, default: []] += own.filter { !(declarations[address] ?? []).contains($0) }
            }
        }
        return declarations.map { StateSnapshot.Entry(member: $0.key.description, items: $0.value) }
    }

    /// Whether its contracts are named.
    var namesContracts: Bool { if case .at = contracts { true } else { false } }
}
