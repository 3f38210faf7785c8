public import SluiceConfig
public import SluiceCore
public import SluiceNet

/// Where a Redis server is, and how patient one is with it.
public struct RedisOptions: Sendable, Hashable {
    public var host: String
    public var port: Int
    /// Nil: the default user.
    public var user: String?
    public var password: Secret?
    public var database: Int
    /// How long connecting may take.
    public var connectTimeout: Duration
    /// How long the server may say nothing while an answer is awaited. The connection is given up then.
    public var replyTimeout: Duration
    /// How long, and in what rhythm, a call is tried again while the server cannot be reached.
    public var retry: RetryPolicy
    /// What all keys begin with.
    public var namespace: String

    public init(
        host: String = "127.0.0.1", port: Int = 6379, user: String? = nil, password: Secret? = nil, database: Int = 0,
        connectTimeout: Duration = .seconds(5), replyTimeout: Duration = .seconds(5),
        retry: RetryPolicy = RetryPolicy(base: .milliseconds(50), cap: .seconds(2), attempts: .max, budget: .seconds(30)),
        namespace: String = "sluice:state:"
    ) {
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.database = database
        self.connectTimeout = connectTimeout
        self.replyTimeout = replyTimeout
        self.retry = retry
        self.namespace = namespace
    }

    /// Out of `redis://user:password@host:port/database`, of which only the host must be there. User and password are percent-encoded
    /// where they hold what a URL gives a meaning to.
    /// - Throws: `redis_url` (class `config`); the message never holds user or password.
    public init(url: String) throws(SluiceError) { self = try RedisURL.parse(url) }

    /// The server as it may be shown.
    public var shown: String { "redis://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)/\(database)" }
}
