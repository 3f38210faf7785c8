/// A store that several processes can keep their shared state in, as a configuration names it: a key below `shared_state`.
public struct SharedStateOptions: Sendable {
    public let name: String
    public let doc: String
    public let spec: ObjectSpec
    /// What is wrong in options that passed their spec; paths are those below the key.
    public let check: @Sendable (ConfigObject) -> [OptionProblem]

    public init(_ name: String, _ doc: String, _ spec: ObjectSpec, check: @escaping @Sendable (ConfigObject) -> [OptionProblem]) {
        self.name = name
        self.doc = doc
        self.spec = spec
        self.check = check
    }
}

/// Where the shared state is kept, when not in the state file.
public struct SharedStateSettings: Sendable {
    /// The store's key, such as `redis`.
    public let store: String
    /// What the connector's own spec declares.
    public let options: ConfigObject
}

extension SharedStateSettings {
    /// Out of the root; nil when nothing is said. Reports what is wrong with it.
    static func check(_ root: ConfigObject, _ catalog: ConfigCatalog, _ decoder: inout SpecDecoder) {
        guard let object = root.object(ifSet: "shared_state") else { return }
        let chosen = catalog.sharedStates.filter { object.has($0.name) }
        if let extra = chosen.dropFirst().first, let value = object.value(extra.name) {
            decoder.report(
                value.mark, "shared_state.\(extra.name)", "there is \"\(chosen[0].name)\" already", "keep the shared state in one place")
        }
        for store in chosen {
            guard let options = object.object(ifSet: store.name), options.isWhole(store.spec) else { continue }
            for problem in store.check(options) {
                decoder.report(problem.mark, "shared_state.\(store.name)\(problem.path)", problem.message, problem.suggestion)
            }
        }
    }

    /// Out of a root without problems.
    init?(_ root: ConfigObject, _ catalog: ConfigCatalog) {
        guard let object = root.object(ifSet: "shared_state"),
            let store = catalog.sharedStates.first(where: { object.has($0.name) }), let options = object.object(ifSet: store.name)
        else { return nil }
        self.init(store: store.name, options: options)
    }
}
