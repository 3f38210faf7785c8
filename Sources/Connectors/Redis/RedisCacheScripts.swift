/// What the cache runs inside the server. For each key there are two: `v:<key>`, the value behind how long its computation took, and
/// `l:<key>`, the token of who computes it, both with an end.
enum RedisCacheScripts {
    /// Arguments: value's key, lock's key, token, how long the lock holds, what to do: `look`; `early`: the lock only.
    /// Returns `hit`, value, milliseconds left; or `yours`: it is to be computed by whoever asked; or `wait`: somebody else does.
    static let look = """
        if ARGV[5] == 'look' then
          local value = redis.call('GET', ARGV[1])
          if value then return {'hit', value, redis.call('PTTL', ARGV[1])} end
        end
        if redis.call('SET', ARGV[2], ARGV[3], 'NX', 'PX', ARGV[4]) then return {'yours'} end
        return {'wait'}
        """

    /// Arguments: value's key, lock's key, token, value, how long it counts. Returns 1 when it was kept, 0 when the lock was lost.
    static let store = """
        if redis.call('GET', ARGV[2]) ~= ARGV[3] then return 0 end
        redis.call('SET', ARGV[1], ARGV[4], 'PX', ARGV[5])
        redis.call('DEL', ARGV[2])
        return 1
        """

    /// Arguments: lock's key, token, how long it holds from now; 0 lets it go. Returns 1 when it was held.
    static let hold = """
        if redis.call('GET', ARGV[1]) ~= ARGV[2] then return 0 end
        if ARGV[3] == '0' then return redis.call('DEL', ARGV[1]) end
        return redis.call('PEXPIRE', ARGV[1], ARGV[3])
        """
}

/// A value as it is kept: how many milliseconds its computation took, and the value. Pure.
struct RedisCachedValue: Equatable {
    let cost: UInt64
    let bytes: [UInt8]

    init(cost: UInt64, bytes: [UInt8]) { (self.cost, self.bytes) = (cost, bytes) }

    /// Reads what `text` wrote; nil for anything else.
    init?(_ text: [UInt8]) {
        guard let space = text.prefix(24).firstIndex(of: UInt8(ascii: " ")),
            let cost = UInt64(String(decoding: text[..<space], as: UTF8.self))
        else { return nil }
        self.init(cost: cost, bytes: Array(text[(space + 1)...]))
    }

    var text: [UInt8] { Array("\(cost) ".utf8) + bytes }
}

/// How long who waits for another process sleeps before it looks again, and when it has waited for long enough. Pure.
struct RedisCacheWait {
    let limit: Duration
    private var slept = Duration.zero
    private var next = Duration.milliseconds(5)

    init(limit: Duration) { self.limit = limit }

    /// Nil: it computes itself.
    mutating func sleep() -> Duration? {
        guard slept < limit else { return nil }
        let now = min(next, limit - slept)
        slept += now
        next = min(next * 2, .milliseconds(200))
        return now
    }
}
