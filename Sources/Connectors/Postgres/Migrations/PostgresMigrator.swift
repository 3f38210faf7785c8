public import SluiceCore

/// Applies the migrations of one sink: each in a transaction with its row in `sluice.migrations`, so that it is there as a whole or not at all.
public actor PostgresMigrator: Migrator {
    private let options: PostgresSinkOptions
    private let scripts: [PostgresScript]
    private let worker = WorkerThread(name: "postgres-migrate")
    private var connection: PostgresConnection?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }
    public nonisolated let migrations: [Migration]
    public nonisolated let sets: Set<String>
    public nonisolated let place: String

    /// Connects to nothing yet.
    public init(_ options: PostgresSinkOptions) { self.init(options, scripts: PostgresMigrations.all) }

    init(_ options: PostgresSinkOptions, scripts: [PostgresScript]) {
        self.options = options
        self.scripts = scripts
        migrations = scripts.map(\.migration)
        sets = Set(options.tableSets.map(\.rawValue))
        place = "schema \(options.schema) at \(options.shown)"
    }

    public func look() throws -> MigrationView {
        try options.requireNames()
        // Whether the server cuts tables by itself shows only when its extension is made: that is taken back, and a connection that has seen it
        // cannot make it again.
        let connection = try PostgresConnection(options)
        try connection.execute("BEGIN", doing: "looking at \(place)")
        defer { try? connection.execute("ROLLBACK", doing: "looking at \(place)") }
        let applied = try record(connection).applied()
        let version = try connection.rows("SHOW server_version", doing: "asking for the version").rows.first?.first ?? nil
        let (edition, extended) = try edition(connection)
        let made = scripts.map { script in
            (script.migration.number, Result<MigrationScript, SluiceError>.success(rendered(script, edition)))
        }
        return MigrationView(
            server: Self.server(version, edition, extended), applied: applied,
            scripts: Dictionary(made, uniquingKeysWith: { first, _ in first }))
    }

    @discardableResult
    public func apply(_ migration: Migration) throws -> Bool {
        guard let script = scripts.first(where: { $0.migration == migration }) else {
            throw SluiceError(.migrationConflict, .fatal, "there is no migration \(migration.number)")
        }
        try options.requireNames()
        let connection = try connected()
        // Where an extension may not be made the server is a plain one: that is found out before, as it would end the transaction.
        let (edition, extended) = script.needsEdition ? try settledEdition(connection) : (.plain, nil)
        try connection.execute("BEGIN", doing: "applying to \(place)")
        do {
            let record = record(connection)
            try record.lock()
            try record.prepare()
            let isDone = try require(record.applied(), migration)
            if !isDone {
                let version = try connection.rows("SHOW server_version", doing: "asking for the version").rows.first?.first ?? nil
                try record.apply(
                    migration, rendered(script, edition),
                    server: script.needsEdition ? Self.server(version, edition, extended) : Self.name(version))
            }
            try connection.execute("COMMIT", doing: "applying to \(place)")
            return !isDone
        } catch {
            if connection.isUsable { try? connection.execute("ROLLBACK", doing: "applying to \(place)") } else { self.connection = nil }
            throw Self.explained(error, place)
        }
    }

    public func close() { connection = nil }

    /// Whether a migration is applied by now; throws where this version may change nothing.
    private func require(_ applied: [AppliedMigration], _ migration: Migration) throws(SluiceError) -> Bool {
        try MigrationPlan(known: migrations, sets: sets, applied: applied).requireUsable(place)
        return applied.contains { $0.number == migration.number }
    }

    private func record(_ connection: PostgresConnection) -> PostgresRecord {
        PostgresRecord(connection: connection, schema: options.schema, place: place)
    }

    private func rendered(_ script: PostgresScript, _ edition: TimescaleEdition) -> MigrationScript {
        let series = script.needsEdition ? options.metricsSeries ?? PostgresTableSet.metricsSeries : nil
        return script.rendered(
            schema: options.schema, series: series.map { TimeSeriesTables(options: $0, edition: edition, schema: options.schema) })
    }

    /// The same, one process at a time: two that make the extension at once are in each other's way.
    private func settledEdition(_ connection: PostgresConnection) throws -> (TimescaleEdition, String?) {
        try connection.execute("SELECT pg_advisory_lock(\(PostgresRecord.lockKey))", doing: "preparing the database")
        defer { try? connection.execute("SELECT pg_advisory_unlock(\(PostgresRecord.lockKey))", doing: "preparing the database") }
        return try edition(connection)
    }

    /// The edition, and the version of TimescaleDB where it is there.
    private func edition(_ connection: PostgresConnection) throws -> (TimescaleEdition, String?) {
        let edition = try TimescaleEdition.detect(connection)
        guard edition != .plain else { return (edition, nil) }
        let found = try connection.rows(
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", doing: "asking for TimescaleDB's version")
        return (edition, found.rows.first?.first ?? nil)
    }

    /// Without what its packager says.
    private static func name(_ version: String?) -> String { "PostgreSQL \(version?.split(separator: " ").first ?? "")" }

    private static func server(_ version: String?, _ edition: TimescaleEdition, _ extended: String?) -> String {
        let name = name(version)
        return switch edition {
        case .plain: "\(name) without TimescaleDB"
        case .apache: "\(name), TimescaleDB \(extended ?? "") (Apache edition)"
        case .full: "\(name), TimescaleDB \(extended ?? "")"
        }
    }

    /// A table that is in the way is not touched.
    private static func explained(_ error: any Error, _ place: String) -> any Error {
        guard let error = error as? SluiceError, error.mend == nil,
            ["(SQLSTATE 42P07)", "(SQLSTATE 42710)"].contains(where: { error.message.hasSuffix($0) })
        else { return error }
        return SluiceError(
            error.code, error.class, error.message, mend: "rename what is in the way in \(place), or choose another schema",
            detail: error.detail)
    }

    private func connected() throws -> PostgresConnection {
        if let connection, connection.isUsable { return connection }
        let made = try PostgresConnection(options)
        connection = made
        return made
    }
}
