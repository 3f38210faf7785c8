public import SluiceConfig

extension ParquetSinkOptions {
    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "A folder of Parquet files in Hive partitions (chain_id, date), named by the blocks they hold, with a manifest a span. "
            + "It takes only what is final (delivery `effectively_once`).",
        [
            FieldSpec("path", .path, "The folder; made when it is not there.", example: "data/lake", required: true),
            FieldSpec(
                "blocks_per_file", .int(1...1_000_000), "A file ends at each multiple of so many blocks, and where the UTC date changes.",
                default: "1000", unit: "blocks"),
            FieldSpec("compression_level", .int(1...22), "Level of zstd.", default: "1"),
            FieldSpec(
                "row_group_rows", .int(2048...1_048_576), "Rows of a row group; one row group a table is in memory.", default: "8192",
                unit: "rows"),
            FieldSpec("memory_limit", .bytes((16 << 20)...(1 << 40)), "What DuckDB, which writes the files, may use.", default: "24MB"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(
            directory: options.string("path"), blocksPerFile: UInt64(options.int("blocks_per_file")),
            compressionLevel: options.int("compression_level"), rowGroupRows: options.int("row_group_rows"),
            memoryLimitBytes: options.bytes("memory_limit"))
    }
}
