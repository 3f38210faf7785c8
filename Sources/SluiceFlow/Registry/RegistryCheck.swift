import SluiceConfig
import SluiceCore

/// Looks for everything that is wrong in a list of registers, so that its author sees all of it at once.
struct RegistryCheck {
    private let registers: [Register]
    /// The first register of each name.
    private let byName: [String: Register]
    private var problems: [RegistryProblem] = []
    /// From the register that is asked for to the one that is looked at.
    private var path: [String] = []
    private var done: Set<String> = []

    /// The problems in the order in which they are met; none when the registers fit together.
    static func problems(in registers: [Register]) -> [RegistryProblem] {
        var check = RegistryCheck(registers)
        check.names()
        check.numbers()
        check.tables()
        check.walk()
        return check.problems
    }

    private init(_ registers: [Register]) {
        self.registers = registers
        byName = Dictionary(registers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private mutating func report(_ kind: RegistryProblem.Kind, _ path: [String], _ message: String) {
        problems.append(RegistryProblem(kind: kind, path: path, message: message))
    }

    // MARK: - What each must be beside the others

    private mutating func names() {
        var seen: Set<String> = []
        for register in registers {
            // Other characters separate names in identifiers and in keys of the shared state.
            let isPlain = register.name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") }
            if register.name.isEmpty || !isPlain {
                report(.badName, [register.name], "a name consists of lower-case letters, digits and _")
            }
            if !seen.insert(register.name).inserted { report(.duplicateName, [register.name], "there are two registers of this name") }
        }
    }

    private mutating func numbers() {
        var owners: [RegisterType: String] = [:]
        for register in registers {
            let number = register.number
            if number == .unknown {
                report(.badNumber, [register.name], "number 0 stands for no register")
            } else if let name = number.name, name != register.name {
                report(.badNumber, [register.name], "number \(number.rawValue) is that of \(name)")
            }
            guard number != .unknown, let owner = owners.updateValue(register.name, forKey: number), owner != register.name else {
                continue
            }
            report(.duplicateNumber, [register.name], "number \(number.rawValue) is taken by \(owner)")
        }
    }

    /// A table of one name is one table in a store, whichever register made it.
    private mutating func tables() {
        var makers: [String: (register: String, schema: Schema)] = [:]
        for register in registers {
            for schema in register.schemas {
                if let other = makers[schema.name], !Self.areAlike(other.schema, schema) {
                    report(
                        .conflictingTable, [register.name],
                        "makes the table \(schema.name) with another key or other columns than \(other.register)")
                } else {
                    makers[schema.name] = (register.name, schema)
                }
            }
        }
    }

    private static func areAlike(_ a: Schema, _ b: Schema) -> Bool {
        a.key == b.key && a.fields.count == b.fields.count
            && zip(a.fields, b.fields).allSatisfy { $0.name == $1.name && $0.type == $1.type && $0.nullable == $1.nullable }
    }

    // MARK: - What each must find below it

    /// Depth first from what nobody depends on, so that each fault is reported once, with a path from the top to it.
    private mutating func walk() {
        let below = Set(registers.flatMap(\.dependencies))
        for register in registers where !below.contains(register.name) { visit(register) }
        // What is left hangs together in cycles.
        for register in registers { visit(register) }
    }

    private mutating func visit(_ register: Register) {
        guard !done.contains(register.name) else { return }
        path.append(register.name)
        kind(register)
        addressing(register)
        var seen: Set<String> = []
        for dependency in register.dependencies {
            if !seen.insert(dependency).inserted {
                report(.repeatedDependency, path + [dependency], "\(register.name) depends on \(dependency) twice")
            } else if let start = path.firstIndex(of: dependency) {
                report(.cycle, path[start...] + [dependency], "a register cannot depend on itself")
            } else if let next = byName[dependency] {
                visit(next)
            } else {
                let near = Spelling.nearest(to: dependency, in: registers.map(\.name).filter { $0 != register.name })
                let guess = near.map { "; did you mean \"\($0)\"?" } ?? ""
                report(.missingDependency, path + [dependency], "no register \(dependency)\(guess)")
            }
        }
        needs(register)
        path.removeLast()
        done.insert(register.name)
    }

    private mutating func kind(_ register: Register) {
        switch register.maker {
        case .oracle:
            guard let first = register.dependencies.first else { return }
            report(.oracleWithDependency, path + [first], "the oracle \(register.name) reads a network, not another register")
        case .pipe, .aggregator:
            guard register.dependencies.isEmpty else { return }
            report(.pipeWithoutDependency, path, "the \(register.kind) \(register.name) depends on nothing, so that nothing flows into it")
        }
    }

    private mutating func addressing(_ register: Register) {
        switch (register.isAddressed, register.stateKey) {
        case (true, nil): report(.addressing, path, "\(register.name) is addressed, but has no state key under which to find addresses")
        case (false, let key?): report(.addressing, path, "\(register.name) has the state key \(key), but is not addressed")
        default: break
        }
        // One component for all pipelines could not tell whose addresses it is given.
        guard !register.isAddressed else { return }
        for dependency in register.dependencies where byName[dependency]?.isAddressed ?? false {
            report(
                .addressing, path + [dependency],
                "\(register.name) reads \(dependency), which is addressed, and is not addressed itself")
        }
    }

    private mutating func needs(_ register: Register) {
        let sources = register.kind == .oracle ? [register] : register.dependencies.compactMap { byName[$0] }
        // What a missing dependency would have made cannot be known: that it is missing is said already.
        guard register.kind == .oracle || sources.count == register.dependencies.count, !sources.isEmpty else { return }
        for need in register.needs where !sources.contains(where: { $0.schemas.contains { $0.name == need.table } }) {
            let made = sources.map { "\($0.name) makes \($0.schemas.map(\.name).joined(separator: ", "))" }.joined(separator: "; ")
            report(.missingTable, path, "\(register.name) needs the table \(need.table), but \(made)")
        }
    }
}
