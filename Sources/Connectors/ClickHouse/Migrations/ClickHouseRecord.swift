import SluiceCore

/// What was applied to a database, as `sluice_migrations` says it.
struct ClickHouseRecord {
    let connection: ClickHouseConnection
    let tables: ClickHouseTables
    private var options: ClickHouseSinkOptions { tables.options }
    private var database: String { ClickHouseSQL.literal(options.database) }

    /// Nothing where nothing was recorded yet.
    func applied() async throws -> [AppliedMigration] {
        let found = try await connection.rows(
            "SELECT count() FROM system.tables WHERE database = \(database) AND name = \(ClickHouseSQL.literal(ClickHouseTables.migrations))",
            doing: "looking for \(ClickHouseTables.migrations)")
        guard found.first?.first == "1" else { return [] }
        return try await connection.rows(
            "SELECT number, name, checksum, toString(min(applied_at)), any(applied_by), any(server) "
                + "FROM \(tables.name(ClickHouseTables.migrations)) GROUP BY number, name, checksum ORDER BY number, name, checksum",
            doing: "reading what was applied"
        ).map { row in
            guard row.count == 6, let number = Int(row[0]) else {
                throw SluiceError(
                    .clickhouseSchema, .pause, "\(ClickHouseTables.migrations) in \(options.database) at \(options.shown) is damaged")
            }
            return AppliedMigration(
                number: number, name: row[1], checksum: row[2], at: row[3].split(separator: " ").joined(separator: "T") + "Z", by: row[4],
                server: row[5])
        }
    }

    /// Says that a migration was applied.
    func add(_ migration: Migration) async throws {
        for statement in tables.migrationsCreation {
            try await connection.execute(statement, doing: "making \(ClickHouseTables.migrations)")
        }
        let texts = [migration.name, migration.checksum].map(ClickHouseSQL.literal).joined(separator: ", ")
        let origin = [ProgramVersion.text, "ClickHouse \(tables.server.version)"].map(ClickHouseSQL.literal).joined(separator: ", ")
        try await connection.execute(
            "INSERT INTO \(tables.name(ClickHouseTables.migrations)) (number, name, checksum, applied_at, applied_by, server) "
                + "VALUES (\(migration.number), \(texts), now(), \(origin))",
            tables.server.insertSettings.filter { $0.0 == "insert_distributed_sync" }, doing: "recording migration \(migration.number)")
    }
}
