/// Rows that a register reads out of what its dependencies make. What comes from the oracle the oracle must fetch.
public struct Need: Hashable, Sendable {
    /// A table that a dependency makes; for an oracle register, one of its own.
    public let table: String
    /// For logs: the first topics that are wanted; empty for all rows.
    public let topics: [Hash32]
    /// For logs: the contracts that are wanted, 20 bytes each; empty for all.
    public let addresses: [[UInt8]]

    public init(_ table: String, topics: [Hash32] = [], addresses: [[UInt8]] = []) {
        self.table = table
        self.topics = topics
        self.addresses = addresses
    }
}

/// A named output that can be asked for. The one list of them makes graph, docs and `sluice registers`.
public struct Register: Sendable {
    /// How the component is made. There is a case for each kind that can be asked for.
    public enum Maker: Sendable {
        /// The tables come out of the reader itself; the pipe picks them from what was read.
        case oracle(@Sendable () -> any Pipe)
        /// A pipe over what the dependencies make.
        case pipe(@Sendable (ComponentContext) throws -> any Pipe)
    }

    public let name: String
    /// What identifiers call it.
    public let number: RegisterType
    public let doc: String
    /// Tables that come out: the data type.
    public let schemas: [Schema]
    /// Registers whose output this one reads, in order; the first one leads to the oracle that identifies a pipeline.
    public let dependencies: [String]
    /// What it reads of them.
    public let needs: [Need]
    /// Whether it must be told what to look at, such as the addresses whose balances are wanted.
    public let isAddressed: Bool
    /// Where the shared state holds what it is told.
    public let stateKey: StateKeyShape?
    /// Whether its component learns from blocks what it must know again after a restart. For addressed registers.
    public let keepsFindings: Bool
    /// Makes the component.
    public let maker: Maker

    public init(
        name: String, number: RegisterType, doc: String, schemas: [Schema], dependencies: [String] = [], needs: [Need] = [],
        isAddressed: Bool = false, stateKey: StateKeyShape? = nil, keepsFindings: Bool = false, maker: Maker
    ) {
        self.name = name
        self.number = number
        self.doc = doc
        self.schemas = schemas
        self.dependencies = dependencies
        self.needs = needs
        self.isAddressed = isAddressed
        self.stateKey = stateKey
        self.keepsFindings = keepsFindings
        self.maker = maker
    }

    /// What kind of component makes it.
    public var kind: ComponentKind {
        switch maker {
        case .oracle: .oracle
        case .pipe: .pipe
        }
    }

    /// Makes the pipe that turns what was read into its tables. Throws what a pipe throws that does not find in `context` what it needs.
    public func makePipe(_ context: ComponentContext) throws -> any Pipe {
        switch maker {
        case .oracle(let make): make()
        case .pipe(let make): try make(context)
        }
    }
}
