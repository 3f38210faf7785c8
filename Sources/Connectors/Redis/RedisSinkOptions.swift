public import SluiceConfig

/// What becomes of the rows of a table in Redis.
public struct RedisTableOptions: Sendable, Hashable {
    public enum Mode: String, Sendable, CaseIterable {
        /// A value a key: that of the newest block.
        case latest
        /// An entry of a stream a row.
        case stream
        /// A message a row, for who listens.
        case publish
        /// Nothing.
        case skip
    }

    public enum Form: String, Sendable, CaseIterable {
        /// One text of JSON.
        case json
        /// A field a column; nulls are left out.
        case fields
    }

    public var mode: Mode
    /// Nil: `{table}:{chain_id}`, for streams and channels.
    public var key: String?
    public var form: Form
    /// How long a value of `latest` lives after it was written; nil: for ever.
    public var timeToLive: Duration?
    /// About how many entries a stream keeps; nil: all.
    public var maxLength: Int?

    public init(_ mode: Mode, key: String? = nil, form: Form = .json, timeToLive: Duration? = nil, maxLength: Int? = nil) {
        self.mode = mode
        self.key = key
        self.form = form
        self.timeToLive = timeToLive
        self.maxLength = maxLength
    }
}

/// How the Redis sink connects and writes.
public struct RedisSinkOptions: Sendable {
    /// `redis://user:password@host:port/database`
    public var url: Secret
    /// What all keys begin with.
    public var prefix: String
    public var tables: [String: RedisTableOptions]
    /// What becomes of the others.
    public var others: RedisTableOptions.Mode
    /// A transaction is sent when it holds as many rows ...
    public var commitRows: Int
    /// ... or as many bytes, as they lie in memory. At the tip, `flush` sends each block.
    public var commitBytes: Int
    public var connectTimeout: Duration
    public var replyTimeout: Duration

    public init(
        url: String, prefix: String = "", tables: [String: RedisTableOptions] = [:], others: RedisTableOptions.Mode = .stream,
        commitRows: Int = 10_000, commitBytes: Int = 8_000_000, connectTimeout: Duration = .seconds(5),
        replyTimeout: Duration = .seconds(10)
    ) {
        self.url = Secret(url)
        self.prefix = prefix
        self.tables = tables
        self.others = others
        self.commitRows = commitRows
        self.commitBytes = commitBytes
        self.connectTimeout = connectTimeout
        self.replyTimeout = replyTimeout
    }

    private static let table = ObjectSpec(
        "What becomes of the rows of a table.",
        [
            FieldSpec(
                "mode", .choice(RedisTableOptions.Mode.allCases.map(\.rawValue)),
                "`latest`: a value a key, that of the newest block; `stream`: an entry of a stream a row, with the id `<block>-<n>`; `publish`: a message a row, for who listens at that moment; `skip`: nothing.",
                example: "latest", required: true),
            FieldSpec(
                "key", .string,
                "The key, or the channel: text with `{table}` and `{chain_id}` in it, and for `latest` columns that are never null. Required for `latest`, else `{table}:{chain_id}`.",
                example: "\"block:{chain_id}:{number}\""),
            FieldSpec(
                "format", .choice(RedisTableOptions.Form.allCases.map(\.rawValue)),
                "`json`: a row as JSON (the string at a key, the field `row` of an entry); `fields`: a field a column (of a hash, of an entry), nulls left out.",
                default: "json"),
            FieldSpec(
                "ttl", .duration(.seconds(1)...(.seconds(86_400 * 3_650))), "Of `latest`: how long a value lives after it was written.",
                example: "1h"),
            FieldSpec("max_length", .int(1...Int.max), "Of `stream`: about how many entries are kept.", example: "100000"),
        ])

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "Redis, version 5 or newer, no cluster: newest values, streams and messages. Rows and position land in one transaction (delivery `exactly_once`; of messages at most once); orphaned blocks are undone.",
        [
            FieldSpec(
                "url", .url(["redis"]), "`redis://user:password@host:port/database`; user and password are never shown. There is no TLS.",
                example: "\"${REDIS_URL}\"", required: true),
            FieldSpec("prefix", .string, "What all keys begin with; left out, nothing.", example: "\"sluice:\""),
            FieldSpec("tables", .map(.object(table), keys: .identifier), "By name, what becomes of a table's rows.", default: "{}"),
            FieldSpec(
                "others", .choice(["stream", "publish", "skip"]), "What becomes of the rows of tables that are not named.",
                default: "stream"),
            FieldSpec(
                "commit_rows", .int(1...1_000_000), "A transaction holds so many rows while it catches up.", default: "10000", unit: "rows"),
            FieldSpec(
                "commit_bytes", .bytes((1 << 16)...(512 << 20)), "A transaction holds so many bytes while it catches up.", default: "8MB"),
            FieldSpec("connect_timeout", .duration(.milliseconds(10)...(.seconds(60))), "Time to connect.", default: "5s"),
            FieldSpec(
                "reply_timeout", .duration(.milliseconds(10)...(.seconds(600))), "Time that the server may say nothing when it was asked.",
                default: "10s"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        var tables: [String: RedisTableOptions] = [:]
        for entry in options.map("tables") {
            guard let own = entry.value.object else { continue }
            tables[entry.key] = RedisTableOptions(
                RedisTableOptions.Mode(rawValue: own.string("mode")) ?? .stream, key: own.string(ifSet: "key"),
                form: RedisTableOptions.Form(rawValue: own.string("format")) ?? .json, timeToLive: own.duration(ifSet: "ttl"),
                maxLength: own.int(ifSet: "max_length"))
        }
        self.init(
            url: options.url("url").reveal(), prefix: options.string(ifSet: "prefix") ?? "", tables: tables,
            others: RedisTableOptions.Mode(rawValue: options.string("others")) ?? .stream, commitRows: options.int("commit_rows"),
            commitBytes: options.bytes("commit_bytes"), connectTimeout: options.duration("connect_timeout"),
            replyTimeout: options.duration("reply_timeout"))
    }
}
