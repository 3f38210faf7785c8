/// A change of the shared state. Each is made in one step: whoever reads sees all of it or nothing.
public enum StateChange: Hashable, Sendable {
    /// Replaces the whole set, and removes what its members had.
    case set([String], key: StateKey)
    /// Adds members; those that are there already stay as they are.
    case insert([String], key: StateKey)
    /// Adds items under a member, which is added itself when it is not there, even without items.
    case insertUnder(member: String, [String], key: StateKey)
    /// Removes members, and what belongs to them.
    case remove([String], key: StateKey)
    /// Removes items from under a member; the member itself stays.
    case removeUnder(member: String, [String], key: StateKey)
    /// Takes away items, and those of the members named that have none left then; and puts in members and items. For what one of several
    /// who share a key has put there.
    case exchange(removing: [StateSnapshot.Entry], adding: [StateSnapshot.Entry], key: StateKey)
    /// Removes everything under a key.
    case delete(StateKey)
    /// Removes everything that a pipeline keeps.
    case deletePipeline(String)
    /// Joins what one pipeline keeps into what another keeps, and removes the former. Into itself: changes nothing.
    case merge(pipeline: String, into: String)
}
