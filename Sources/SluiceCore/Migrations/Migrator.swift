/// Brings the tables of a store to the shape that this version of the program wants, a numbered step at a time.
public protocol Migrator: Sendable {
    /// All that this version knows, in the order of their numbers, whatever is asked for.
    var migrations: [Migration] { get }
    /// The sets of tables that the configuration asks for.
    var sets: Set<String> { get }
    /// The store, as it may be shown.
    var place: String { get }

    /// Connects and finds out what the server is and what was applied to it. Changes nothing.
    func look() async throws -> MigrationView
    /// Applies one step and records it. Two processes may do so at once: it is done once.
    /// - Returns: false when it had been applied by then, and nothing was done.
    /// - Throws: `migration_conflict` when the store has by then what this version does not know.
    @discardableResult
    func apply(_ migration: Migration) async throws -> Bool
    /// Releases the connection.
    func close() async
}

/// What a look at a store shows.
public struct MigrationView: Sendable {
    /// What the server is: name, version, edition.
    public let server: String
    public let applied: [AppliedMigration]
    /// What each step comes to on this server, by its number; a step that the configuration makes impossible there has an error instead.
    public let scripts: [Int: Result<MigrationScript, SluiceError>]

    public init(server: String, applied: [AppliedMigration], scripts: [Int: Result<MigrationScript, SluiceError>]) {
        self.server = server
        self.applied = applied
        self.scripts = scripts
    }
}

extension Migrator {
    /// What is applied and what is to be done, out of a look.
    public func plan(_ view: MigrationView) -> MigrationPlan { MigrationPlan(known: migrations, sets: sets, applied: view.applied) }

    /// Applies all that is pending, in order; hands each on when it is done.
    /// - Throws: `migration_conflict`, and what the store says with the step in front of it. What was applied before stays.
    public func applyPending(_ done: (Migration) -> Void) async throws {
        let plan = plan(try await look())
        try plan.requireUsable(place)
        for migration in plan.pending {
            do {
                if try await apply(migration) { done(migration) }
            } catch let error as SluiceError {
                throw SluiceError(
                    error.code, error.class, "migration \(migration.number) (\(migration.name)): \(error.message)", mend: error.mend,
                    detail: error.detail)
            }
        }
    }
}
