import SluiceCore

/// The statements by which a server is asked for tables that are cut by time. Pure.
///
/// Statements of TimescaleDB 2: `create_hypertable`, `add_compression_policy`, `add_retention_policy`, `add_continuous_aggregate_policy`,
/// `drop_chunks` (docs.timescale.com, API reference).
struct TimeSeriesTables {
    let options: TimeSeriesOptions
    let edition: TimescaleEdition
    let schema: String

    private func quoted(_ name: String) -> String { PostgresConnection.quoted(name) }
    private func literal(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
    private func interval(_ seconds: Int) -> String { "INTERVAL '\(seconds) seconds'" }
    /// A relation as a function's argument.
    private func regclass(_ table: String) -> String { literal(quoted(schema) + "." + quoted(table)) }

    // MARK: - Tables

    /// What follows the creation of a table: nothing on a plain server, where the creation itself says it.
    func shaping(_ table: Schema, time: String) -> [String] {
        shaping(table.name, time: time, order: table.blockNumberField ?? time)
    }

    /// - Parameter order: the column by which rows lie in a chunk that is compressed, the newest first.
    func shaping(_ table: String, time: String, order: String) -> [String] {
        guard edition != .plain else { return [] }
        var statements = [
            "SELECT create_hypertable(\(regclass(table)), by_range(\(literal(time)), \(interval(options.chunkSeconds))), create_default_indexes => false)"
        ]
        guard edition == .full else { return statements }
        if let after = options.compressAfterSeconds {
            statements.append(
                "ALTER TABLE \(quoted(schema)).\(quoted(table)) SET (timescaledb.compress, timescaledb.compress_segmentby = 'chain_id', "
                    + "timescaledb.compress_orderby = \(literal("\(quoted(order)) DESC")))")
            statements.append("SELECT add_compression_policy(\(regclass(table)), \(interval(after)), if_not_exists => true)")
        }
        if let after = options.dropAfterSeconds {
            statements.append("SELECT add_retention_policy(\(regclass(table)), \(interval(after)), if_not_exists => true)")
        }
        return statements
    }

    /// What drops old chunks on a server that does not do so by itself; nil where it does, or nothing is to be dropped.
    func dropping(_ table: String) -> String? {
        guard edition == .apache, let after = options.dropAfterSeconds else { return nil }
        return "SELECT drop_chunks(\(regclass(table)), older_than => now() - \(interval(after)))"
    }

    // MARK: - Partitions of a plain server

    /// The name of the partition that begins at a time, in seconds since 1970. Long names are cut and told apart by a sum of their letters.
    static func partition(_ table: String, from start: Int) -> String { PostgresTables.name(table, with: "_p\(start)") }

    func creation(ofPartition start: Int, _ table: Schema) -> String {
        "CREATE TABLE IF NOT EXISTS \(quoted(schema)).\(quoted(Self.partition(table.name, from: start))) "
            + "PARTITION OF \(PostgresTables.name(table, in: schema)) FOR VALUES FROM (to_timestamp(\(start))) TO (to_timestamp(\(start + options.chunkSeconds)))"
    }

    // MARK: - Sums

    /// The columns of a table of sums and what is in them.
    private func columns(_ rollup: TimeSeriesOptions.Rollup) -> [(name: String, value: String)] {
        rollup.columns.flatMap { column in
            column.functions.map { function in ("\(column.name)_\(function.rawValue)", "\(function.rawValue)(\(quoted(column.name)))") }
        }
    }

    /// The view of the full edition and its policy. It looks back as far as a reorganisation may reach, and a day more.
    func aggregate(_ rollup: TimeSeriesOptions.Rollup, time: String) -> [String] {
        let values = columns(rollup).map { "\($0.value) AS \(quoted($0.name))" }.joined(separator: ", ")
        let bucket = interval(rollup.bucketSeconds)
        return [
            "CREATE MATERIALIZED VIEW IF NOT EXISTS \(quoted(schema)).\(quoted(rollup.name)) WITH (timescaledb.continuous) AS "
                + "SELECT time_bucket(\(bucket), \(quoted(time))) AS bucket, chain_id, \(values), count(*) AS rows "
                + "FROM \(quoted(schema)).\(quoted(rollup.table)) GROUP BY 1, 2 WITH NO DATA",
            "SELECT add_continuous_aggregate_policy(\(regclass(rollup.name)), start_offset => \(interval(max(86_400, 10 * rollup.bucketSeconds))), "
                + "end_offset => \(interval(rollup.bucketSeconds)), schedule_interval => \(bucket), if_not_exists => true)",
        ]
    }

    /// The same as a table that the sink fills.
    func table(of rollup: TimeSeriesOptions.Rollup) -> String {
        let columns = columns(rollup).map { ", \(quoted($0.name)) numeric" }.joined()
        return
            "CREATE TABLE IF NOT EXISTS \(quoted(schema)).\(quoted(rollup.name)) (bucket timestamp with time zone NOT NULL, chain_id numeric(20,0) NOT NULL"
            + "\(columns), rows bigint NOT NULL, PRIMARY KEY (chain_id, bucket))"
    }

    /// Makes the sums of all spans of time that a range touches anew, out of what is in the table by now. Both times in seconds since 1970.
    func refresh(_ rollup: TimeSeriesOptions.Rollup, time: String, chainID: UInt64, from first: Int, through last: Int) -> [String] {
        let size = rollup.bucketSeconds
        let start = first - first % size
        let end = last - last % size + size
        let name = "\(quoted(schema)).\(quoted(rollup.name))"
        let values = columns(rollup)
        let bucket = "to_timestamp(floor(extract(epoch FROM \(quoted(time))) / \(size)) * \(size))"
        return [
            "DELETE FROM \(name) WHERE chain_id = \(chainID) AND bucket >= to_timestamp(\(start)) AND bucket < to_timestamp(\(end))",
            "INSERT INTO \(name) (bucket, chain_id\(values.map { ", " + quoted($0.name) }.joined()), rows) "
                + "SELECT \(bucket), chain_id\(values.map { ", \($0.value)::numeric" }.joined()), count(*) "
                + "FROM \(quoted(schema)).\(quoted(rollup.table)) WHERE chain_id = \(chainID) AND \(quoted(time)) >= to_timestamp(\(start)) "
                + "AND \(quoted(time)) < to_timestamp(\(end)) GROUP BY 1, 2",
        ]
    }
}

extension Schema {
    /// The column that says when a row's block was made; nil when there is none that is never null.
    var timeField: String? {
        ["block_timestamp", "timestamp"].first { name in
            fields.contains { field in
                if case .timestamp = field.type { field.name == name && !field.nullable } else { false }
            }
        }
    }
}
