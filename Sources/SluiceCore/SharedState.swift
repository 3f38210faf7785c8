/// What a pipeline keeps under one key in the shared state: for an addressable register, the addresses it is asked about.
public struct StateKey: Hashable, Sendable {
    /// The pipeline, as its PUUID prints, or a name that stands for all of them.
    public let pipeline: String
    /// The register that reads it, such as `account_balance`.
    public let prefix: String
    /// What is kept, such as `address`.
    public let id: String

    public init(pipeline: String, prefix: String, id: String) {
        self.pipeline = pipeline
        self.prefix = prefix
        self.id = id
    }
}

/// State that pipelines and the risk engine share: sets of members, each of which may have a set of its own (an address and the
/// signatures of the events that are wanted of it). Members are text; addresses are lower case with `0x`.
///
/// A change is durable when the call returns. Readers in other tasks and, where the store is shared, in other processes see it
/// afterwards.
public protocol SharedState: Sendable {
    /// The members of a set in ascending order; empty when there is none.
    func members(of key: StateKey) async throws -> [String]
    /// The members of the set that belongs to one member, in ascending order.
    func members(of key: StateKey, under member: String) async throws -> [String]
    /// All members with their own sets.
    func nested(_ key: StateKey) async throws -> [String: [String]]
    /// Replaces the whole set, and what its members had.
    func set(_ members: [String], of key: StateKey) async throws
    /// Adds members; those that are there already stay.
    func insert(_ members: [String], into key: StateKey) async throws
    /// Adds members under a member, which is added itself when it is not there.
    func insert(_ members: [String], into key: StateKey, under member: String) async throws
    /// Removes members, and what belongs to them.
    func remove(_ members: [String], from key: StateKey) async throws
    /// Removes members from under a member; the member itself stays.
    func remove(_ members: [String], from key: StateKey, under member: String) async throws
    /// Removes everything under the key.
    func delete(_ key: StateKey) async throws
    /// Removes everything that a pipeline keeps.
    func delete(pipeline: String) async throws
    /// Joins what one pipeline keeps into what another keeps, and removes the former: in one step.
    func merge(pipeline: String, into other: String) async throws
    /// A number that grows with every change of a key, so that a reader knows whether to read again.
    func version(of key: StateKey) async throws -> UInt64
}
