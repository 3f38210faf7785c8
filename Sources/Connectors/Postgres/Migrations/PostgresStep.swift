import SluiceConfig
import SluiceCore

/// A part of a migration. Statements hold `{schema}` for the sink's schema, and `{cut}` where a plain server is told how a table is cut.
enum PostgresStep: Sendable, Hashable {
    case sql(String)
    /// A table of `network_metrics` becomes a hypertable where the server has those.
    case cut(String)
    /// A continuous aggregate of the full edition, else a table of sums.
    case rollup(TimeSeriesOptions.Rollup)

    /// The same in every database.
    var definition: String {
        switch self {
        case .sql(let text): text
        case .cut(let table): "cut \(table) by \(PostgresTableSet.metricsTime)"
        case .rollup(let rollup):
            "sum up \(rollup.table) as \(rollup.name) every \(rollup.bucketSeconds) seconds: "
                + rollup.columns.map { "\($0.name) \($0.functions.map(\.rawValue).joined(separator: " "))" }.joined(separator: ", ")
        }
    }
}

/// A migration with the parts that make its statements.
struct PostgresScript: Sendable {
    let migration: Migration
    let steps: [PostgresStep]

    init(_ number: Int, _ name: String, set: PostgresTableSet? = nil, _ steps: [PostgresStep]) {
        migration = Migration(number, name, set: set?.rawValue, definition: steps.map(\.definition))
        self.steps = steps
    }

    /// Whether it must be known how the server cuts tables.
    var needsEdition: Bool {
        steps.contains { step in
            if case .sql = step { false } else { true }
        }
    }

    /// Statements for one schema of one server. Pure.
    /// - Parameter series: how the set's tables are cut; nil for a migration that cuts none.
    func rendered(schema: String, series: TimeSeriesTables?) -> MigrationScript {
        var statements: [String] = []
        for step in steps {
            switch step {
            case .sql(let text): statements.append(Self.filled(text, schema: schema, series: series))
            case .cut(let table):
                statements += series?.shaping(table, time: PostgresTableSet.metricsTime, order: PostgresTableSet.metricsTime) ?? []
            case .rollup(let rollup):
                guard let series else { continue }
                // A rollup of the same name in the configuration counts.
                let chosen = series.options.rollups.first { $0.name == rollup.name } ?? rollup
                statements +=
                    series.edition == .full ? series.aggregate(chosen, time: PostgresTableSet.metricsTime) : [series.table(of: chosen)]
            }
        }
        return MigrationScript(statements, notes: series.map(notes) ?? [])
    }

    private static func filled(_ text: String, schema: String, series: TimeSeriesTables?) -> String {
        let isPartitioned = series?.edition == .plain
        let cut = isPartitioned ? " PARTITION BY RANGE (\(PostgresConnection.quoted(PostgresTableSet.metricsTime)))" : ""
        // What is put in is not looked at again: a schema may be called as it likes.
        return pieces(text, by: "{schema}").map { pieces($0, by: "{cut}").joined(separator: cut) }
            .joined(separator: PostgresConnection.quoted(schema))
    }

    private static func pieces(_ text: String, by mark: String) -> [String] {
        var out: [String] = []
        var rest = text[...]
        while let found = rest.firstRange(of: mark) {
            out.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return out + [String(rest)]
    }

    /// What this edition makes of it.
    private func notes(_ series: TimeSeriesTables) -> [String] {
        func time(_ seconds: Int) -> String { Duration.seconds(seconds).configText }
        let options = series.options
        var notes: [String] = []
        if steps.contains(where: { if case .cut = $0 { true } else { false } }) {
            let chunk = time(options.chunkSeconds)
            switch series.edition {
            case .full: notes.append("hypertables with chunks of \(chunk)")
            case .apache: notes.append("hypertables with chunks of \(chunk); this edition has no policies")
            case .plain: notes.append("partitions of \(chunk), made by the sink as rows come")
            }
            if let after = options.compressAfterSeconds {
                notes.append(
                    series.edition == .full
                        ? "chunks are compressed after \(time(after)) by a policy"
                        : "nothing is compressed after \(time(after)): this server cannot")
            }
            if let after = options.dropAfterSeconds {
                notes.append(
                    "chunks are dropped after \(time(after)) " + (series.edition == .full ? "by a policy" : "by the sink, once an hour"))
            }
        }
        for case .rollup(let rollup) in steps {
            notes.append(
                "\(rollup.name) is "
                    + (series.edition == .full ? "a continuous aggregate" : "a table that the sink keeps in the transaction of the rows"))
        }
        return notes
    }
}
