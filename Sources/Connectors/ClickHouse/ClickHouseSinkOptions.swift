public import SluiceConfig

/// How the ClickHouse sink connects, and what its tables are like.
public struct ClickHouseSinkOptions: Sendable {
    /// By what rows are parted.
    public enum Partition: String, Sendable, CaseIterable { case none, day, month, year }

    /// How columns are compressed.
    public enum Compression: String, Sendable, CaseIterable {
        /// By what a column holds: numbers and times as differences, patterns by zstd, the rest as the server does.
        case auto
        /// As the server does.
        case server
        case lz4
        case zstd
    }

    /// What a table is like, where it is not like the others.
    public struct Table: Sendable, Hashable {
        public var partition: Partition?
        /// The first columns of the sort key; what of the row's key is missing comes behind them.
        public var order: [String]
        public var ttl: Duration?
        public var compression: Compression?

        public init(partition: Partition? = nil, order: [String] = [], ttl: Duration? = nil, compression: Compression? = nil) {
            self.partition = partition
            self.order = order
            self.ttl = ttl
            self.compression = compression
        }
    }

    /// The HTTP interface, without a slash at its end. May hold a user and a password.
    public var url: Secret
    /// The server without what is secret.
    public var shown: String
    public var database: String
    public var user: String?
    public var password: Secret?
    /// The name of a cluster that the tables are spread over.
    public var cluster: String?
    /// Whether only what is final is taken.
    public var holdsBack: Bool
    public var partition: Partition
    public var ttl: Duration?
    public var compression: Compression
    public var tables: [String: Table]
    /// Sets of tables that `sluice migrate` makes.
    public var tableSets: [ClickHouseTableSet] = []
    /// An insert is made when it holds as many rows ...
    public var batchRows: Int
    /// ... or as many bytes, as they lie in memory. At the tip, `flush` inserts each block.
    public var batchBytes: Int
    /// Inserts that are under way at once at most, each into a table of its own.
    public var inserts: Int
    public var connectTimeout: Duration
    public var requestTimeout: Duration
    /// How long is waited before an insert that failed in passing is made again with the same token.
    public var retries: [Duration] = [.milliseconds(200), .seconds(1), .seconds(3)]

    public init(
        url: String, shown: String, database: String = "default", user: String? = nil, password: Secret? = nil, cluster: String? = nil,
        holdsBack: Bool = true, partition: Partition = .month, ttl: Duration? = nil, compression: Compression = .auto,
        tables: [String: Table] = [:], batchRows: Int = 200_000, batchBytes: Int = 96_000_000, inserts: Int = 4,
        connectTimeout: Duration = .seconds(10),
        requestTimeout: Duration = .seconds(300)
    ) {
        self.url = Secret(url)
        self.shown = shown
        self.database = database
        self.user = user
        self.password = password
        self.cluster = cluster
        self.holdsBack = holdsBack
        self.partition = partition
        self.ttl = ttl
        self.compression = compression
        self.tables = tables
        self.batchRows = batchRows
        self.batchBytes = batchBytes
        self.inserts = inserts
        self.connectTimeout = connectTimeout
        self.requestTimeout = requestTimeout
    }

    /// Where requests go.
    var endpoint: Substring {
        let text = url.reveal()[...]
        return text.last == "/" ? text.dropLast() : text
    }
}
