import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceStore

extension Command {
    private static let register = Option("--register", "R", "of which register, where the pipeline has several that take addresses")
    private static let event = Option(
        "--event", "E", "for event_log: an event, as a declaration; may be repeated", isRepeatable: true)

    static let addressList = Command(
        name: "addresses list", summary: "list the addresses that pipelines look at", usage: "[-c FILE] [PIPELINE] [--json]",
        options: [.config, .json], operands: 0...1,
        examples: ["sluice addresses list -c sluice.yaml", "sluice addresses list -c sluice.yaml wallets --json"]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let chosen = try arguments.operands.map { try Addresses.pipeline($0, configuration) }
        let sets = (chosen.isEmpty ? configuration.pipelines : chosen).flatMap(AddressSet.all)
        // Reading takes nobody's place: also while a run works on the state file.
        let held = try await Addresses.using(configuration, arguments, StateStore.openReadOnly) { state in
            var held: [(AddressSet, StateSnapshot)] = []
            for set in sets { held.append((set, try await state.snapshot(of: set.key))) }
            return held
        }
        Output.line(
            arguments.has("--json")
                ? JSON.members(["sets": .array(held.map { $0.json($1) })]).pretty()
                : held.isEmpty
                    ? "no pipeline asks for a register that takes addresses"
                    : held.flatMap { $0.lines($1, Output.outputStyle) }.joined(separator: "\n"))
        return .success
    }

    static let addressAdd = Command(
        name: "addresses add", summary: "let a pipeline look at more addresses, from its next block on",
        usage: "[-c FILE] PIPELINE ADDRESS... [--event E]... [--register R]", options: [.config, event, register, .logLevel],
        operands: 2...10_000,
        examples: [
            "sluice addresses add -c sluice.yaml wallets 0x52908400098527886e0f7030069857d2e4169ee7",
            "sluice addresses add -c sluice.yaml tokens 0x52908400098527886e0f7030069857d2e4169ee7 --event \"event Approval(address indexed owner, address indexed spender, uint256 value)\"",
        ]
    ) { arguments in
        try await Addresses.change(arguments) { set, entries in
            if set.shape.isNested, entries.contains(where: \.items.isEmpty) {
                throw UsageError(
                    "which events of them? \(set.register.name) needs --event",
                    help: "for example --event \"event Paused(address account)\"")
            }
            return .exchange(removing: [], adding: entries, key: set.key)
        }
    }

    static let addressRemove = Command(
        name: "addresses remove", summary: "let a pipeline look at addresses, or some of their events, no more",
        usage: "[-c FILE] PIPELINE ADDRESS... [--event E]... [--register R]", options: [.config, event, register, .logLevel],
        operands: 2...10_000, examples: ["sluice addresses remove -c sluice.yaml wallets 0x52908400098527886e0f7030069857d2e4169ee7"]
    ) { arguments in
        try await Addresses.change(arguments) { set, entries in
            entries.contains { !$0.items.isEmpty }
                ? .exchange(removing: entries, adding: [], key: set.key) : .remove(entries.map(\.member), key: set.key)
        }
    }
}

/// The addresses of one register of a pipeline, as the shared state holds them.
private struct AddressSet {
    let pipeline: String
    let register: Register
    let shape: StateKeyShape

    var key: StateKey { shape.key(of: pipeline) }

    static func all(of pipeline: PipelineSettings) -> [AddressSet] {
        Catalog.registers(of: pipeline).compactMap { register in
            guard register.tell != nil, let shape = register.stateKey else { return nil }
            return AddressSet(pipeline: pipeline.name, register: register, shape: shape)
        }
    }

    func lines(_ held: StateSnapshot, _ style: Style) -> [String] {
        let problems = register.tell?(pipeline, held).problems ?? []
        return [
            "\(style.bold(Visible.safe(pipeline)))  "
                + style.dim("\(register.name), \(Amount.count(UInt64(held.entries.count), "address", plural: "addresses"))")
        ]
            + held.entries.flatMap { ["  \(Visible.safe($0.member))"] + $0.items.map { "    \(Visible.safe($0))" } }
            + problems.map { "  cannot be used: \(Visible.safe($0))" }
    }

