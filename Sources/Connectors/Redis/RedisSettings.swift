import SluiceCore

/// What a server says of how it keeps things: whether what it acknowledged survives a power cut is up to its settings, not to us.
struct RedisSettings: Hashable {
    private var values: [String: String] = [:]

    /// Asks. What the server does not tell (not every user may ask) is left out.
    init(by connection: RedisConnection) throws(SluiceError) {
        if case .bytes(let text) = try connection.run(RedisCommand("INFO")) { read(info: String(decoding: text, as: UTF8.self)) }
        if case .array(let pair) = try connection.run(RedisCommand("CONFIG", "GET", "appendfsync")), pair.count == 2,
            case .bytes(let value) = pair[1]
        {
            values["appendfsync"] = String(decoding: value, as: UTF8.self)
        }
    }

    init(info: String, appendfsync: String? = nil) {
        read(info: info)
        values["appendfsync"] = appendfsync
    }

    private mutating func read(info: String) {
        for line in info.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
    }

    /// What the operator should know.
    var warnings: [String] {
        var found: [String] = []
        if values["aof_enabled"] == "0" {
            found.append("its append-only file is off, so that a crash loses what was acknowledged: set appendonly yes, appendfsync always")
        } else if let sync = values["appendfsync"], sync != "always" {
            found.append("appendfsync is \(sync), so that a power cut loses what was acknowledged last: set appendfsync always")
        }
        if let policy = values["maxmemory_policy"], policy.hasPrefix("allkeys"), values["maxmemory"].map({ $0 != "0" }) ?? false {
            found.append("maxmemory-policy is \(policy), so that it throws keys away when it is full: set noeviction")
        }
        return found
    }
}
