extension SluiceError.Code {
    /// What a store says was applied is not what this version of the program knows.
    public static let migrationConflict = Self("migration_conflict")
}

/// What is applied, what is to be applied, and what contradicts: worked out of what the program knows and what the store says. Pure.
public struct MigrationPlan: Sendable, Hashable {
    /// How it stands with one step.
    public enum State: Sendable, Hashable {
        case applied(AppliedMigration)
        case pending
        /// Of a set that the configuration does not ask for.
        case notAsked
        /// It was applied with another text.
        case changed(AppliedMigration)
        /// The store has it, and this version knows nothing of it.
        case unknown(AppliedMigration)
        /// It was not applied, but a later one of its set was.
        case skipped

        /// One word.
        public var word: String {
            switch self {
            case .applied: "applied"
            case .pending: "pending"
            case .notAsked: "not asked for"
            case .changed: "changed"
            case .unknown: "unknown"
            case .skipped: "skipped"
            }
        }

        /// What the store says of it; nil where it says nothing.
        public var applied: AppliedMigration? {
            switch self {
            case .applied(let row), .changed(let row), .unknown(let row): row
            case .pending, .notAsked, .skipped: nil
            }
        }
    }

    /// One step and its state.
    public struct Entry: Sendable, Hashable {
        public let number: Int
        public let name: String
        /// What this version knows of it; nil: nothing.
        public let migration: Migration?
        public let state: State
    }

    /// In the order of their numbers.
    public let entries: [Entry]

    /// - Parameters:
    ///   - known: what this version knows, in order.
    ///   - sets: the sets of tables that are asked for.
    ///   - applied: what the store says.
    public init(known: [Migration], sets: Set<String>, applied: [AppliedMigration]) {
        let rows = Dictionary(grouping: applied, by: \.number)
        var entries = known.map { migration in
            Entry(
                number: migration.number, name: migration.name, migration: migration,
                state: Self.state(of: migration, among: known, sets: sets, rows))
        }
        for row in applied where !known.contains(where: { $0.number == row.number }) {
            entries.append(Entry(number: row.number, name: row.name, migration: nil, state: .unknown(row)))
        }
        self.entries = entries.sorted { $0.number < $1.number }
    }

    private static func state(
        of migration: Migration, among known: [Migration], sets: Set<String>, _ rows: [Int: [AppliedMigration]]
    ) -> State {
        let own = rows[migration.number] ?? []
        // A store without transactions may have rows of two versions that met.
        if let other = own.first(where: { $0.name != migration.name || $0.checksum != migration.checksum }) { return .changed(other) }
        if let row = own.first { return .applied(row) }
        if known.contains(where: { $0.number > migration.number && $0.set == migration.set && rows[$0.number] != nil }) { return .skipped }
        return migration.set.map(sets.contains) ?? true ? .pending : .notAsked
    }

    /// What is to be applied, in order.
    public var pending: [Migration] { entries.compactMap { $0.state == .pending ? $0.migration : nil } }

    /// Whether nothing contradicts.
    public var isUsable: Bool {
        entries.allSatisfy { entry in
            switch entry.state {
            case .applied, .pending, .notAsked: true
            case .changed, .unknown, .skipped: false
            }
        }
    }

    /// Makes sure that this version may change the store, or write into it.
    /// - Parameter place: the store, as it may be shown.
    /// - Throws: `migration_conflict` (class `config`) that names the first step that contradicts.
    public func requireUsable(_ place: String) throws(SluiceError) {
        for entry in entries {
            let step = "migration \(entry.number) (\(entry.name))"
            switch entry.state {
            case .applied, .pending, .notAsked: continue
            case .changed(let row):
                let ours = entry.migration?.checksum ?? "none"
                let other = row.name == entry.name ? "" : " as \(row.name)"
                throw SluiceError(
                    .migrationConflict, .config,
                    "\(step) was applied to \(place)\(other) with checksum \(row.checksum) by version \(row.by), but is \(ours) in this version",
                    mend: "use the version that applied it, or another place for the tables")
            case .unknown(let row):
                throw SluiceError(
                    .migrationConflict, .config,
                    "\(place) has \(step), applied by version \(row.by), of which this version (\(ProgramVersion.text)) knows nothing: it is older",
                    mend: "use version \(row.by) or a later one")
            case .skipped:
                throw SluiceError(
                    .migrationConflict, .config, "\(place) has no record of \(step), but of a later one of its set",
                    mend: "restore the record of what was applied, or use another place for the tables")
            }
        }
    }
}
