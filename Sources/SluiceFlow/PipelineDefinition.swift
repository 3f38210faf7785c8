public import SluiceCore

extension SluiceError.Code {
    /// A range asks for blocks that are not there yet.
    public static let beyondHead = SluiceError.Code("beyond_head")
    /// A pipeline begins behind the last block that it should read.
    static let beyondUntil = SluiceError.Code("beyond_until")
}

/// A pipeline as it is asked for: which registers of which chain, from where on.
public struct PipelineDefinition: Sendable {
    public let name: String
    public let chainID: UInt64
    /// What is asked for, as this pipeline has it: one that was told what to look at has narrower needs, and makes its component itself.
    public let registers: [Register]
    /// The first block; nil for the head.
    public let start: UInt64?

    /// Where its addressable components find their addresses.
    public let state: (any SharedState)?

    public init(name: String, chainID: UInt64, registers: [Register], start: UInt64?, state: (any SharedState)? = nil) {
        self.state = state
        self.name = name
        self.chainID = chainID
        self.registers = registers
        self.start = start
    }

    /// The same pipeline with some of its registers in the place of those of their names.
    func with(_ own: [Register]) -> PipelineDefinition {
        PipelineDefinition(
            name: name, chainID: chainID, registers: registers.map { register in own.first { $0.name == register.name } ?? register },
            start: start, state: state)
    }

    /// What a component is given when it is made.
    func context(_ findings: [Finding]) -> ComponentContext { ComponentContext(pipeline: name, state: state, findings: findings) }

    /// The tables that come out, each once.
    public var schemas: [Schema] {
        registers.flatMap(\.schemas).reduce(into: []) { all, schema in
            if !all.contains(where: { $0.name == schema.name }) { all.append(schema) }
        }
    }
}
