public import SluiceConfig
import SluiceCore

/// How the PostgreSQL sink connects and writes.
public struct PostgresSinkOptions: Sendable {
    /// `postgresql://user:password@host:port/database`.
    public var url: Secret
    /// The server without what is secret.
    public var shown: String
    /// The schema that the tables are in.
    public var schema: String
    /// A transaction is committed when it holds as many rows ...
    public var commitRows: Int
    /// ... or as many bytes, as they lie in memory. At the tip, `flush` commits each block.
    public var commitBytes: Int
    public var connectSeconds: Int
    /// How long one statement may take.
    public var statementSeconds: Int
    /// How tables are cut by time; nil: not at all.
    public var timeSeries: TimeSeriesOptions?
    /// Sets of tables that `sluice migrate` makes.
    public var tableSets: [PostgresTableSet]

    public init(
        url: String, shown: String, schema: String = "public", commitRows: Int = 50_000, commitBytes: Int = 32_000_000,
        connectSeconds: Int = 10,
        statementSeconds: Int = 600, timeSeries: TimeSeriesOptions? = nil, tableSets: [PostgresTableSet] = []
    ) {
        self.tableSets = tableSets
        self.timeSeries = timeSeries
        self.url = Secret(url)
        self.shown = shown
        self.schema = schema
        self.commitRows = commitRows
        self.commitBytes = commitBytes
        self.connectSeconds = connectSeconds
        self.statementSeconds = statementSeconds
    }

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "PostgreSQL, or TimescaleDB as one. Rows and position land in one transaction (delivery `exactly_once`); orphaned blocks are deleted.",
        [
            FieldSpec(
                "url", .url(["postgresql", "postgres"]), "The server and database. The password in it is never shown.",
                example: "\"${POSTGRES_URL}\"", required: true),
            FieldSpec("schema", .string, "The schema that the tables are made in; made when it is not there.", default: "public"),
            FieldSpec(
                "commit_rows", .int(1...10_000_000), "A transaction is committed when it holds so many rows.", default: "50000",
                unit: "rows"),
            FieldSpec(
                "commit_bytes", .bytes((1 << 16)...(4 << 30)), "A transaction is committed when it holds so many bytes.", default: "32MB"),
            FieldSpec("connect_timeout", .duration(.seconds(1)...(.seconds(600))), "Time to connect.", default: "10s"),
            FieldSpec(
                "time_series", .object(TimeSeriesOptions.spec),
                "Cuts tables by time, drops old rows, keeps sums. Left out, none of that is done."),
            FieldSpec(
                "table_sets", .list(.choice(PostgresTableSet.allCases.map(\.rawValue)), count: 0...PostgresTableSet.allCases.count),
                "Sets of tables that `sluice migrate apply` makes in the schema: `network_metrics` (fees, blocks, relays, rollups, health; cut by time, by default in "
                    + "chunks of 1h, compressed after 7d, dropped after 90d, with `gas_metrics_5min` and `l2_costs_hourly`) and `provider_imports` (blocks and prices as "
                    + "providers hand them over).", default: "[]"),
            FieldSpec("statement_timeout", .duration(.seconds(1)...(.seconds(86_400))), "Time for one statement.", default: "10m"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        let url = options.url("url")
        self.init(
            url: url.reveal(), shown: url.host + (url.port.map { ":\($0)" } ?? ""), schema: options.string("schema"),
            commitRows: options.int("commit_rows"), commitBytes: options.bytes("commit_bytes"),
            connectSeconds: Int(options.duration("connect_timeout").components.seconds),
            statementSeconds: Int(options.duration("statement_timeout").components.seconds),
            timeSeries: options.object(ifSet: "time_series").map { TimeSeriesOptions($0) },
            tableSets: (options.value("table_sets")?.list ?? []).compactMap { $0.string.flatMap(PostgresTableSet.init) })
    }

    /// Makes sure that the server would take names as they are: longer ones it cuts, so that two could become one.
    func requireNames() throws(SluiceError) {
        for (what, name) in [("schema", schema)] + (timeSeries?.rollups ?? []).map({ ("rollup", $0.name) }) {
            let problem =
                name.isEmpty
                ? "is empty" : name.utf8.contains(0) ? "has a zero byte" : name.utf8.count > 63 ? "has more than 63 bytes" : nil
            guard let problem else { continue }
            throw SluiceError(
                .postgresSchema, .config, "the name of the \(what) \"\(name.prefix(80))\" of the sink at \(shown) \(problem)",
                mend: "choose another name")
        }
    }

    /// What a plan says: what becomes of tables that are cut by time depends on the server, which is asked when it is opened.
    public var facts: [String] {
        guard let series = timeSeries else { return [] }
        func time(_ seconds: Int) -> String { Duration.seconds(seconds).configText }
        let chunk = time(series.chunkSeconds)
        var facts = ["tables in chunks of \(chunk): hypertables with TimescaleDB, else partitions of PostgreSQL's own"]
        if let after = series.compressAfterSeconds {
            facts.append("chunks compressed after \(time(after)): by TimescaleDB's full edition alone; no other server can")
        }
        if let after = series.dropAfterSeconds {
            facts.append("chunks dropped after \(time(after)): by a policy of TimescaleDB's full edition, else by the sink once an hour")
        }
        for rollup in series.rollups {
            facts.append(
                "\(rollup.name) from \(rollup.table) every \(time(rollup.bucketSeconds)): a continuous aggregate of TimescaleDB's full edition, else a table that "
                    + "the sink keeps in the transaction of the rows")
        }
        return facts
    }
}
