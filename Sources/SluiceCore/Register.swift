/// Rows that a register asks its oracle for.
public struct Need: Hashable, Sendable {
    /// A table that the oracle makes.
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

/// What kind of component makes a register.
public enum ComponentKind: String, Sendable {
    case oracle, pipe, aggregator
}

/// A named output that can be asked for. The one list of them makes graph, docs and `sluice registers`.
public struct Register: Sendable {
    public let name: String
    public let kind: ComponentKind
    public let doc: String
    /// Tables that come out.
    public let schemas: [Schema]
    /// Registers whose output this one reads.
    public let dependencies: [String]
    /// What its oracle must read for it.
    public let needs: [Need]
    /// Makes the component.
    public let makePipe: @Sendable () -> any Pipe

    public init(
        name: String, kind: ComponentKind, doc: String, schemas: [Schema], dependencies: [String], needs: [Need],
        makePipe: @escaping @Sendable () -> any Pipe
    ) {
        self.name = name
        self.kind = kind
        self.doc = doc
        self.schemas = schemas
        self.dependencies = dependencies
        self.needs = needs
        self.makePipe = makePipe
    }
}
