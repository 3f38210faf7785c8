public import SluiceConfig
public import SluiceFormats

/// How rows are written to a folder of text files.
public struct FilesSinkOptions: Sendable, Hashable {
    public var format: TextRows.Format
    /// The folder; made when it is not there.
    public var directory: String
    /// A file ends at each multiple of so many blocks; 0: it grows for as long as blocks follow each other.
    public var blocksPerFile: UInt64
    /// What was taken is written when it is as many rows ...
    public var commitRows: Int
    /// ... or as many bytes, as they lie in memory. At the tip, `flush` writes each block.
    public var commitBytes: Int

    public init(
        _ format: TextRows.Format, directory: String, blocksPerFile: UInt64 = 0, commitRows: Int = 20_000, commitBytes: Int = 16_000_000
    ) {
        self.format = format
        self.directory = directory
        self.blocksPerFile = blocksPerFile
        self.commitRows = commitRows
        self.commitBytes = commitBytes
    }

    /// What a configuration may say.
    public static func spec(_ format: TextRows.Format) -> ObjectSpec {
        let what =
            switch format {
            case .csv: "CSV files (RFC 4180, with the columns' names; nothing is a null, `\"\"` an empty text)"
            case .jsonl: "files of JSON lines (numbers of more than 64 bits are strings)"
            }
        return ObjectSpec(
            "A folder of \(what), one a table, which grow. Rows and position land together (delivery `exactly_once`); orphaned blocks are cut off.",
            [
                FieldSpec("path", .path, "The folder; made when it is not there.", example: "data/\(format.rawValue)", required: true),
                FieldSpec(
                    "blocks_per_file", .oneOf([.choice(["unlimited"]), .int(1_000...1_000_000_000)]),
                    "A file ends at each multiple of so many blocks, or never.", default: "unlimited", unit: "blocks"),
                FieldSpec(
                    "commit_rows", .int(1...10_000_000), "Rows that are forced to disk together while it catches up.", default: "20000",
                    unit: "rows"),
                FieldSpec(
                    "commit_bytes", .bytes((1 << 16)...(4 << 30)), "Bytes that are forced to disk together while it catches up.",
                    default: "16MB"),
            ])
    }

    /// Out of checked options.
    public init(_ format: TextRows.Format, _ options: ConfigObject) {
        self.init(
            format, directory: options.string("path"), blocksPerFile: UInt64(options.int(ifSet: "blocks_per_file") ?? 0),
            commitRows: options.int("commit_rows"), commitBytes: options.bytes("commit_bytes"))
    }
}
