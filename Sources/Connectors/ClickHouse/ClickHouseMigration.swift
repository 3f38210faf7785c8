import SluiceCore
import SluiceFormats

/// A table that is there, and how rows get into it.
struct ClickHouseLayout: Sendable {
    let schema: Schema
    /// The column of block numbers, as it is written in statements.
    let block: String
    let targets: [NativeBlock.Target]
}

/// Brings the database to the shape that a stream needs. Only adds: what is there is never changed.
struct ClickHouseMigration {
    let connection: ClickHouseConnection
    let tables: ClickHouseTables
    let stream: StreamID
    private var options: ClickHouseSinkOptions { tables.options }
    private var shown: String { "\(options.database) at \(options.shown)" }
    private var database: String { ClickHouseSQL.literal(options.database) }

    init(connection: ClickHouseConnection, tables: ClickHouseTables, stream: StreamID) {
        self.connection = connection
        self.tables = tables
        self.stream = stream
    }

    /// Returns the tables, and what is there of the stream.
    func run(_ schemas: [Schema]) async throws -> ([ClickHouseLayout], ClickHouseLedger) {
        // What the options ask for is worked out before anything is made.
        for schema in schemas { _ = try tables.creation(schema) }
        for name in options.tables.keys.sorted() where ["sluice_"].contains(where: { name.hasPrefix($0) }) {
            throw SluiceError(.clickhouseOptions, .config, "tables.\(name) is no table that a pipeline fills")
        }
        let there = try await connection.rows(
            "SELECT count() FROM system.databases WHERE name = \(database)", doing: "looking for database \(options.database)")
        if there.first?.first != "1" {
            try await connection.execute(
                "CREATE DATABASE IF NOT EXISTS \(ClickHouseSQL.quoted(options.database))\(tables.onCluster)",
                doing: "making database \(options.database)")
        }
        let record = ClickHouseRecord(connection: connection, tables: tables)
        let applied = try await record.applied()
        try MigrationPlan(known: ClickHouseMigrations.all.map(\.migration), sets: [], applied: applied).requireUsable(shown)
        if try await engine(ClickHouseTables.ledger) == nil {
            for statement in tables.ledgerCreation { try await connection.execute(statement, doing: "preparing \(options.database)") }
            // Where it is there already, its user may not have the right to make a table more: `sluice migrate` records it.
            try await record.add(ClickHouseScript.bookkeeping.migration)
        }
        let ledgers = try await ledgers()
        var own = ledgers.first { $0.stream == stream } ?? ClickHouseLedger(stream: stream)
        try requireSameTables(schemas, own)
        for schema in schemas { try require(schema, isNotOf: ledgers) }
        own.tables = schemas.map(\.name)
        var layouts: [ClickHouseLayout] = []
        for schema in schemas { layouts.append(try await shape(schema, own)) }
        return (layouts, own)
    }

    /// What is there of each stream of the chain.
    func ledgers() async throws -> [ClickHouseLedger] {
        let query = ClickHouseLedger.query(tables.name(ClickHouseTables.ledger), chainID: stream.chainID)
        return try await connection.rows(query, doing: "reading what is there of \(stream)").map { row in
            guard let ledger = ClickHouseLedger(row, chainID: stream.chainID) else {
                throw SluiceError(
                    .clickhouseSchema, .pause, "\(ClickHouseTables.ledger) in \(shown) is damaged for chain \(stream.chainID)",
                    mend: "restore it, or write to another database")
            }
            return ledger
        }
    }

    /// Two streams that write the same rows would double them, and each would undo the other's.
    private func require(_ schema: Schema, isNotOf ledgers: [ClickHouseLedger]) throws(SluiceError) {
        let other = ledgers.first { $0.stream != stream && $0.tables.contains(schema.name) && !$0.coverage.segments.isEmpty }
        guard let owner = other?.stream.pipeline else { return }
        throw SluiceError(
            .clickhouseSchema, .pause,
            "table \(schema.name) in \(shown) holds chain \(stream.chainID) as pipeline \(owner) wrote it; \(stream.pipeline) cannot share it",
            mend: "give \(stream.pipeline) another database, or the name \(owner) back")
    }

    /// A table that joins or leaves a stream later would have a hole that nothing shows: the segments speak of all tables.
    private func requireSameTables(_ schemas: [Schema], _ held: ClickHouseLedger) throws(SluiceError) {
        guard let first = held.coverage.segments.first?.first else { return }
        guard let different = Set(held.tables).symmetricDifference(schemas.map(\.name)).min() else { return }
        let news = held.tables.contains(different) ? "no longer asks for" : "now asks for"
        throw SluiceError(
            .clickhouseSchema, .pause,
            "\(stream.pipeline) \(news) table \(different), but \(shown) holds its blocks from \(first) on as they were asked for before",
            mend: "give the other registers a pipeline of their own, or write to another database")
    }

    // MARK: - Tables

    private func engine(_ table: String) async throws -> (name: String, order: String, full: String)? {
        let rows = try await connection.rows(
            "SELECT engine, sorting_key, engine_full FROM system.tables WHERE database = \(database) AND name = \(ClickHouseSQL.literal(table))",
            doing: "looking for table \(table)")
        return rows.first.map { ($0[0], $0[1], $0[2]) }
    }

