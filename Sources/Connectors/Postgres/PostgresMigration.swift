import SluiceCore

/// Brings the database to the shape that a stream needs. Only adds: what is there is never changed.
struct PostgresMigration {
    let connection: PostgresConnection
    let stream: StreamID
    let schema: String
    let shown: String
    /// How tables are cut by time.
    let series: PostgresSeries
    /// Sets whose tables are made by `sluice migrate` alone.
    let sets: [PostgresTableSet]

    /// Runs inside a transaction; returns the epoch by which this process writes.
    func run(_ tables: [Schema]) throws(SluiceError) -> Int64 {
        let record = PostgresRecord(connection: connection, schema: schema, place: "schema \(schema) at \(shown)")
        try record.lock()
        try record.prepare()
        let bookkeeping = PostgresMigrations.bookkeeping
        if try !record.has(bookkeeping.migration) {
            try record.apply(bookkeeping.migration, bookkeeping.rendered(schema: schema, series: nil), server: "PostgreSQL")
        }
        try requireSameTables(tables)
        for table in tables {
            try own(table)
            try shape(table)
        }
        try shapeRollups(tables)
        let claimed = try connection.rows(
            """
            INSERT INTO sluice.streams VALUES ($1, $2, $3, 1, now())
            ON CONFLICT (tables_in, stream, chain_id) DO UPDATE SET epoch = sluice.streams.epoch + 1, opened = now() RETURNING epoch
            """, key, doing: "claiming \(stream)")
        return claimed.rows.first?.first?.flatMap { Int64($0) } ?? 0
    }

    private var key: [String] { [schema, stream.pipeline, "\(stream.chainID)"] }

    /// Two streams that write the same rows would double them, and each would undo the other's.
    private func own(_ table: Schema) throws(SluiceError) {
        let owner =
            try connection.rows(
                """
                INSERT INTO sluice.owners VALUES ($1, $2, $3, $4) ON CONFLICT (tables_in, table_name, chain_id)
                DO UPDATE SET stream = sluice.owners.stream RETURNING stream
                """, [schema, table.name, "\(stream.chainID)", stream.pipeline], doing: "claiming table \(table.name)"
            ).rows.first?.first ?? nil
        guard let owner, owner != stream.pipeline else { return }
        throw SluiceError(
            .postgresSchema, .pause,
            "table \(schema).\(table.name) at \(shown) holds chain \(stream.chainID) as pipeline \(owner) wrote it; \(stream.pipeline) cannot share it",
            mend: "give \(stream.pipeline) another schema, or the name \(owner) back")
    }

    /// A table that joins or leaves a stream later would have a hole that nothing shows: the segments speak of all tables.
    private func requireSameTables(_ tables: [Schema]) throws(SluiceError) {
        let held =
            try connection.rows(
                "SELECT min(first) FROM sluice.segments WHERE tables_in = $1 AND stream = $2 AND chain_id = $3", key,
                doing: "reading what is there of \(stream)"
            ).rows.first?.first ?? nil
        let filter = "tables_in = $1 AND stream = $2 AND chain_id = $3"
        guard let held else {
            // Nothing is stored yet: what was claimed before may be given up.
            try connection.rows("DELETE FROM sluice.owners WHERE \(filter)", key, doing: "claiming tables")
            return
        }
        let owned = try connection.rows(
            "SELECT table_name FROM sluice.owners WHERE \(filter)", key, doing: "reading the tables of \(stream)")
        let names = owned.rows.compactMap { $0.first ?? nil }
        guard let different = Set(names).symmetricDifference(tables.map(\.name)).min() else { return }
        let news = names.contains(different) ? "no longer asks for" : "now asks for"
        throw SluiceError(
            .postgresSchema, .pause,
            "\(stream.pipeline) \(news) table \(different), but \(shown) holds its blocks from \(held) on as they were asked for before",
            mend: "give the other registers a pipeline of their own, or write to another schema")
    }

    private func shape(_ table: Schema) throws(SluiceError) {
        let name = PostgresTables.name(table, in: schema)
        let found = try connection.rows(
            """
            SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef AND attidentity = '' FROM pg_attribute
            WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
            """, [name], doing: "reading the columns of \(table.name)"
        ).rows
        let cut = series.cut(of: table)
        guard !found.isEmpty else {
            if let set = sets.first(where: { $0.tables.contains(table.name) }) {
                throw SluiceError(
                    .postgresSchema, .pause, "\(schema).\(table.name) at \(shown) is of the set \(set.rawValue) and not made yet",
                    mend: "run sluice migrate apply")
            }
            let creation = PostgresTables.creation(
                table, in: schema, block: try table.requiredBlockNumber(), cutBy: cut?.time, isPartitioned: cut?.tables.edition == .plain)
            for statement in creation + (cut.map { $0.tables.shaping(table, time: $0.time) } ?? []) {
                try connection.execute(statement, doing: "creating table \(table.name)")
            }
            return
        }
        try requireSameCut(table, cut?.time)
        let types = Dictionary(found.map { ($0[0] ?? "", $0[1] ?? "") }, uniquingKeysWith: { first, _ in first })
        for field in table.fields {
            let wanted = PostgresTables.type(field.type)
            guard let type = types[field.name] else {
                if !field.nullable,
                    try !connection.rows("SELECT 1 FROM \(name) LIMIT 1", [], doing: "looking into \(table.name)").rows.isEmpty
                {
                    throw SluiceError(
                        .postgresSchema, .pause,
                        "\(schema).\(table.name) at \(shown) has rows but no column \(field.name), which may not be null and so cannot be added",
                        mend: "write to another schema, and fill it from the start")
                }
                try connection.execute(
                    "ALTER TABLE \(name) ADD COLUMN \(PostgresTables.column(field))", doing: "adding \(table.name).\(field.name)")
                continue
            }
            guard type == wanted else {
                throw SluiceError(
                    .postgresSchema, .pause, "\(schema).\(table.name).\(field.name) at \(shown) is \(type), not \(wanted)",
                    mend: "rename the table away, or write to another schema; the sink changes no column's type")
            }
        }
        for column in found where column[2] == "t" && !table.fields.contains(where: { $0.name == column[0] }) {
            throw SluiceError(
                .postgresSchema, .pause,
                "\(schema).\(table.name) at \(shown) has a column \(column[0] ?? "") that may not be null, and of which the sink knows nothing",
                mend: "give it a default or let it be null, or write to another schema")
        }
    }
}

extension Schema {
    func requiredBlockNumber() throws(SluiceError) -> String {
        guard let field = blockNumberField, index(of: "chain_id") != nil else {
            throw SluiceError(.postgresSchema, .config, "table \(name) lacks a block number or chain_id, so its rows could not be undone")
        }
        return field
    }
}
