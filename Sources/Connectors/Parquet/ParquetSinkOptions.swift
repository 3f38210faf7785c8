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
    /// Bytes that may wait for the open files, all together.
    public var queueBytes: Int
    /// At the head a file ends when it has so many blocks; nil: only where all files end.
    public var tipBlocks: UInt64?
    /// Whether files that ended early become one when the blocks up to their regular end are there.
    public var compacts: Bool
    /// Days that rows stay, counted from the end of their date; nil: for ever.
    public var retentionDays: Int?
    /// Why this cannot be, found when it was read; said when the sink is opened.
    public var problem: String?

    public init(
        directory: String, blocksPerFile: UInt64 = 1_000, compressionLevel: Int = 1, rowGroupRows: Int = 8_192,
        memoryLimitBytes: Int = 72_000_000, queueBytes: Int = 6_000_000, bucket: BucketOptions? = nil,
        tipBlocks: UInt64? = nil, compacts: Bool = true, retentionDays: Int? = nil
    ) {
        self.directory = directory
        self.blocksPerFile = max(1, blocksPerFile)
        self.compressionLevel = compressionLevel
        self.rowGroupRows = rowGroupRows
        self.memoryLimitBytes = memoryLimitBytes
        self.queueBytes = queueBytes
        self.bucket = bucket
        self.tipBlocks = tipBlocks.map { max(1, $0) }
        self.compacts = compacts
        self.retentionDays = retentionDays
        problem = bucket?.settings.contradiction(retention: retentionDays)
    }

    /// The oldest date, in days since 1970, of which rows stay on a day.
    func oldest(on today: Int64) -> Int64? { retentionDays.map { today - Int64($0) } }

    /// The oldest date of which files can be read at once: older ones may be in cold storage.
    func readable(on today: Int64) -> Int64? { bucket?.settings.cold.map { today - Int64($0.days) } }

    /// What every COPY says. DuckDB gives a column a dictionary when it holds less than a twentieth as many values as rows; a tenth makes files of
    /// blocks smaller by 3 % and takes a twelfth less time.
    var copyOptions: String {
        "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL \(compressionLevel), ROW_GROUP_SIZE \(rowGroupRows), "
            + "DICTIONARY_SIZE_LIMIT \(rowGroupRows / 10)"
    }
}
