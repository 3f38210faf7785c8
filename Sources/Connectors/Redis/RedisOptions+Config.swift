public import SluiceConfig
public import SluiceCore
import SluiceNet

extension RedisOptions {
    /// What a configuration may say below `shared_state.redis`.
    public static let spec = ObjectSpec(
        "A Redis server, version 4 or newer, that is no cluster. It keeps what it acknowledges as well as it is set to: `appendonly yes` and `appendfsync always`.",
        [
            FieldSpec(
                "url", .url(["redis"]),
                "Where it is: `redis://user:password@host:port/database`; all but the host may be left out. User and password are never shown. There is no TLS: reach it through a private network or a tunnel.",
                example: "\"${REDIS_URL}\"", required: true),
            FieldSpec(
                "namespace", .string, "What all keys begin with. Processes share what they keep under the same.",
                default: "\(standard.namespace)"),
            FieldSpec(
                "connect_timeout", .duration(.milliseconds(10)...(.seconds(60))), "Time to connect.", default: "5s"),
            FieldSpec(
                "reply_timeout", .duration(.milliseconds(10)...(.seconds(60))), "Time that the server may say nothing when it was asked.",
                default: "5s"),
            FieldSpec(
                "retry_budget", .duration(.milliseconds(10)...(.seconds(3600))),
                "How long a change waits for a server that cannot be reached. Reading does not wait: what was read last counts.",
                default: "30s"),
        ])

    private static let standard = RedisOptions()

    /// Out of options that passed their spec.
    /// - Throws: `redis_url` (class `config`); the message never holds user or password.
    public init(_ options: ConfigObject) throws(SluiceError) {
        try self.init(url: options.url("url").reveal())
        namespace = options.string("namespace")
        connectTimeout = options.duration("connect_timeout")
        replyTimeout = options.duration("reply_timeout")
        retry.budget = options.duration("retry_budget")
    }

    /// What is wrong in options that passed their spec.
    public static func problems(_ options: ConfigObject) -> [OptionProblem] {
        do throws(SluiceError) {
            _ = try RedisOptions(options)
            return []
        } catch { return [OptionProblem(options.value("url")?.mark ?? options.mark, ".url", error.message, error.mend)] }
    }
}
