public import SluiceConfig

/// What is special about one table.
public struct InfluxTableOptions: Sendable, Hashable {
    /// Columns that are tags beside those of the key.
    public var tags: [String]
    /// The columns that are fields; nil: all that are no tags. The block's number always is one.
    public var fields: [String]?
    /// The fields that tiers keep sums of.
    public var rollup: [String]

    public init(tags: [String] = [], fields: [String]? = nil, rollup: [String] = []) {
        self.tags = tags
        self.fields = fields
        self.rollup = rollup
    }
}

/// How the InfluxDB sink connects and writes.
public struct InfluxSinkOptions: Sendable {
    /// Which of the two ways to talk to the server.
    public enum Interface: Sendable, Hashable {
        /// `/write?db=`, of InfluxDB 1.
        case database(String, retentionPolicy: String?)
        /// `/api/v2/write?org=&bucket=`, of InfluxDB 2 and 3.
        case bucket(String, org: String)
    }

    /// Scheme, host, port, and a path when there is one.
    public var url: Secret
    /// The server without what is secret.
    public var shown: String
    /// Nil when the configuration does not say which: `open` refuses it.
    public var interface: Interface?
    public var username: String?
    public var password: Secret?
    public var token: Secret?
    /// Whether a database of InfluxDB 1 that is not there is made.
    public var createsDatabase: Bool
    /// How long rows are kept; nil: as the store is set.
    public var retention: Duration?
    /// Sums of rows, kept longer than those.
    public var tiers: [InfluxTier]
    /// `{table}` and `{pipeline}` stand for their names.
    public var measurement: String
    public var tables: [String: InfluxTableOptions]
    /// Whether amounts stand as doubles, too.
    public var addsFloats: Bool
    /// A request is sent when it holds so many rows, ...
    public var batchRows: Int
    /// ... so many bytes before they are compressed, ...
    public var batchBytes: Int
    /// ... or when a row has waited so long. At the tip, `flush` sends each block.
    public var batchAge: Duration
    /// Requests that are under way at once at most; fewer while the server has too much to do.
    public var requests: Int
    public var compresses: Bool
    public var timeout: Duration
    /// How long a request is tried again.
    public var retryBudget: Duration

    public init(
        url: String, shown: String, interface: Interface?, username: String? = nil, password: String? = nil, token: String? = nil,
        createsDatabase: Bool = true, retention: Duration? = nil, tiers: [InfluxTier] = [], measurement: String = "{table}",
        tables: [String: InfluxTableOptions] = [:], addsFloats: Bool = false,
        batchRows: Int = 5_000, batchBytes: Int = 4 << 20, batchAge: Duration = .seconds(5), requests: Int = 4, compresses: Bool = true,
        timeout: Duration = .seconds(30), retryBudget: Duration = .seconds(60)
    ) {
        self.url = Secret(url)
        self.shown = shown
        self.interface = interface
        self.username = username
        self.password = password.map { Secret($0) }
        self.token = token.map { Secret($0) }
        self.createsDatabase = createsDatabase
        self.retention = retention
        self.tiers = tiers
        self.measurement = measurement
        self.tables = tables
        self.addsFloats = addsFloats
        self.batchRows = batchRows
        self.batchBytes = batchBytes
        self.batchAge = batchAge
        self.requests = requests
        self.compresses = compresses
        self.timeout = timeout
        self.retryBudget = retryBudget
    }
}
