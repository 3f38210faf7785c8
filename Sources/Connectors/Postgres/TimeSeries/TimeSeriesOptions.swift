public import SluiceConfig

/// How tables are cut by time, what becomes of old rows, and what is summed up of them.
public struct TimeSeriesOptions: Sendable, Hashable {
    /// What is made of the rows of a table within each span of time.
    public struct Rollup: Sendable, Hashable {
        public enum Function: String, Sendable, Hashable, CaseIterable {
            case avg, min, max, sum, count
        }

        /// The table that holds the results.
        public var name: String
        public var table: String
        /// Length of a span of time, in seconds.
        public var bucketSeconds: Int
        /// By column, in the order of their names.
        public var columns: [Column]

        public struct Column: Sendable, Hashable {
            public var name: String
            public var functions: [Function]

            public init(_ name: String, _ functions: [Function]) {
                self.name = name
                self.functions = functions
            }
        }

        public init(name: String, table: String, bucketSeconds: Int, columns: [Column]) {
            self.name = name
            self.table = table
            self.bucketSeconds = bucketSeconds
            self.columns = columns
        }
    }

    /// Length of a chunk, in seconds: that much time lies together.
    public var chunkSeconds: Int
    /// Chunks that are as old are compressed, where the server can do that; nil: never.
    public var compressAfterSeconds: Int?
    /// Chunks that are as old are dropped; nil: never.
    public var dropAfterSeconds: Int?
    public var rollups: [Rollup]

    public init(chunkSeconds: Int, compressAfterSeconds: Int? = nil, dropAfterSeconds: Int? = nil, rollups: [Rollup] = []) {
        self.chunkSeconds = chunkSeconds
        self.compressAfterSeconds = compressAfterSeconds
        self.dropAfterSeconds = dropAfterSeconds
        self.rollups = rollups
    }

    private static let rollup = ObjectSpec(
        "What is made of the rows of a table within each span of time, for each chain.",
        [
            FieldSpec("table", .string, "The table that is summed up.", example: "blocks", required: true),
            FieldSpec(
                "bucket", .duration(.seconds(1)...(.seconds(366 * 86_400))), "The length of a span of time.", example: "5m", required: true),
            FieldSpec(
                "columns", .map(.list(.choice(Rollup.Function.allCases.map(\.rawValue)), count: 1...5), keys: .identifier),
                "By column, what is made of it; the result's column is called `<column>_<function>`.",
                example: "{ gas_used: [avg, max] }", required: true),
        ])

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "Cuts tables by time. With TimescaleDB they are hypertables; its full edition compresses, drops and sums up by itself. Its Apache edition and plain "
            + "PostgreSQL (native partitions) do not compress; there the sink drops what is old, once an hour, and keeps the sums itself, in the "
            + "transaction of the rows.",
        [
            FieldSpec(
                "chunk", .duration(.seconds(60)...(.seconds(366 * 86_400))), "Length of a chunk: that much time lies together.",
                default: "1h"),
            FieldSpec(
                "compress_after", .duration(.seconds(60)...(.seconds(36_500 * 86_400))), "The age at which a chunk is compressed.",
                example: "7d"),
            FieldSpec(
                "drop_after", .duration(.seconds(60)...(.seconds(36_500 * 86_400))),
                "The age at which a chunk is dropped, by its blocks' time. A backfill of blocks that are older is in vain.", example: "90d"),
            FieldSpec("rollups", .map(.object(rollup), keys: .identifier), "Tables of sums, by name.", default: "{}"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(
            chunkSeconds: Int(options.duration("chunk").components.seconds),
            compressAfterSeconds: options.duration(ifSet: "compress_after").map { Int($0.components.seconds) },
            dropAfterSeconds: options.duration(ifSet: "drop_after").map { Int($0.components.seconds) },
            rollups: options.map("rollups").compactMap { entry in
                entry.value.object.map { rollup in
                    Rollup(
                        name: entry.key, table: rollup.string("table"), bucketSeconds: Int(rollup.duration("bucket").components.seconds),
                        columns: rollup.map("columns").map { column in
                            Rollup.Column(column.key, (column.value.list ?? []).compactMap { $0.string.flatMap(Rollup.Function.init) })
                        }.sorted { $0.name < $1.name })
                }
            }.sorted { $0.name < $1.name })
    }
}
