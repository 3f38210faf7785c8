import SluiceConfig
public import SluiceCore

extension SluiceError.Code {
    /// Registers do not fit together.
    public static let invalidRegistry = SluiceError.Code("invalid_registry")
    /// A register must be told something, and is only asked for by way of another one.
    public static let registerNotAsked = SluiceError.Code("register_not_asked")
    /// No register has that name.
    public static let unknownRegister = SluiceError.Code("unknown_register")
}

/// All registers, known to fit together: what each reads is there, nothing reads itself, and every path ends in an oracle. Pure.
public struct Registry: Sendable {
    /// In the order in which they were listed.
    public let registers: [Register]
    private let byName: [String: Register]

    /// - Throws: `invalid_registry` (class `config`) with all problems that were found.
    public init(_ registers: [Register]) throws(SluiceError) {
        let problems = Self.problems(in: registers)
        guard problems.isEmpty else {
            let count = problems.count == 1 ? "a problem" : "\(problems.count) problems"
            throw SluiceError(
                .invalidRegistry, .config,
                "the registers do not fit together, \(count):\n" + problems.map { "  \($0)" }.joined(separator: "\n"))
        }
        self.registers = registers
        byName = Dictionary(registers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The same, with some registers as one pipeline has them in the place of those of their names. They read and make the same.
    public func with(_ own: [Register]) -> Registry {
        Registry(replacing: Dictionary(own.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }), in: self)
    }

    private init(replacing own: [String: Register], in registry: Registry) {
        registers = registry.registers.map { own[$0.name] ?? $0 }
        byName = registry.byName.merging(own) { _, own in own }
    }

    /// What oracles must read so that some pipelines can be fed: what each needs of its own registers, each once.
    func needs(of definitions: [PipelineDefinition]) -> [Need] {
        var needs: [Need] = []
        for definition in definitions.sorted(by: { $0.name < $1.name }) {
            let own = try? with(definition.registers).needs(of: definition.registers.map(\.name).sorted())
            needs += (own ?? []).filter { !needs.contains($0) }
        }
        return needs
    }

    /// What is wrong in a list of registers; empty when a registry can be made of it.
    public static func problems(in registers: [Register]) -> [RegistryProblem] { RegistryCheck.problems(in: registers) }

    /// The register of a name.
    /// - Throws: `unknown_register` (class `config`), with what was probably meant.
    public func register(_ name: String) throws(SluiceError) -> Register {
        if let register = byName[name] { return register }
        let near = Spelling.nearest(to: name, in: registers.map(\.name)).map { "did you mean \"\($0)\"?" }
        throw SluiceError(
            .unknownRegister, .config, "no register \(name)",
            mend: near ?? "there is " + registers.map(\.name).sorted().joined(separator: ", "))
    }

    /// Everything that a register is made from, each once: the register itself first, each before all that it reads, and last the oracle
    /// that is reached over first dependencies alone.
    /// - Throws: `unknown_register`.
    public func path(of name: String) throws(SluiceError) -> [Register] {
        var seen: Set<String> = []
        var made: [Register] = []
        visit(try register(name), &seen, &made)
        return made.reversed()
    }

    /// What is needed comes before what needs it. There is no cycle, and no name without a register.
    private func visit(_ register: Register, _ seen: inout Set<String>, _ made: inout [Register]) {
        guard seen.insert(register.name).inserted else { return }
        for dependency in register.dependencies { byName[dependency].map { visit($0, &seen, &made) } }
        made.append(register)
    }

    /// What oracles must read so that some registers can be made: the needs of everything on their paths that an oracle meets. An oracle
    /// register counts only when it is asked for itself: as a dependency it makes no more than what is needed of it.
    /// - Throws: `unknown_register`.
    public func needs(of names: [String]) throws(SluiceError) -> [Need] {
        var needs: [Need] = []
        for name in names {
            let path = try path(of: name)
            let tables = Set(path.filter { $0.kind == .oracle }.flatMap(\.schemas).map(\.name))
            for register in path where register.kind != .oracle || register.name == name {
                needs += register.needs.filter { tables.contains($0.table) && !needs.contains($0) }
            }
        }
        return needs
    }

    /// Makes sure that every register that must be told what to look at is asked for itself: a pipeline tells those alone.
    /// - Throws: `register_not_asked` (class `config`); `unknown_register`.
    func checkTold(_ asked: [Register]) throws(SluiceError) {
        let registry = with(asked)
        for register in asked {
            for part in try registry.path(of: register.name) where part.tell != nil && !asked.contains(where: { $0.name == part.name }) {
                throw SluiceError(
                    .registerNotAsked, .config,
                    "\(register.name) is made of \(part.name), which must be told what to look at and is not asked for",
                    mend: "ask for \(part.name) as well")
            }
        }
    }

    // MARK: - Identity

    /// What the component of a register is called.
    /// - Throws: `unknown_register`.
    public func componentPID(of name: String, network: NetworkKind, type: PipelineType) throws(SluiceError) -> ComponentPID {
        let register = try register(name)
        return ComponentPID(network: network, pipelineType: type, kind: register.kind, register: register.number)
    }

    /// What the pipeline is called that delivers a register. Two pipelines of equal PID are perhaps the same: see `fingerprint`.
    /// - Throws: `unknown_register`.
    public func pipelinePID(of name: String, network: NetworkKind, type: PipelineType) throws(SluiceError) -> PipelinePID {
        let path = try path(of: name)
        return PipelinePID(
            type: type, first: try componentPID(of: name, network: network, type: type),
            last: try componentPID(of: path[path.count - 1].name, network: network, type: type))
    }

    /// A hash over the whole path of a register and over how it is set up. A PID tells neither what lies between the two ends nor
    /// which chain is read, so that an equal PID is a hint only: what two pipelines do is shared when this is equal as well.
    /// - Parameter configuration: every text that makes a difference, by what it is about: chain id, options of the components.
    /// - Throws: `unknown_register`.
    public func fingerprint(of name: String, configuration: [String: String] = [:]) throws(SluiceError) -> Fingerprint {
        var fingerprint = Fingerprint()
        let path = try path(of: name)
        fingerprint.add(path.count)
        for register in path {
            fingerprint.add(register.name)
            fingerprint.add(Int(register.number.rawValue))
            fingerprint.add(Int(register.kind.rawValue))
            fingerprint.add(register.dependencies.count)
            for dependency in register.dependencies { fingerprint.add(dependency) }
        }
        fingerprint.add(configuration.count)
        for (about, text) in configuration.sorted(by: { $0.key < $1.key }) {
            fingerprint.add(about)
            fingerprint.add(text)
        }
        return fingerprint
    }
}
