import SluiceChain
public import SluiceCore

extension [EventSubscription] {
    /// What shared state asks for: addresses, each with the signatures of the events that are wanted of it. Signatures are declarations or
    /// bare; an address without any asks for nothing. Addresses that want the same come together.
    /// - Throws: `event_subscription` (class `config`) that names every address and signature that cannot be read.
    public init(_ nested: [String: [String]]) throws(SluiceError) {
        var addresses: [[String]: Set<Address>] = [:]
        var events: [String: ABIEvent] = [:]
        var problems: [String] = []
        for (member, signatures) in nested.sorted(by: { $0.key < $1.key }) {
            guard let address = Address(hex: member) else {
                problems.append("'\(member.prefix(80))' is no address (0x and 40 hex digits)")
                continue
            }
            for text in signatures where events[text] == nil {
                do {
                    events[text] = try ABIEvent(text)
                } catch { problems.append("\(address): \(error)") }
            }
            addresses[signatures, default: []].insert(address)
        }
        if let first = problems.first {
            let shown = problems.count == 1 ? first : "\(problems.count) entries cannot be read: " + problems.joined(separator: "; ")
            throw SluiceError(.eventSubscription, .config, "the events asked for: \(shown)", mend: "correct or remove them")
        }
        self = addresses.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { signatures, set in
            EventSubscription(addresses: set, events: signatures.compactMap { events[$0] })
        }
    }
}
