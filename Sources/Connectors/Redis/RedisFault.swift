public import SluiceCore

extension SluiceError.Code {
    /// The URL of a Redis server is none.
    public static let redisURL = SluiceError.Code("redis_url")
    /// The Redis server does not answer, or not now.
    public static let redisUnavailable = SluiceError.Code("redis_unavailable")
    /// The Redis server does not let us in.
    public static let redisRefused = SluiceError.Code("redis_refused")
    /// The Redis server cannot do what is needed.
    public static let redisUnfit = SluiceError.Code("redis_unfit")
    /// The Redis server cannot write, or has something else under our keys.
    public static let redisStuck = SluiceError.Code("redis_stuck")
}

/// Turns what a Redis server says into errors that name it and what mends them.
enum RedisFault {
    /// The codes of what passes by itself: a start, a failover, a slow script of somebody else.
    private static let passing: Set<String> = ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "UNBLOCKED"]

    /// The error for an answer that is one.
    static func error(_ text: String, server: String) -> SluiceError {
        let code = String(text.prefix { $0 != " " })
        let shown = "redis at \(server) says: \(text.prefix(200))"
        switch code {
        case _ where passing.contains(code): return unavailable(text, server: server)
        case _ where text.hasPrefix("ERR max number of clients"): return unavailable(text, server: server)
        case _ where text.hasPrefix("ERR Protocol error: invalid bulk length"):
            return SluiceError(
                .redisTooLong, .retry, shown,
                mend: "raise the server's proto-max-bulk-len; what is too long is left out when it is sent again")
        case "NOAUTH", "WRONGPASS", "NOPERM":
            return SluiceError(.redisRefused, .config, shown, mend: "check user and password in the URL, and what the user may do")
        case _ where text.hasPrefix("ERR invalid password") || text.hasPrefix("ERR Client sent AUTH") || text.hasPrefix("ERR AUTH"):
            return SluiceError(.redisRefused, .config, shown, mend: "check user and password in the URL")
        case _ where text.hasPrefix("ERR DB index") || text.hasPrefix("ERR invalid DB index"):
            return SluiceError(.redisRefused, .config, shown, mend: "name a database that the server has at the end of the URL")
        case "CROSSSLOT", "MOVED", "ASK":
            return SluiceError(.redisUnfit, .config, shown, mend: "use a Redis server that is no cluster; replicas are fine")
        case _ where text.hasPrefix("ERR unknown command") || text.hasPrefix("ERR Unknown Redis command"):
            return SluiceError(.redisUnfit, .config, shown, mend: "use Redis 4 or newer, with EVAL allowed")
        case "OOM":
            return SluiceError(.redisStuck, .pause, shown, mend: "raise the server's maxmemory; nothing that was acknowledged is lost")
        case "MISCONF":
            return SluiceError(.redisStuck, .pause, shown, mend: "see to the server's disk; nothing that was acknowledged is lost")
        case "WRONGTYPE":
            return SluiceError(.redisStuck, .pause, shown, mend: "something else uses our keys: give it another database")
        default: return SluiceError(.redisStuck, .pause, shown, mend: "see the server's log")
        }
    }

    /// It cannot be reached, or answers no more; it may soon.
    static func unavailable(_ words: String, server: String) -> SluiceError {
        SluiceError(
            .redisUnavailable, .retry, "redis at \(server): \(words.prefix(200))",
            mend: "see to it that the server runs and can be reached from here")
    }

    /// Something is stored that this program has not written.
    static func foreign(_ words: String, server: String) -> SluiceError {
        SluiceError(
            .redisStuck, .pause, "redis at \(server): \(words)",
            mend: "something else uses our keys, or a newer Sluice: give this one another database")
    }
}
