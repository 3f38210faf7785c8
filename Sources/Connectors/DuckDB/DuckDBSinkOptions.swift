/// How the DuckDB sink writes. The defaults were measured: see `docs/adr/0002-amounts-and-bytes-in-sql.md`.
public struct DuckDBSinkOptions: Sendable, Hashable {
    /// How hard DuckDB works to make the file small.
    public enum Compression: String, Sendable, CaseIterable {
        /// Numbers are packed, bytes are kept as they are: half the CPU, twice the file.
        case fast
        /// All of DuckDB's methods.
        case small
    }

    /// The database file; its folder is made when it is not there.
    public var path: String
    /// What DuckDB may use, in bytes; the rest goes to its temporary folder beside the file.
    public var memoryLimitBytes: Int
    /// A transaction is committed when it holds as many rows ...
    public var commitRows: Int
    /// ... or as many bytes, as they lie in memory. At the tip, `flush` commits each block.
    public var commitBytes: Int
    /// Bytes that are gathered before they are handed to DuckDB, inside the open transaction.
    public var stageBytes: Int
    /// Rows a row group of a new file holds; a multiple of 2,048.
    public var rowGroupSize: Int
    public var compression: Compression

    public init(
        path: String, memoryLimitBytes: Int = 48_000_000, commitRows: Int = 150_000, commitBytes: Int = 96_000_000,
        stageBytes: Int = 12_000_000, rowGroupSize: Int = 16_384, compression: Compression = .fast
    ) {
        self.path = path
        self.memoryLimitBytes = memoryLimitBytes
        self.commitRows = commitRows
        self.commitBytes = commitBytes
        self.stageBytes = stageBytes
        self.rowGroupSize = rowGroupSize
        self.compression = compression
    }

    /// DuckDB's settings that follow.
    var settings: [String: String] {
        [
            "memory_limit": "\(memoryLimitBytes)B", "temp_directory": path + ".tmp", "preserve_insertion_order": "true",
            "block_allocator_memory": "\(memoryLimitBytes)B",
            "allocator_flush_threshold": "1TB", "allocator_bulk_deallocation_flush_threshold": "1TB",
        ]
    }
}
