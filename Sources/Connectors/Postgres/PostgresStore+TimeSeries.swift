import SluiceCore

// Tables that are cut by time: partitions, sums, and what becomes of old rows.
extension PostgresStore {
    /// How often old chunks are looked for.
    private static let sweepInterval = Duration.seconds(3600)
    /// More partitions in one go are a mistake in `chunk`.
    private static let mostPartitions = 100_000

    /// The first and the last time of rows, in seconds since 1970; nil where nobody asks for it.
    func times(of tables: [Table], _ schema: Schema) -> ClosedRange<Int>? {
        guard let field = series.cut(of: schema)?.time, let index = schema.index(of: field) else { return nil }
        var times: ClosedRange<Int>?
        for table in tables {
            for row in 0..<table.rowCount {
                let micros = table.columns[index].load(row, as: Int64.self)
                let second = Int(micros / 1_000_000) - (micros % 1_000_000 < 0 ? 1 : 0)
                guard let known = times else {
                    times = second...second
                    continue
                }
                if !known.contains(second) { times = min(known.lowerBound, second)...max(known.upperBound, second) }
            }
        }
        return times
    }

    /// Whether the sink keeps sums of a table: only then it matters when its rows were.
    func isSummed(_ schema: Schema) -> Bool {
        series.edition != .full && series.rollups.contains { $0.rollup.table == schema.name }
    }

    /// The same of rows that are there, by their blocks.
    func times(
        of blocks: ClosedRange<UInt64>, _ id: StreamID, _ schema: Schema, _ block: String, _ connection: PostgresConnection
    ) throws -> ClosedRange<Int>? {
        guard isSummed(schema), let field = series.cut(of: schema)?.time else { return nil }
        let time = "extract(epoch FROM \(PostgresConnection.quoted(field)))"
        let found = try connection.rows(
            """
            SELECT floor(min(\(time)))::bigint, floor(max(\(time)))::bigint FROM \(name(schema))
            WHERE chain_id = $1::numeric AND \(block) BETWEEN $2::numeric AND $3::numeric
            """, ["\(id.chainID)", "\(blocks.lowerBound)", "\(blocks.upperBound)"], doing: "looking up when \(schema.name) were"
        ).rows.first
        guard let first = found?.first?.flatMap({ Int($0) }), let last = found?.last?.flatMap({ Int($0) }) else { return nil }
        return first...last
    }

    /// Makes the partitions that rows belong into.
    func makePartitions(for tables: [Table], _ schema: Schema, _ connection: PostgresConnection) throws {
        guard let cut = series.cut(of: schema)?.tables, cut.edition == .plain, let times = times(of: tables, schema) else { return }
        let size = cut.options.chunkSeconds
        func start(_ second: Int) -> Int { second - (second % size + size) % size }
        let (first, last) = (start(times.lowerBound), start(times.upperBound))
        guard (last - first) / size < Self.mostPartitions else {
            throw SluiceError(
                .postgresSchema, .config, "rows of \(schema.name) span \((last - first) / size) chunks of \(size) seconds",
                mend: "choose a longer time_series.chunk")
        }
        for begin in stride(from: first, through: last, by: size) where partitions[schema.name]?.contains(begin) != true {
            try connection.execute(cut.creation(ofPartition: begin, schema), doing: "making a partition of \(schema.name)")
            partitions[schema.name, default: []].insert(begin)
        }
    }

    /// Makes the sums anew that some rows belong to, in the transaction of those rows.
    func sum(
        _ touched: [String: ClosedRange<Int>], of id: StreamID, _ schemas: [Schema], _ connection: PostgresConnection
    ) throws {
        guard series.edition != .full else { return }
        for (rollup, tables) in series.rollups {
            guard let times = touched[rollup.table], let table = schemas.first(where: { $0.name == rollup.table }),
                let time = series.cut(of: table)?.time
            else { continue }
            let statements = tables.refresh(
                rollup, time: time, chainID: id.chainID, from: times.lowerBound, through: times.upperBound)
            for statement in statements { try connection.execute(statement, doing: "summing up \(rollup.name)") }
        }
    }

    /// Drops what is old, now and then, on a server that does not do so by itself.
    func sweep(_ schemas: [Schema], _ connection: PostgresConnection) throws {
        let ageing = schemas.compactMap { schema in
            series.cut(of: schema).flatMap { cut in cut.tables.options.dropAfterSeconds.map { (schema, cut.tables, $0) } }
        }
        guard series.edition != .full, !ageing.isEmpty else { return }
        if let sweptAt, ContinuousClock.now - sweptAt < Self.sweepInterval { return }
        sweptAt = .now
        for (schema, tables, after) in ageing {
            let doing = "dropping old rows of \(schema.name)"
            if let statement = tables.dropping(schema.name) {
                try connection.execute(statement, doing: doing)
                continue
            }
            let old = try connection.rows(
                """
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = to_regclass($1) AND substring(c.relname from '_p(-?[0-9]+)$')::bigint + $2::bigint
                  <= extract(epoch FROM now() - make_interval(secs => $3::double precision))
                """, [name(schema), "\(tables.options.chunkSeconds)", "\(after)"], doing: doing
            ).rows.compactMap { $0.first ?? nil }
            for partition in old {
                try connection.execute(
                    "DROP TABLE \(PostgresConnection.quoted(tables.schema)).\(PostgresConnection.quoted(partition))", doing: doing)
            }
            if !old.isEmpty { partitions[schema.name] = nil }
        }
    }
}