    private func shape(_ schema: Schema, _ held: ClickHouseLedger) async throws -> ClickHouseLayout {
        let local = tables.localName(schema.name)
        if let engine = try await engine(local) {
            try await require(engine, of: schema, try await columns(local))
        } else {
            // Made anew it would be empty, and nothing would show that.
            if let first = held.coverage.segments.first?.first {
                throw SluiceError(
                    .clickhouseSchema, .pause,
                    "table \(schema.name) is gone from \(shown), but \(ClickHouseTables.ledger) says that it holds blocks of \(stream) from \(first) on",
                    mend:
                        "restore it, or drop all tables of \(stream.pipeline) and its row in \(ClickHouseTables.ledger) so that they are filled again"
                )
            }
            if let set = options.tableSets.first(where: { $0.tables.contains(schema.name) }) {
                throw SluiceError(
                    .clickhouseSchema, .pause, "table \(schema.name) in \(shown) is of the set \(set.rawValue) and not made yet",
                    mend: "run sluice migrate apply")
            }
            for statement in try tables.creation(schema) { try await connection.execute(statement, doing: "making table \(schema.name)") }
        }
        var found = try await columns(local)
        let missing = schema.fields.filter { found[$0.name] == nil }
        if let first = held.coverage.segments.first?.first, let field = missing.first(where: { !$0.nullable }) {
            // The rows that are there would have a value that nobody gave them.
            throw SluiceError(
                .clickhouseSchema, .pause,
                "\(schema.name).\(field.name) is new and may not be null, but \(shown) holds blocks of \(stream) from \(first) on without it",
                mend: "write to another database, or drop all tables of \(stream.pipeline) so that they are filled again")
        }
        for field in missing {
            for statement in tables.addition(field, to: schema) {
                try await connection.execute(statement, doing: "adding \(schema.name).\(field.name)")
            }
        }
        if !missing.isEmpty {
            found = try await columns(local)
            try await connection.execute(
                "DROP TABLE IF EXISTS \(tables.view(schema))\(tables.onCluster)", doing: "renewing the view of \(schema.name)")
        }
        try await requireView(schema)
        return ClickHouseLayout(
            schema: schema, block: ClickHouseSQL.quoted(try schema.requiredBlockNumber()), targets: try targets(schema, found))
    }

    private func requireView(_ schema: Schema) async throws {
        switch try await engine("\(schema.name)_current")?.name {
        case nil: try await connection.execute(tables.viewCreation(schema), doing: "making the view of \(schema.name)")
        case "View": break
        default:
            throw SluiceError(
                .clickhouseSchema, .pause, "\(schema.name)_current in \(shown) is no view of ours",
                mend: "rename it, or write to another database")
        }
    }

    private func columns(_ table: String) async throws -> [String: String] {
        let rows = try await connection.rows(
            "SELECT name, type FROM system.columns WHERE database = \(database) AND table = \(ClickHouseSQL.literal(table))",
            doing: "reading the columns of \(table)")
        return Dictionary(rows.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
    }

    /// A table that is there must keep one row a key, as one that we made does.
    private func require(_ engine: (name: String, order: String, full: String), of schema: Schema, _ columns: [String: String]) async throws
    {
        let name = "\(schema.name) in \(shown)"
        guard engine.name.hasSuffix("ReplacingMergeTree"), engine.full.contains(ClickHouseTables.version) else {
            throw SluiceError(
                .clickhouseSchema, .pause, "\(name) is a \(engine.name) that the sink did not make",
                mend: "rename it away, or write to another database")
        }
        let wanted = try tables.order(schema)
        guard ClickHouseSQL.columns(ofKey: engine.order) == wanted else {
            throw SluiceError(
                .clickhouseSchema, .pause, "\(name) is sorted by \(engine.order), not by \(wanted.joined(separator: ", "))",
                mend: "rename the table away, write to another database, or set order_by to what it was; the sink sorts no table anew")
        }
        func plain(_ text: String) -> String { text.filter { $0 != "`" && $0 != " " } }
        let time = ClickHouseTables.time(schema).flatMap { columns[$0] }
        if let ttl = try tables.ttl(schema, type: time), !plain(engine.full).contains(plain("TTL \(ttl)")) {
            try await connection.execute(
                "ALTER TABLE \(tables.name(tables.localName(schema.name)))\(tables.onCluster) MODIFY TTL \(ttl)",
                doing: "setting the ttl of \(schema.name)")
        }
    }

    private func targets(_ schema: Schema, _ found: [String: String]) throws(SluiceError) -> [NativeBlock.Target] {
        var targets: [NativeBlock.Target] = []
        for (index, field) in schema.fields.enumerated() {
            let type = found[field.name] ?? "not there"
            guard let target = tables.target(field, at: index, type: type) else {
                throw SluiceError(
                    .clickhouseSchema, .pause, "\(schema.name).\(field.name) in \(shown) is \(type), not \(tables.type(field))",
                    mend: "rename the table away, or write to another database; the sink changes no column's type")
            }
            targets.append(target)
        }
        for (name, wanted) in [(ClickHouseTables.version, "UInt64"), (ClickHouseTables.deleted, "UInt8")] where found[name] != wanted {
            throw SluiceError(
                .clickhouseSchema, .pause, "\(schema.name) in \(shown) lacks a column \(name) of type \(wanted)",
                mend: "rename the table away, or write to another database")
        }
        return targets
    }
}