    func json(_ held: StateSnapshot) -> JSON {
        .members([
            "pipeline": .string(pipeline), "register": .string(register.name), "key": .string("\(key)"),
            "addresses": .array(
                held.entries.map { .members(["address": .string($0.member), "events": .array($0.items.map { .string($0) })]) }),
        ])
    }
}

/// What the commands on addresses have in common.
private enum Addresses {
    static func pipeline(_ name: String, _ configuration: SluiceConfiguration) throws -> PipelineSettings {
        if let pipeline = configuration.pipelines.first(where: { $0.name == name }) { return pipeline }
        throw UsageError(
            "no pipeline is called \(name)", suggestion: Spelling.nearest(to: name, in: configuration.pipelines.map(\.name)))
    }

    /// Changes the addresses of one register of a pipeline, after everything that was given has been understood.
    static func change(
        _ arguments: Arguments, _ change: (AddressSet, [StateSnapshot.Entry]) throws -> StateChange
    ) async throws -> ExitCode {
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let events = arguments.strings("--event")
        let set = try chosen(arguments, try pipeline(arguments.operands[0], configuration), hasEvents: !events.isEmpty)
        let given = arguments.operands.dropFirst().map { StateSnapshot.Entry(member: $0, items: events) }
        let entries = try understood(given, by: set)
        let change = try change(set, entries)
        let count = try await using(configuration, arguments, { try await opened($0) }) { state in
            try await state.apply(change)
            return try await state.snapshot(of: set.key).entries.count
        }
        Output.line("\(set.pipeline) looks at \(Amount.count(UInt64(count), "address", plural: "addresses")) for \(set.register.name) now")
        return .success
    }

    /// The register that is meant: the one that takes what was given, where the pipeline has several.
    private static func chosen(_ arguments: Arguments, _ pipeline: PipelineSettings, hasEvents: Bool) throws -> AddressSet {
        let all = AddressSet.all(of: pipeline)
        let names = all.map(\.register.name)
        guard !all.isEmpty else { throw UsageError("the pipeline \(pipeline.name) asks for no register that takes addresses") }
        if let name = arguments.string("--register") {
            guard let set = all.first(where: { $0.register.name == name }) else {
                throw UsageError(
                    "the pipeline \(pipeline.name) has no register \(name) that takes addresses",
                    suggestion: Spelling.nearest(to: name, in: names))
            }
            guard set.shape.isNested || !hasEvents else { throw UsageError("--event is nothing for \(name)") }
            return set
        }
        let fitting = all.filter { $0.shape.isNested || !hasEvents }
        guard let set = fitting.first else { throw UsageError("--event is nothing for \(names.joined(separator: ", "))") }
        guard fitting.count == 1 else {
            throw UsageError("for which register? add --register, one of \(fitting.map(\.register.name).joined(separator: ", "))")
        }
        return set
    }

    /// As it is kept: one address, one way to write it.
    private static func understood(_ given: [StateSnapshot.Entry], by set: AddressSet) throws -> [StateSnapshot.Entry] {
        guard let told = set.register.tell?(set.pipeline, StateSnapshot(version: 0, entries: given)) else { return given }
        if let problem = told.problems.first { throw UsageError(problem) }
        // Addresses without events are not asked for, so that nothing is made of them.
        guard set.shape.isNested, given.contains(where: \.items.isEmpty) else { return told.understood }
        return given.map { StateSnapshot.Entry(member: $0.member.lowercased()) }
    }

    /// The state file, which only one process can change.
    private static func opened(_ path: String) async throws -> StateStore {
        do { return try await StateStore.open(path) } catch let error as SluiceError where error.code == .storeLocked {
            throw SluiceError(
                error.code, error.class, error.message,
                mend: "stop that process first, or let it share its addresses: shared_state.redis in the configuration")
        }
    }

    static func using<R>(
        _ configuration: SluiceConfiguration, _ arguments: Arguments, _ open: (String) async throws -> StateStore,
        _ body: (any SharedState) async throws -> R
    ) async throws -> R {
        var store: StateStore?
        let opened = try await Catalog.state(of: configuration, log: try Logging.log(arguments)) {
            let file = try await open(configuration.state)
            store = file
            return try await StoredState.open(file)
        }
        do {
            let result = try await body(opened.state)
            await opened.close()
            await store?.close()
            return result
        } catch {
            await opened.close()
            await store?.close()
            throw error
        }
    }
}
