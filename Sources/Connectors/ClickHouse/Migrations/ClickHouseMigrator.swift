public import SluiceCore
import SluiceNet

/// Applies the migrations of one sink. There are no transactions: every statement does nothing where what it makes is there, the tables are compared with
/// what they should be, and the row in `sluice_migrations` comes last. So one that was broken off is done again from its beginning.
public actor ClickHouseMigrator: Migrator {
    private let options: ClickHouseSinkOptions
    private let scripts: [ClickHouseScript]
    private var client: HTTPClient?

    public nonisolated let migrations: [Migration]
    public nonisolated let sets: Set<String>
    public nonisolated let place: String

    /// Connects to nothing yet.
    public init(_ options: ClickHouseSinkOptions) { self.init(options, scripts: ClickHouseMigrations.all) }

    init(_ options: ClickHouseSinkOptions, scripts: [ClickHouseScript]) {
        self.options = options
        self.scripts = scripts
        migrations = scripts.map(\.migration)
        sets = Set(options.tableSets.map(\.rawValue))
        place = "database \(options.database) at \(options.shown)"
    }

    public func look() async throws -> MigrationView {
        let (connection, tables) = try await connected()
        let record = ClickHouseRecord(connection: connection, tables: tables)
        let made = scripts.map { script in
            (script.migration.number, Result { () throws(SluiceError) in try script.rendered(tables) })
        }
        return MigrationView(
            server: "ClickHouse \(tables.server.version)", applied: try await record.applied(),
            scripts: Dictionary(made, uniquingKeysWith: { first, _ in first }))
    }

    @discardableResult
    public func apply(_ migration: Migration) async throws -> Bool {
        guard let script = scripts.first(where: { $0.migration == migration }) else {
            throw SluiceError(.migrationConflict, .fatal, "there is no migration \(migration.number)")
        }
        let (connection, tables) = try await connected()
        let made = try script.rendered(tables)
        let record = ClickHouseRecord(connection: connection, tables: tables)
        try await makeDatabase(connection, tables)
        if try await isDone(migration, record) { return false }
        // What is in the way is found before anything is made.
        try await require(script.tables, areThere: false, connection, tables)
        for statement in made.statements {
            let words = statement.split(separator: "(").first.map { " (\($0.prefix(160)) ...)" } ?? ""
            try await connection.execute(statement, doing: "applying migration \(migration.number)\(words)")
        }
        try await require(script.tables, areThere: true, connection, tables)
        // Two that meet have both found everything there by now.
        if try await isDone(migration, record) { return false }
        try await record.add(migration)
        return true
    }

    public func close() {
        client?.shutdown()
        client = nil
    }

    private func isDone(_ migration: Migration, _ record: ClickHouseRecord) async throws -> Bool {
        let applied = try await record.applied()
        try MigrationPlan(known: migrations, sets: sets, applied: applied).requireUsable(place)
        return applied.contains { $0.number == migration.number }
    }

    private func makeDatabase(_ connection: ClickHouseConnection, _ tables: ClickHouseTables) async throws {
        let name = ClickHouseSQL.literal(options.database)
        let there = try await connection.rows(
            "SELECT count() FROM system.databases WHERE name = \(name)", doing: "looking for database \(options.database)")
        guard there.first?.first != "1" else { return }
        try await connection.execute(
            "CREATE DATABASE IF NOT EXISTS \(ClickHouseSQL.quoted(options.database))\(tables.onCluster)",
            doing: "making database \(options.database)")
    }

    /// Tables that are there must be what they would have been made as.
    private func require(
        _ wanted: [ClickHouseSetTable], areThere: Bool, _ connection: ClickHouseConnection, _ tables: ClickHouseTables
    ) async throws {
        guard !wanted.isEmpty else { return }
        let names = wanted.map { ClickHouseSQL.literal(tables.localName($0.name)) }.joined(separator: ", ")
        let condition = "database = \(ClickHouseSQL.literal(options.database)) AND"
        let engines = try await connection.rows(
            "SELECT name, engine, sorting_key FROM system.tables WHERE \(condition) name IN (\(names))", doing: "looking at tables")
        let columns = try await connection.rows(
            "SELECT table, name, type FROM system.columns WHERE \(condition) table IN (\(names))", doing: "reading columns")
        for table in wanted {
            let local = tables.localName(table.name)
            guard let row = engines.first(where: { $0[0] == local }) else {
                guard areThere else { continue }
                throw SluiceError(.clickhouseSchema, .pause, "\(table.name) in \(place) is gone again: somebody drops it")
            }
            let types = columns.filter { $0[0] == local }.map { ($0[1], $0[2]) }
            try table.require(
                engine: row[1], key: row[2], Dictionary(types, uniquingKeysWith: { first, _ in first }), tables.server, in: place)
        }
    }

    private func connected() async throws -> (ClickHouseConnection, ClickHouseTables) {
        try options.requirePlainURL()
        let client = try self.client ?? HTTPClient()
        self.client = client
        let connection = ClickHouseConnection(http: client, options: options)
        return (connection, ClickHouseTables(options: options, server: try await ClickHouseServer.probe(connection)))
    }
}
