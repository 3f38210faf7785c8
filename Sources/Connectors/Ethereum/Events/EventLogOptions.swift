import SluiceChain
public import SluiceConfig
import SluiceCore

/// What a pipeline tells the register `event_log`: its key `events`.
public enum EventLogOptions {
    public static let options = RegisterOptions(EventLogRegister.name, field) { value, environment, report in
        var reader = EventLogOptionsReader(environment)
        let subscriptions = (value.list ?? []).enumerated().compactMap { index, item in
            item.object.flatMap { reader.subscription($0, "[\(index)]") }
        }
        for problem in reader.problems { report(problem) }
        guard reader.problems.isEmpty else { return nil }
        return ConfiguredRegister(
            EventLogRegister.register(subscriptions.filter { !$0.namesContracts }), entries: EventSubscription.entries(of: subscriptions),
            summary: subscriptions.isEmpty ? ["no event yet"] : subscriptions.flatMap(\.summary))
    }

    static let field = FieldSpec(
        "events", .list(.object(subscription), count: 0...1000),
        "For the register `event_log`: which events of which contracts are wanted. More can be asked for while it runs: see `sluice addresses`.",
        example: "[{ address: \"0x...\", events: [\"event Transfer(address indexed from, address indexed to, uint256 value)\"] }]")

    private static let subscription = ObjectSpec(
        "Events of one or several contracts. One of `address`, `addresses` and `factory` says of which, `events` or `abi` (or both) says what.",
        [
            FieldSpec("address", .string, "The contract.", example: "\"0x...\""),
            FieldSpec("addresses", .list(.string, count: 1...100_000), "Several contracts.", example: "[\"0x...\", \"0x...\"]"),
            FieldSpec(
                "factory", .object(factory), "The contracts that another one makes, from the log on in which it tells their address."),
            FieldSpec(
                "events", .list(.string, count: 1...1000),
                "Events as Solidity declares them. A bare signature, `Transfer(address,address,uint256)`, does not tell which arguments are topics.",
                example: "[\"event Transfer(address indexed from, address indexed to, uint256 value)\"]"),
            FieldSpec(
                "abi", .path, "A JSON ABI, or what a build tool wraps around one; all its events are wanted.", example: "abi/pair.json"),
            FieldSpec(
                "names", .list(.string, count: 1...1000), "Of the ABI only these events, by name or signature.", example: "[Swap, Sync]"),
        ])

    private static let factory = ObjectSpec(
        "A contract that makes others, and how it tells.",
        [
            FieldSpec("address", .string, "The factory.", example: "\"0x...\"", required: true),
            FieldSpec(
                "event", .string, "The declaration of its event, with names.",
                example: "\"event PairCreated(address indexed token0, address indexed token1, address pair, uint256)\"", required: true),
            FieldSpec("argument", .string, "The argument that is the new contract's address.", example: "pair", required: true),
        ])
}

/// Reads subscriptions and collects all that is wrong with them.
private struct EventLogOptionsReader {
    private let environment: ConfigEnvironment
    private(set) var problems: [OptionProblem] = []

    init(_ environment: ConfigEnvironment) { self.environment = environment }

    private mutating func report(_ mark: SourceMark, _ path: String, _ message: String, _ suggestion: String?) {
        problems.append(OptionProblem(mark, path, message, suggestion))
    }

    mutating func subscription(_ object: ConfigObject, _ path: String) -> EventSubscription? {
        let kinds = ["address", "addresses", "factory"].filter(object.has)
        if kinds.isEmpty { report(object.mark, path, "it is not said of which contracts", "add address, addresses or factory") }
        if let extra = kinds.dropFirst().first, let value = object.value(extra) {
            report(value.mark, "\(path).\(extra)", "there is \"\(kinds[0])\" already", "give each its own entry of the list")
        }
        let contracts = contracts(object, path)
        let events = events(object, path)
        guard let contracts, kinds.count == 1, !events.isEmpty else { return nil }
        // An address and its events are kept as text in the shared state.
        if let event = events.first(where: { (try? ABIEvent($0.declaration)) != $0 }) {
            report(
                object.mark, path, "the event \(event.signature) has arguments with names that no contract can declare",
                "correct the ABI, or write the declaration as an event")
        }
        do { return try EventSubscription(contracts, events: events) } catch {
            report(object.mark, path, error.message, error.mend)
            return nil
        }
    }

