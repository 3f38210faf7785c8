/// How the Parquet sink writes.
public struct ParquetSinkOptions: Sendable, Hashable {
    /// The folder; made when it is not there.
    /// With a bucket: where files are made before they go up.
    public var directory: String
    /// Where the files go; nil: they stay in the folder.
    public var bucket: BucketOptions?
    /// A file ends at each multiple of so many blocks, and at each change of the UTC date.
    public var blocksPerFile: UInt64
    /// zstd's level: 1 (quick) to 22.
    public var compressionLevel: Int
    /// Rows a row group holds. A row group is in memory until it is whole, once a table.
    public var rowGroupRows: Int
    /// What DuckDB may use for all open files, in bytes.
    public var memoryLimitBytes: Int
    /// Bytes that may wait for each open file.
    public var queueBytes: Int

    public init(
        directory: String, blocksPerFile: UInt64 = 1_000, compressionLevel: Int = 1, rowGroupRows: Int = 8_192,
        memoryLimitBytes: Int = 24_000_000, queueBytes: Int = 1_000_000, bucket: BucketOptions? = nil
    ) {
        self.directory = directory
        self.blocksPerFile = max(1, blocksPerFile)
        self.compressionLevel = compressionLevel
        self.rowGroupRows = rowGroupRows
        self.memoryLimitBytes = memoryLimitBytes
        self.queueBytes = queueBytes
        self.bucket = bucket
    }

    /// What every COPY says.
    var copyOptions: String {
        "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL \(compressionLevel), ROW_GROUP_SIZE \(rowGroupRows)"
    }
}
