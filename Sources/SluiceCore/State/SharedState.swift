/// State that pipelines and the risk engine share: sets of members, each of which may have a set of its own (an address and the
/// signatures of the events that are wanted of it). Members are text; addresses are lower case with `0x`. They are the same when
/// their bytes are, and stand in the order of their bytes.
///
/// A change is durable when the call returns. Readers in other tasks and, where the store is shared, in other processes see it
/// afterwards. A key without members is as if it had never been.
public protocol SharedState: Sendable {
    /// What is kept under a key, all of it at one moment.
    func snapshot(of key: StateKey) async throws -> StateSnapshot
    /// A number that grows with every change of a key, so that a reader knows whether to read again. It may grow without one.
    func version(of key: StateKey) async throws -> UInt64
    /// The keys under which a pipeline keeps something, in the order of their bytes.
    func keys(of pipeline: String) async throws -> [StateKey]
    /// Makes a change, in one step.
    func apply(_ change: StateChange) async throws
}

extension SharedState {
    /// The members of a set in ascending order; empty when there is none.
    public func members(of key: StateKey) async throws -> [String] { try await snapshot(of: key).members }

    /// The members of the set that belongs to one member, in ascending order.
    public func members(of key: StateKey, under member: String) async throws -> [String] {
        try await snapshot(of: key).items(of: member)
    }

    /// Replaces the whole set, and what its members had.
    public func set(_ members: [String], of key: StateKey) async throws { try await apply(.set(members, key: key)) }

    /// Adds members; those that are there already stay.
    public func insert(_ members: [String], into key: StateKey) async throws { try await apply(.insert(members, key: key)) }

    /// Adds members under a member, which is added itself when it is not there.
    public func insert(_ items: [String], into key: StateKey, under member: String) async throws {
        try await apply(.insertUnder(member: member, items, key: key))
    }

    /// Removes members, and what belongs to them.
    public func remove(_ members: [String], from key: StateKey) async throws { try await apply(.remove(members, key: key)) }

    /// Removes members from under a member; the member itself stays.
    public func remove(_ items: [String], from key: StateKey, under member: String) async throws {
        try await apply(.removeUnder(member: member, items, key: key))
    }

    /// Takes away and puts in what one of several has put there: see ``StateChange/exchange(removing:adding:key:)``.
    public func exchange(removing: [StateSnapshot.Entry], adding: [StateSnapshot.Entry], in key: StateKey) async throws {
        try await apply(.exchange(removing: removing, adding: adding, key: key))
    }

    /// Removes everything under the key.
    public func delete(_ key: StateKey) async throws { try await apply(.delete(key)) }

    /// Removes everything that a pipeline keeps.
    public func delete(pipeline: String) async throws { try await apply(.deletePipeline(pipeline)) }

    /// Joins what one pipeline keeps into what another keeps, and removes the former: in one step.
    public func merge(pipeline: String, into other: String) async throws { try await apply(.merge(pipeline: pipeline, into: other)) }
}
