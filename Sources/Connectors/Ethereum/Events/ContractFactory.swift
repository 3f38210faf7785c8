public import SluiceChain
public import SluiceCore

extension SluiceError.Code {
    /// What was asked for of events does not fit together.
    public static let eventSubscription = SluiceError.Code("event_subscription")
}

/// A contract that makes others, and the event by which it tells their addresses.
public struct ContractFactory: Hashable, Sendable {
    public let address: Address
    public let event: ABIEvent
    /// The argument that holds the address of what was made.
    public let argument: String
    /// Its place among the arguments.
    let place: Int

    /// - Throws: `event_subscription` (class `config`) when the event has no such argument, or no way to read it.
    public init(address: Address, event: ABIEvent, argument: String) throws(SluiceError) {
        func refused(_ problem: String, _ mend: String) -> SluiceError {
            SluiceError(.eventSubscription, .config, "the factory \(address): \(event.signature) \(problem)", mend: mend)
        }
        guard event.statesIndexed else {
            throw refused(
                "does not tell which arguments are indexed", "write the whole declaration: event \(event.name)(address indexed ...)")
        }
        guard !event.isAnonymous else { throw refused("is anonymous", "name an event that is not, by which the factory tells the address") }
        let places = event.inputs.indices.filter { event.inputs[$0].name == argument }
        guard let place = places.first, places.count == 1 else {
            let names = event.inputs.map(\.name).filter { !$0.isEmpty }.joined(separator: ", ")
            throw refused(
                "has \(places.count) arguments called '\(argument)'",
                names.isEmpty ? "write the declaration with names" : "its names: \(names)")
        }
        guard event.inputs[place].type == .address else {
            throw refused("has '\(argument)' of type \(event.inputs[place].type.name)", "name an argument of type address")
        }
        self.address = address
        self.event = event
        self.argument = argument
        self.place = place
    }
}
