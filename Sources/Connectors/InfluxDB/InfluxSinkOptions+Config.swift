public import SluiceConfig

extension InfluxSinkOptions {
    private static let table = ObjectSpec(
        "How one table becomes points.",
        [
            FieldSpec(
                "tags", .list(.string, count: 0...32), "Columns that are tags beside those of the key. Each value makes a series.",
                default: "[]"),
            FieldSpec(
                "fields", .list(.string, count: 1...256), "Columns that are fields; all others when left out.", example: "[gas_used]"),
            FieldSpec(
                "rollup", .list(.string, count: 1...64),
                "Fields that `tiers` sum up: numbers; of amounts the doubles, with `float_fields`.", example: "[gas_used]"),
        ])
    private static let retention = ValueType.duration(.seconds(3600)...(.seconds(86_400 * 36_500)))
    private static let tier = ObjectSpec(
        "Sums of rows over windows of time, kept when the rows are forgotten.",
        [
            FieldSpec("retention", retention, "How long its points are kept.", example: "365d", required: true),
            FieldSpec("every", .duration(.seconds(1)...(.seconds(86_400))), "How long a window is.", example: "5m", required: true),
            FieldSpec(
                "functions", .list(.choice(InfluxTier.Function.allCases.map(\.rawValue)), count: 1...7),
                "How the values of a window become one; each makes a field `<name>_<function>`.", default: "[mean, min, max, last]"),
        ])

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "InfluxDB 1 (`database`) or 2 (`bucket`), and what speaks as they do, by line protocol. A row is a point that is written over by itself when it "
            + "comes again; it takes only what is final (delivery `effectively_once`).",
        [
            FieldSpec("url", .url(["http", "https"]), "The server.", example: "\"${INFLUXDB_URL}\"", required: true),
            FieldSpec(
                "version", .choice(["1", "2"]),
                "Which way to talk to the server. When left out: 2 with a `bucket`, 1 with a `database`.", example: "2"),
            FieldSpec("database", .string, "Version 1: the database.", example: "chain"),
            FieldSpec(
                "retention_policy", .string, "Version 1: the retention policy, when it is not the database's own.", example: "autogen"),
            FieldSpec("create_database", .bool, "Version 1: makes the database when it is not there.", default: "true"),
            FieldSpec(
                "retention", retention,
                "How long rows are kept. With a `database` the sink makes the retention policy `hot` (or the one that is named) and keeps it at that; with a `bucket` it changes the bucket's rule. As the store is set when left out.",
                example: "30d"),
            FieldSpec(
                "tiers", .map(.object(tier), keys: .identifier),
                "Sums of rows that are kept longer, by name: a retention policy each, or a bucket `<bucket>_<name>`. The fields are those that `rollup` of `tables` names.",
                example: "{ warm: { retention: 365d, every: 5m }, cold: { retention: 1825d, every: 1h } }"),
            FieldSpec("username", .string, "Version 1: the user.", example: "sluice"),
            FieldSpec("password", .string, "Version 1: the password.", example: "\"${INFLUXDB_PASSWORD}\"", secret: true),
            FieldSpec("bucket", .string, "Version 2: the bucket.", example: "chain"),
            FieldSpec("org", .string, "Version 2: the organisation, by name.", example: "main"),
            FieldSpec("token", .string, "Version 2: the token.", example: "\"${INFLUXDB_TOKEN}\"", secret: true),
            FieldSpec(
                "measurement", .string, "The measurement of a row; `{table}` and `{pipeline}` stand for their names.", default: "{table}"),
            FieldSpec(
                "tables", .map(.object(table), keys: .identifier), "What is special about tables, by name.",
                example: "{ erc20_transfers: { tags: [token_address] } }"),
            FieldSpec(
                "float_fields", .bool, "Beside each amount, which is text so that no digit is lost, the nearest double as `<name>_float`.",
                default: "false"),
            FieldSpec("batch_rows", .int(1...1_000_000), "A request is sent when it holds so many rows.", default: "5000", unit: "rows"),
            FieldSpec(
                "batch_bytes", .bytes((1 << 10)...(1 << 28)), "A request is sent when it holds so many bytes, before compression.",
                default: "4MiB"),
            FieldSpec(
                "batch_age", .duration(.milliseconds(1)...(.seconds(3600))), "A request is sent when a row has waited so long.",
                default: "5s"),
            FieldSpec(
                "requests", .int(1...64),
                "Requests that are under way at once at most. It begins with one, and goes back to fewer while the server has too much to do.",
                default: "4"),
            FieldSpec("gzip", .bool, "Compresses requests.", default: "true"),
            FieldSpec("timeout", .duration(.milliseconds(100)...(.seconds(3600))), "Time for one request.", default: "30s"),
            FieldSpec(
                "retry_budget", .duration(.zero...(.seconds(86_400))), "Time for all attempts of one request.", default: "1m"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        let url = options.url("url")
        func names(_ value: ConfigValue?) -> [String]? { value?.list.map { $0.compactMap(\.string) } }
        var tables: [String: InfluxTableOptions] = [:]
        for entry in options.value("tables")?.map ?? [] {
            guard let own = entry.value.object else { continue }
            tables[entry.key] = InfluxTableOptions(
                tags: names(own.value("tags")) ?? [], fields: names(own.value("fields")), rollup: names(own.value("rollup")) ?? [])
        }
        func tiers(_ entries: [ConfigEntry]) -> [InfluxTier] {
            entries.compactMap { entry in
                entry.value.object.map { own in
                    InfluxTier(
                        name: entry.key, retention: own.duration("retention"), every: own.duration("every"),
                        functions: (names(own.value("functions")) ?? []).compactMap(InfluxTier.Function.init(rawValue:)))
                }
            }
        }
        let (database, bucket) = (options.string(ifSet: "database"), options.string(ifSet: "bucket"))
        let interface: Interface? =
            switch (options.string(ifSet: "version"), database, bucket) {
            case (nil, let name?, nil), ("1", let name?, _):
                .database(
                    name, retentionPolicy: options.string(ifSet: "retention_policy") ?? (options.value("retention") == nil ? nil : "hot"))
            case (nil, nil, let name?), ("2", _, let name?): .bucket(name, org: options.string(ifSet: "org") ?? "")
            default: nil
            }
        self.init(
            url: url.reveal(), shown: "\(url.host)" + (url.port.map { ":\($0)" } ?? ""), interface: interface,
            username: options.string(ifSet: "username"), password: options.secret(ifSet: "password")?.reveal(),
            token: options.secret(ifSet: "token")?.reveal(), createsDatabase: options.bool("create_database"),
            retention: options.duration(ifSet: "retention"), tiers: tiers(options.value("tiers")?.map ?? []),
            measurement: options.string("measurement"), tables: tables, addsFloats: options.bool("float_fields"),
            batchRows: options.int("batch_rows"), batchBytes: options.bytes("batch_bytes"), batchAge: options.duration("batch_age"),
            requests: options.int("requests"),
            compresses: options.bool("gzip"), timeout: options.duration("timeout"), retryBudget: options.duration("retry_budget"))
    }
}
