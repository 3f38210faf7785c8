import SluiceCore

// What a stream's tables must be like that are cut by time.
extension PostgresMigration {
    /// A table is cut by time from its beginning or never.
    func requireSameCut(_ table: Schema, _ time: String?) throws(SluiceError) {
        let name = PostgresTables.name(table, in: schema)
        let isPartitioned = try !connection.rows(
            "SELECT 1 FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'p'", [name], doing: "looking at table \(table.name)"
        ).rows.isEmpty
        var isHypertable = false
        if let edition = series.edition, edition != .plain {
            isHypertable = try !connection.rows(
                "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_schema = $1 AND hypertable_name = $2",
                [schema, table.name], doing: "looking at table \(table.name)"
            ).rows.isEmpty
        }
        guard (isPartitioned || isHypertable) != (time != nil) else { return }
        let (shape, wanted) = time == nil ? ("is partitioned", "time_series is not set") : ("is in one piece", "time_series is set")
        throw SluiceError(
            .postgresSchema, .pause, "\(schema).\(table.name) at \(shown) \(shape), and \(wanted)",
            mend: "write to another schema, or say in time_series what the table was made with")
    }

    /// Tables of sums, or the views by which the server makes them.
    func shapeRollups(_ tables: [Schema]) throws(SluiceError) {
        for (rollup, cut) in series.rollups {
            guard let table = tables.first(where: { $0.name == rollup.table }) else { continue }
            guard let time = series.cut(of: table)?.time else {
                throw SluiceError(
                    .postgresSchema, .config, "the rollup \(rollup.name) is of \(table.name), which has no time", mend: "name another table"
                )
            }
            guard !tables.contains(where: { $0.name == rollup.name }) else {
                throw SluiceError(
                    .postgresSchema, .config, "the rollup \(rollup.name) is called as a table of \(stream.pipeline)", mend: "rename it")
            }
            for column in rollup.columns where table.index(of: column.name) == nil && !series.isMetric(table.name) {
                throw SluiceError(
                    .postgresSchema, .config, "the rollup \(rollup.name) asks for \(table.name).\(column.name), which is not there",
                    mend: "name one of " + table.fields.map(\.name).joined(separator: ", "))
            }
            let statements = cut.edition == .full ? cut.aggregate(rollup, time: time) : [cut.table(of: rollup)]
            for statement in statements { try connection.execute(statement, doing: "making \(rollup.name)") }
        }
    }
}