    // MARK: - Contracts

    private mutating func contracts(_ object: ConfigObject, _ path: String) -> EventSubscription.Contracts? {
        if let value = object.value("address") { return address(value, "\(path).address").map { .at([$0]) } }
        if let list = object.value("addresses")?.list {
            return .at(Set(list.enumerated().compactMap { address($0.element, "\(path).addresses[\($0.offset)]") }))
        }
        return object.object(ifSet: "factory").flatMap { factory($0, "\(path).factory") }.map { .made(by: $0) }
    }

    private mutating func address(_ value: ConfigValue, _ path: String) -> Address? {
        var found: [OptionProblem] = []
        defer { problems += found }
        return OptionAddress.read(value, path) { found.append($0) }
    }

    private mutating func factory(_ object: ConfigObject, _ path: String) -> ContractFactory? {
        guard let at = object.value("address"), let declared = object.value("event"), let argument = object.value("argument") else {
            return nil
        }
        let address = address(at, "\(path).address")
        guard let event = event(declared, "\(path).event"), let address else { return nil }
        do { return try ContractFactory(address: address, event: event, argument: argument.string ?? "") } catch {
            // An event that cannot be used is at fault itself, else what was said of its arguments.
            let isEvent = event.isAnonymous || !event.statesIndexed
            report(isEvent ? declared.mark : argument.mark, path + (isEvent ? ".event" : ".argument"), error.message, error.mend)
            return nil
        }
    }

    // MARK: - Events

    private mutating func events(_ object: ConfigObject, _ path: String) -> [ABIEvent] {
        let listed = object.value("events")?.list
        var events = (listed ?? []).enumerated().compactMap { event($0.element, "\(path).events[\($0.offset)]") }
        if let file = object.value("abi") {
            events += abi(file, object.value("names")?.list, path).filter { !events.contains($0) }
        } else if let names = object.value("names") {
            report(
                names.mark, "\(path).names", "there is no \"abi\" of which these could be", "add abi, or write the declarations as events")
        } else if listed == nil {
            report(object.mark, path, "it is not said which events", "add events or abi")
        }
        return events
    }

    private mutating func event(_ value: ConfigValue, _ path: String) -> ABIEvent? {
        do { return try ABIEvent(value.string ?? "") } catch {
            report(value.mark, path, error.message, error.mend)
            return nil
        }
    }

    /// The events of an ABI file, or those of some names.
    private mutating func abi(_ file: ConfigValue, _ names: [ConfigValue]?, _ path: String) -> [ABIEvent] {
        let events: [ABIEvent]
        do throws(SluiceError) {
            events = try ABIEvent.events(json: try environment.file(file.string ?? ""))
        } catch {
            let what = error.code == .unreadableFile ? "cannot read the ABI: " : "cannot use the ABI: "
            report(file.mark, "\(path).abi", what + error.message, error.mend ?? "paths are relative to the working directory")
            return []
        }
        if events.isEmpty { report(file.mark, "\(path).abi", "the ABI has no events", "write the declarations as events instead") }
        guard let names else { return events }
        var chosen: [ABIEvent] = []
        for (index, value) in names.enumerated() {
            let own = events.filter { $0.name == value.string || $0.signature == value.string }
            if own.isEmpty, !events.isEmpty {
                let near = Spelling.nearest(to: value.string ?? "", in: events.map(\.name)).map { "did you mean \"\($0)\"?" }
                let list = "it has " + Set(events.map(\.name)).sorted().joined(separator: ", ")
                report(value.mark, "\(path).names[\(index)]", "the ABI has no such event", near ?? list)
            }
            chosen += own.filter { !chosen.contains($0) }
        }
        return chosen
    }
}

extension EventSubscription {
    /// A line for each event.
    fileprivate var summary: [String] {
        let whose: String
        switch contracts {
        case .any: whose = "of every contract"
        case .at(let set): whose = "of " + OptionAddress.list(set.map(\.description).sorted())
        case .made(let factory): whose = "of what \(factory.address) makes (\(factory.event.signature), \(factory.argument))"
        }
        return events.map { "\($0.signature) \(whose)" }
    }
}
