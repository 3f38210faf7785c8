/// Rows that a register reads out of what its dependencies make. What comes from the oracle the oracle must fetch.
public struct Need: Hashable, Sendable {
    /// A table that a dependency makes; for an oracle register, one of its own.
    public let table: String
    /// For logs: the first topics that are wanted; empty for all rows.
    public let topics: [Hash32]
    /// For logs: the contracts that are wanted, 20 bytes each; empty for all.
    public let addresses: [[UInt8]]
    /// For what is looked up at some blocks alone: for whom, and at which.
    public let sample: Sample?

    public init(_ table: String, topics: [Hash32] = [], addresses: [[UInt8]] = [], sample: Sample? = nil) {
        self.table = table
        self.topics = topics
        self.addresses = addresses
        self.sample = sample
    }
}

/// What is looked up at some blocks for each member of a set, such as the balances of addresses.
public struct Sample: Hashable, Sendable {
    /// The pipeline that asks: several may share one reading, and each is given its own.
    public let pipeline: String
    /// As the shared state holds them.
    public let members: [String]
    /// Blocks from one sample to the next.
    public let interval: UInt64
    /// Whether a sample of history may be left out that no upstream can give any more; else it is an error.
    public let mayLack: Bool

    public init(pipeline: String, members: [String], interval: UInt64, mayLack: Bool) {
        self.pipeline = pipeline
        self.members = members
        self.interval = interval
        self.mayLack = mayLack
    }
}

/// A register that was told what the shared state holds for it.
public struct ToldRegister: Sendable {
    /// Of the same name and tables, with needs and maker of its own.
    public let register: Register
    /// What it understood, as it should be written in the shared state: the same in one form only.
    public let understood: [StateSnapshot.Entry]
    /// What of it could not be used, and is left out: a line each.
    public let problems: [String]

    public init(_ register: Register, understood: [StateSnapshot.Entry], problems: [String] = []) {
        self.register = register
        self.understood = understood
        self.problems = problems
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
        /// A component over several streams, each of which brings what the dependencies make, of a network of its own or of the same.
        case aggregator(@Sendable ([AggregatedStream], SynchronizationPolicy) throws -> any Aggregator)
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
    /// Tells it what a pipeline's key holds now; nil for registers that do not look there. What comes out can be told again.
    public let tell: Tell?

    /// From the pipeline and what its key holds to the register as it is for that pipeline.
    public typealias Tell = @Sendable (_ pipeline: String, _ held: StateSnapshot) -> ToldRegister

    public init(
        name: String, number: RegisterType, doc: String, schemas: [Schema], dependencies: [String] = [], needs: [Need] = [],
        isAddressed: Bool = false, stateKey: StateKeyShape? = nil, keepsFindings: Bool = false, tell: Tell? = nil, maker: Maker
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
        self.tell = tell
        self.maker = maker
    }

    /// What kind of component makes it.
    public var kind: ComponentKind {
        switch maker {
        case .oracle: .oracle
        case .pipe: .pipe
        case .aggregator: .aggregator
        }
    }

    /// Makes the pipe that turns what was read into its tables. Throws what a pipe throws that does not find in `context` what it needs, and
    /// for an aggregator, which is no pipe.
    public func makePipe(_ context: ComponentContext) throws -> any Pipe {
        switch maker {
        case .oracle(let make): return make()
        case .pipe(let make): return try make(context)
        case .aggregator:
            throw SluiceError(
                .wrongComponent, .config, "the register \(name) combines several streams, and cannot be asked of a network alone",
                mend: "name its streams under `streams:`")
        }
    }

    /// Makes the aggregator of some streams. Throws what the aggregator throws that cannot work with them, and for a register of another kind.
    public func makeAggregator(_ streams: [AggregatedStream], _ policy: SynchronizationPolicy) throws -> any Aggregator {
        guard case .aggregator(let make) = maker else {
            throw SluiceError(
                .wrongComponent, .config, "the register \(name) is made of one network, and combines nothing",
                mend: "name the network under `network:` in the place of `streams:`")
        }
        return try make(streams, policy)
    }
}

/// One of the streams that an aggregator combines.
public struct AggregatedStream: Hashable, Sendable {
    /// What the configuration calls its network.
    public let network: String
    public let chainID: UInt64

    public init(network: String, chainID: UInt64) {
        self.network = network
        self.chainID = chainID
    }
}

extension SluiceError.Code {
    /// A register is asked for as what it is not.
    public static let wrongComponent = Self("wrong_component")
}
