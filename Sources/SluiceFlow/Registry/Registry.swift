public import SluiceCore

/// Provisional: all registers, and the order in which their components run.
public struct Registry: Sendable {
    private let registers: [String: Register]
    private let places: [String: Int]

    public init(_ registers: [Register]) throws {
        self.registers = Dictionary(registers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        places = Dictionary(registers.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    }

    /// The registers and all that they depend on, in the order in which their components run.
    public func components(of wanted: [Register]) throws -> [Register] {
        var found: [String: Register] = [:]
        func visit(_ register: Register) {
            guard found[register.name] == nil else { return }
            found[register.name] = register
            for name in register.dependencies { if let next = registers[name] { visit(next) } }
        }
        for register in wanted { visit(register) }
        return found.values.sorted { order($0.name) < order($1.name) }
    }

    /// The place of a register in that order.
    public func order(_ name: String) -> Int { places[name] ?? .max }
}
