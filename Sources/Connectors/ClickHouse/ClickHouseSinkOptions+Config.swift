public import SluiceConfig

extension ClickHouseSinkOptions {
    private static let partitions = ValueType.choice(Partition.allCases.map(\.rawValue))
    private static let compressions = ValueType.choice(Compression.allCases.map(\.rawValue))
    private static let retention = ValueType.duration(.seconds(3600)...(.seconds(86_400 * 36_500)))

    private static let table = ObjectSpec(
        "What one table is like, where it is not like the others. It counts when the table is made; only `ttl` of one that is there can be changed.",
        [
            FieldSpec("partition_by", partitions, "By what its rows are parted."),
            FieldSpec(
                "order_by", .list(.string, count: 1...16),
                "Columns that its rows are sorted by; what of the row's key is missing comes behind them. By default chain, block, and the rest of the key."
            ),
            FieldSpec("ttl", retention, "Rows whose block is older are deleted by the server."),
            FieldSpec("compression", compressions, "How its columns are compressed."),
        ])

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "ClickHouse over HTTP, 18.16 or later. Rows are idempotent by their key (`ReplacingMergeTree`, delivery `effectively_once`): read tables with `FINAL`, or the views `<table>_current`.",
        [
            FieldSpec(
                "url", .url(["http", "https"]), "The server's HTTP interface. A user and password in it are never shown.",
                example: "\"${CLICKHOUSE_URL}\"", required: true),
            FieldSpec("database", .string, "The database that the tables are in; made when it is not there.", default: "default"),
            FieldSpec("user", .string, "Who writes; the server's default when it is left out."),
            FieldSpec("password", .string, "The user's.", example: "\"${CLICKHOUSE_PASSWORD}\"", secret: true),
            FieldSpec(
                "hold_back", .bool,
                "Take only blocks that are final. Otherwise every block at once; orphaned rows are then marked as deleted.", default: "true"
            ),
            FieldSpec("partition_by", partitions, "By what rows are parted: the time of their block.", default: "month"),
            FieldSpec("ttl", retention, "Rows whose block is older are deleted by the server.", example: "365d"),
            FieldSpec("compression", compressions, "How columns are compressed; `auto` looks at what they hold.", default: "auto"),
            FieldSpec("tables", .map(.object(table), keys: .identifier), "Tables that are not like the others, by name.", default: "{}"),
            FieldSpec(
                "table_sets", .list(.choice(ClickHouseTableSet.allCases.map(\.rawValue)), count: 0...ClickHouseTableSet.allCases.count),
                "Sets of tables that `sluice migrate apply` makes in the database: `avalanche` (chains, blocks, transfers, staking, metrics, exchanges, bridges).",
                default: "[]"),
            FieldSpec(
                "cluster", .string,
                "Make tables on each server of this cluster (`<table>_local`), and write to `Distributed` tables over them."),
            FieldSpec("batch_rows", .int(1...10_000_000), "An insert is made when it holds so many rows.", default: "200000", unit: "rows"),
            FieldSpec("batch_bytes", .bytes((1 << 16)...(1 << 30)), "An insert is made when it holds so many bytes.", default: "96MB"),
            FieldSpec(
                "inserts", .int(1...64),
                "Inserts that are under way at once at most, each into a table of its own; fewer while the server has too much to do.",
                default: "4"),
            FieldSpec("connect_timeout", .duration(.seconds(1)...(.seconds(600))), "Time to connect.", default: "10s"),
            FieldSpec("request_timeout", .duration(.seconds(1)...(.seconds(86_400))), "Time for one request.", default: "5m"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        let url = options.url("url")
        self.init(
            url: url.reveal(), shown: url.host + (url.port.map { ":\($0)" } ?? ""), database: options.string("database"),
            user: options.string(ifSet: "user"), password: options.secret(ifSet: "password"), cluster: options.string(ifSet: "cluster"),
            holdsBack: options.bool("hold_back"), partition: Partition(rawValue: options.string("partition_by")) ?? .month,
            ttl: options.duration(ifSet: "ttl"), compression: Compression(rawValue: options.string("compression")) ?? .auto,
            tables: Dictionary(
                options.map("tables").map { ($0.key, Table($0.value.object)) }, uniquingKeysWith: { first, _ in first }),
            batchRows: options.int("batch_rows"), batchBytes: options.bytes("batch_bytes"),
            inserts: options.int("inserts"), connectTimeout: options.duration("connect_timeout"),
            requestTimeout: options.duration("request_timeout"))
        tableSets = (options.value("table_sets")?.list ?? []).compactMap { $0.string.flatMap(ClickHouseTableSet.init) }
    }
}

extension ClickHouseSinkOptions.Table {
    fileprivate init(_ options: ConfigObject?) {
        self.init(
            partition: options?.string(ifSet: "partition_by").flatMap { .init(rawValue: $0) },
            order: options?.value("order_by")?.list?.compactMap(\.string) ?? [], ttl: options?.duration(ifSet: "ttl"),
            compression: options?.string(ifSet: "compression").flatMap { .init(rawValue: $0) })
    }
}
