import SluiceCore

/// What was applied to the tables of one schema, as `sluice.migrations` says it. All of it runs in the caller's transaction.
struct PostgresRecord {
    let connection: PostgresConnection
    let schema: String
    /// The database and schema, for messages.
    let place: String

    /// What whoever makes tables locks.
    static let lockKey = 0x51_75_69_63

    /// One process at a time makes tables: two that meet would see half of each other's. Held until the transaction ends.
    func lock() throws(SluiceError) {
        try connection.execute("SELECT pg_advisory_xact_lock(\(Self.lockKey))", doing: "preparing the database")
    }

    /// Makes the table of what was applied, and the schemas. What is there needs no right to make it.
    func prepare() throws(SluiceError) {
        for name in ["sluice", schema] {
            let there = try connection.rows("SELECT 1 FROM pg_namespace WHERE nspname = $1", [name], doing: "looking for schema \(name)")
            guard there.rows.isEmpty else { continue }
            try connection.execute("CREATE SCHEMA IF NOT EXISTS \(PostgresConnection.quoted(name))", doing: "making schema \(name)")
        }
        guard try !isThere() else { return }
        try connection.execute(
            """
            CREATE TABLE sluice.migrations (tables_in text, number integer, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL,
              applied_by text NOT NULL, server text NOT NULL, PRIMARY KEY (tables_in, number))
            """, doing: "making sluice.migrations")
    }

    private func isThere() throws(SluiceError) -> Bool {
        try !connection.rows(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'sluice' AND c.relname = 'migrations'",
            doing: "looking for sluice.migrations"
        ).rows.isEmpty
    }

    /// Nothing where nothing was recorded yet.
    func applied() throws(SluiceError) -> [AppliedMigration] {
        guard try isThere() else { return [] }
        return try connection.rows(
            """
            SELECT number, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), applied_by, server
            FROM sluice.migrations WHERE tables_in = $1 ORDER BY number
            """, [schema], doing: "reading what was applied"
        ).rows.map { row in
            AppliedMigration(
                number: row[0].flatMap { Int($0) } ?? 0, name: row[1] ?? "", checksum: row[2] ?? "", at: row[3] ?? "", by: row[4] ?? "",
                server: row[5] ?? "")
        }
    }

    /// Makes sure that this version may write here, and returns whether a migration is applied.
    func has(_ migration: Migration) throws(SluiceError) -> Bool {
        let rows = try applied()
        try MigrationPlan(known: PostgresMigrations.all.map(\.migration), sets: [], applied: rows).requireUsable(place)
        return rows.contains { $0.number == migration.number }
    }

    /// Runs a migration's statements and records it.
    func apply(_ migration: Migration, _ script: MigrationScript, server: String) throws(SluiceError) {
        for statement in script.statements {
            let words = statement.split(whereSeparator: { $0 == "(" || $0.isNewline }).first.map { " (\($0.prefix(120)) ...)" } ?? ""
            try connection.execute(statement, doing: "applying migration \(migration.number)\(words)")
        }
        try connection.rows(
            "INSERT INTO sluice.migrations VALUES ($1, $2::integer, $3, $4, now(), $5, $6)",
            [schema, "\(migration.number)", migration.name, migration.checksum, ProgramVersion.text, server],
            doing: "recording migration \(migration.number)")
    }
}
