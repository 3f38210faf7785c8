/// One numbered step by which a store gets its tables. What was published once stays as it is for ever: another shape is another step with the
/// next number.
public struct Migration: Sendable, Hashable {
    /// From 1; never used twice by one kind of store.
    public let number: Int
    public let name: String
    /// The set of tables that it belongs to; nil: what the program itself needs, whatever is asked for.
    public let set: String?
    /// What it makes, line by line, before a server's edition or a configuration's names and times make statements of it. So the same
    /// step has the same text in every database.
    public let definition: [String]

    public init(_ number: Int, _ name: String, set: String? = nil, definition: [String]) {
        self.number = number
        self.name = name
        self.set = set
        self.definition = definition
    }

    /// Says whether two texts are the same: 32 digits over number, name and definition.
    public var checksum: String {
        var sum = Fingerprint()
        sum.add(number)
        sum.add(name)
        sum.add(definition.count)
        for line in definition { sum.add(line) }
        return "\(sum)"
    }
}

/// A step that a store says was applied.
public struct AppliedMigration: Sendable, Hashable {
    public let number: Int
    public let name: String
    public let checksum: String
    /// When, as the store says it, in UTC.
    public let at: String
    /// The version of the program that did it.
    public let by: String
    /// What the server was then.
    public let server: String

    public init(number: Int, name: String, checksum: String, at: String, by: String, server: String) {
        self.number = number
        self.name = name
        self.checksum = checksum
        self.at = at
        self.by = by
        self.server = server
    }
}

/// What a step comes to on one server.
public struct MigrationScript: Sendable, Hashable {
    /// In order; a store without transactions can be broken off between any two of them.
    public let statements: [String]
    /// What this server's edition makes of it, a line each: what it cannot do, and who does it instead.
    public let notes: [String]

    public init(_ statements: [String], notes: [String] = []) {
        self.statements = statements
        self.notes = notes
    }
}
