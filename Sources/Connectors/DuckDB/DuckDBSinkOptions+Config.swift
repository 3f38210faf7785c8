public import SluiceConfig

extension DuckDBSinkOptions {
    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "An embedded DuckDB file: no server needed. Rows and position land in one transaction (delivery `exactly_once`); "
            + "orphaned blocks are deleted.",
        [
            FieldSpec("path", .path, "The database file; made when it is not there.", example: "data/sluice.duckdb", required: true),
            FieldSpec(
                "memory_limit", .bytes((16 << 20)...(1 << 40)), "What DuckDB may use; beyond it goes to a temporary folder.",
                default: "48MB"),
            FieldSpec(
                "commit_rows", .int(1...100_000_000), "A transaction is committed when it holds so many rows.", default: "150000",
                unit: "rows"),
            FieldSpec(
                "commit_bytes", .bytes((1 << 16)...(64 << 30)), "A transaction is committed when it holds so many bytes.", default: "96MB"),
            FieldSpec(
                "row_group_size", .int(2048...1_048_576), "Rows of a row group of a new file; a multiple of 2048.", default: "16384",
                unit: "rows"),
            FieldSpec(
                "compression", .choice(Compression.allCases.map(\.rawValue)),
                "`fast`: numbers are packed, bytes stay as they are; `small`: half the file, more CPU.", default: "fast"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(
            path: options.string("path"), memoryLimitBytes: options.bytes("memory_limit"), commitRows: options.int("commit_rows"),
            commitBytes: options.bytes("commit_bytes"), rowGroupSize: options.int("row_group_size") / 2048 * 2048,
            compression: Compression(rawValue: options.string("compression")) ?? .fast)
    }
}
