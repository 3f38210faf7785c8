public import SluiceConfig

extension ParquetSinkOptions {
    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "A folder, or a bucket of object storage, of Parquet files in Hive partitions (chain_id, date), named by the blocks they hold, with a manifest a span. "
            + "It takes only what is final (delivery `effectively_once`).",
        [
            FieldSpec(
                "path", .path, "The folder, made when it is not there; or `s3://bucket/prefix`.", example: "data/lake",
                required: true),
            FieldSpec(
                "blocks_per_file", .int(1...1_000_000), "A file ends at each multiple of so many blocks, and where the UTC date changes.",
                default: "1000", unit: "blocks"),
            FieldSpec("compression_level", .int(1...22), "Level of zstd.", default: "1"),
            FieldSpec(
                "row_group_rows", .int(2048...1_048_576), "Rows of a row group; one row group a table is in memory.", default: "8192",
                unit: "rows"),
            FieldSpec(
                "tip_blocks", .int(1...1_000_000),
                "At the head a file ends when it has so many blocks, so that readers see them earlier. When left out, only at a multiple.",
                example: "50", unit: "blocks"),
            FieldSpec(
                "compact", .bool,
                "Whether files that ended early (at the head, or with a run) become one when the blocks up to their multiple are there.",
                default: "true"),
            FieldSpec(
                "retention", days, "How long rows stay, from the end of their date on, in whole days. When left out, for ever.",
                example: "1825d"),
            FieldSpec("memory_limit", .bytes((16 << 20)...(1 << 40)), "What DuckDB, which writes the files, may use.", default: "72MB"),
            FieldSpec(
                "endpoint", .url(["http", "https"]), "With a bucket: the server. When left out, that of AWS in the region.",
                example: "\"${S3_ENDPOINT}\""),
            FieldSpec("region", .string, "With a bucket: its region.", default: "us-east-1"),
            FieldSpec("access_key", .string, "With a bucket: the id of the key.", example: "\"${AWS_ACCESS_KEY_ID}\""),
            FieldSpec("secret_key", .string, "With a bucket: the key.", example: "\"${AWS_SECRET_ACCESS_KEY}\"", secret: true),
            FieldSpec(
                "session_token", .string, "With a bucket: the token of a key that expires.", example: "\"${AWS_SESSION_TOKEN}\"",
                secret: true),
            FieldSpec(
                "path_style", .bool,
                "With a bucket: whether its name is in the path, not in the host's. When left out: with an `endpoint`.",
                example: "true"),
            FieldSpec(
                "part_size", .bytes((5 << 20)...(1 << 30)), "With a bucket: larger files go up in parts of this size.", default: "8MiB"),
            FieldSpec("spool", .path, "With a bucket: where files are made before they go up.", default: "data/spool"),
            FieldSpec(
                "versioning", .bool,
                "With a bucket: `true` has it keep what is replaced or removed. Otherwise it is left as it is.", example: "true"),
            FieldSpec(
                "old_versions_after", days, "With a bucket: when versions go that are not the newest, by a rule of the bucket.",
                example: "30d"),
            FieldSpec(
                "unfinished_after", days, "With a bucket: when uploads are given up that never ended, by a rule of the bucket.",
                example: "7d"),
            FieldSpec("warm_after", days, "With a bucket: when files go to `warm_class`, by a rule of the bucket.", example: "30d"),
            FieldSpec("warm_class", .string, "With a bucket: the storage class of files that are read seldom.", default: "STANDARD_IA"),
            FieldSpec("cold_after", days, "With a bucket: when files go to `cold_class`, by a rule of the bucket.", example: "365d"),
            FieldSpec("cold_class", .string, "With a bucket: the storage class of files that are kept.", default: "GLACIER"),
        ])

    private static let days = ValueType.duration(.seconds(86_400) ... .seconds(86_400 * 36_500))

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        let path = options.string("path")
        let bucket = BucketOptions(path, options)
        self.init(
            directory: bucket.map { "\(options.string("spool"))/\($0.shown.dropFirst(5))" } ?? path,
            blocksPerFile: UInt64(options.int("blocks_per_file")),
            compressionLevel: options.int("compression_level"), rowGroupRows: options.int("row_group_rows"),
            memoryLimitBytes: options.bytes("memory_limit"), bucket: bucket, tipBlocks: options.int(ifSet: "tip_blocks").map(UInt64.init),
            compacts: options.bool("compact"), retentionDays: options.days("retention"))
        let own = ["versioning", "old_versions_after", "unfinished_after", "warm_after", "cold_after"]
        if bucket == nil, let misplaced = own.first(where: options.has) { problem = "\(misplaced) is for buckets, but \(path) is a folder" }
    }
}

extension BucketOptions {
    /// Nil when the path names a folder.
    fileprivate init?(_ path: String, _ options: ConfigObject) {
        guard let (bucket, prefix) = BucketOptions.parse(path) else { return nil }
        let (region, endpoint) = (options.string("region"), options.url(ifSet: "endpoint"))
        self.init(
            bucket: bucket, prefix: prefix, endpoint: endpoint?.reveal() ?? "https://s3.\(region).amazonaws.com", region: region,
            accessKey: options.string(ifSet: "access_key") ?? "", secretKey: options.secret(ifSet: "secret_key")?.reveal() ?? "",
            sessionToken: options.secret(ifSet: "session_token")?.reveal(),
            pathStyle: options.bool(ifSet: "path_style") ?? (endpoint != nil),
            partBytes: options.bytes("part_size"), settings: BucketSettings(options))
    }
}

extension BucketSettings {
    fileprivate init(_ options: ConfigObject) {
        func step(_ name: String) -> Step? {
            options.days("\(name)_after").map { Step(days: $0, storageClass: options.string("\(name)_class")) }
        }
        self.init(
            versioning: options.bool(ifSet: "versioning") ?? false, warm: step("warm"), cold: step("cold"),
            oldVersionDays: options.days("old_versions_after"), unfinishedDays: options.days("unfinished_after"))
    }
}

extension ConfigObject {
    /// Whole days; what is begun of one counts.
    fileprivate func days(_ field: String) -> Int? {
        duration(ifSet: field).map { Int(($0.components.seconds + 86_399) / 86_400) }
    }
}
