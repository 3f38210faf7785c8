import SluiceCore

/// How the tables of a sink are cut by time: those of `network_metrics` in their own way, all others as `time_series` says.
struct PostgresSeries {
    /// Of one table.
    struct Cut {
        let tables: TimeSeriesTables
        /// The column that it is cut by.
        let time: String
    }

    private let own: TimeSeriesTables?
    private let metrics: TimeSeriesTables?

    /// Asks the server what it can do, where it matters.
    init(_ options: PostgresSinkOptions, _ connection: () throws -> PostgresConnection) throws {
        guard options.timeSeries != nil || options.metricsSeries != nil else {
            (own, metrics) = (nil, nil)
            return
        }
        let edition = try TimescaleEdition.detect(try connection())
        own = options.timeSeries.map { TimeSeriesTables(options: $0, edition: edition, schema: options.schema) }
        metrics = options.metricsSeries.map { TimeSeriesTables(options: $0, edition: edition, schema: options.schema) }
    }

    /// Not at all.
    init() { (own, metrics) = (nil, nil) }

    /// Whether a table is one of the set, which has all columns that are summed up.
    func isMetric(_ table: String) -> Bool { metrics != nil && PostgresTableSet.metrics.contains(table) }

    /// What the server can do; nil when nobody has asked.
    var edition: TimescaleEdition? { (own ?? metrics)?.edition }

    /// Nil for a table that is in one piece.
    func cut(of table: Schema) -> Cut? {
        if isMetric(table.name), let metrics { return Cut(tables: metrics, time: PostgresTableSet.metricsTime) }
        guard let own, let time = table.timeField else { return nil }
        return Cut(tables: own, time: time)
    }

    /// What is summed up of which tables, each with how its table is cut.
    var rollups: [(rollup: TimeSeriesOptions.Rollup, tables: TimeSeriesTables)] {
        let others = own.map { own in own.options.rollups.filter { !isMetric($0.table) }.map { ($0, own) } } ?? []
        return others + (metrics.map { metrics in metrics.options.rollups.map { ($0, metrics) } } ?? [])
    }
}
