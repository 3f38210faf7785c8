import SluiceConfig
import SluiceCore
import Testing

@testable import RedisConnector

/// What needs no server.
@Suite struct RedisTextTests {
    @Test("URLs are read whole")
    func urls() throws {
        let bare = try RedisOptions(url: "redis://cache")
        #expect(bare.host == "cache" && bare.port == 6379 && bare.database == 0 && bare.user == nil && bare.password == nil)
        let full = try RedisOptions(url: "REDIS://us%65r:p%40ss%3a%2F@10.0.0.1:7000/12")
        #expect(full.host == "10.0.0.1" && full.port == 7000 && full.database == 12)
        #expect(full.user == "user" && full.password?.reveal() == "p@ss:/")
        #expect(full.shown == "redis://10.0.0.1:7000/12" && !"\(full)".contains("p@ss"))
        let six = try RedisOptions(url: "redis://:x@[::1]:1/")
        #expect(six.host == "::1" && six.port == 1 && six.user == nil && six.shown == "redis://[::1]:1/0")
        // What was forgotten to encode: the last at sign is what counts, as everywhere.
        #expect(try RedisOptions(url: "redis://u:p@ss@h").password?.reveal() == "p@ss")
    }

    @Test(
        "what is no URL of a server is refused, with a mend and without a password",
        arguments: [
            "", "hush", "http://h", "rediss://u:hush@h", "redis://", "redis://:6379", "redis://u:hush@", "redis://hush@h",
            "redis://u:hush%@h", "redis://u:hush%zz@h", "redis://u:hush%ff@h", "redis://u:@h", "redis://h:0", "redis://h:65536",
            "redis://h:+1", "redis://h:1x", "redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h/99999999", "redis://h?db=1",
            "redis://h#1", "redis://[::1", "redis://[]:1", "redis://[::1]x", "redis://a b", "redis://h\n", "redis://h\0",
        ])
    func badURLs(_ url: String) {
        let error = #expect(throws: SluiceError.self) { _ = try RedisOptions(url: url) }
        #expect(error?.code == .redisURL && error?.class == .config && error?.mend?.isEmpty == false)
        #expect(error.map { "\($0)\($0.debugDescription)".contains("hush") } == false)
    }

    @Test(
        "what a server says has the class of what is to be done",
        arguments: [
            ("LOADING Redis is loading the dataset in memory", .retry), ("BUSY Redis is busy running a script.", .retry),
            ("READONLY You can't write against a read only replica.", .retry), ("MASTERDOWN Link with MASTER is down", .retry),
            ("ERR max number of clients reached", .retry), ("NOAUTH Authentication required.", .config),
            ("WRONGPASS invalid username-password pair", .config), ("NOPERM this user has no permissions", .config),
            ("ERR AUTH <password> called without any password configured", .config), ("ERR invalid password", .config),
            ("ERR DB index is out of range", .config), ("MOVED 3999 127.0.0.1:6381", .config),
            ("ERR unknown command `EVAL`, with args beginning with:", .config), ("OOM command not allowed", .pause),
            ("MISCONF Redis is configured to save RDB snapshots", .pause), ("WRONGTYPE Operation against a key", .pause),
            ("ERR something new", .pause), ("", .pause),
        ] as [(String, SluiceError.Class)])
    func faults(_ text: String, _ expected: SluiceError.Class) {
        let error = RedisFault.error(text, server: "redis://h:1/0")
        #expect(error.class == expected && error.mend?.isEmpty == false && error.message.contains("redis://h:1/0"))
    }

    @Test("settings that may lose something are told")
    func settings() {
        func warnings(_ info: String, _ sync: String?) -> Int { RedisSettings(info: info, appendfsync: sync).warnings.count }
        #expect(warnings("# Persistence\r\naof_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", "always") == 0)
        #expect(warnings("aof_enabled:0\r\n", "everysec") == 1)
        #expect(warnings("aof_enabled:1\r\n", "everysec") == 1)
        #expect(warnings("aof_enabled:1\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", "always") == 1)
        #expect(warnings("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", nil) == 0)
        #expect(warnings("", nil) == 0)
    }

    @Test("parts of keys come back as they were", arguments: ["", "a", ":", "%", "%3A", "%:%", "a:b%c", "e\u{301}", "\n\0"])
    func keys(_ part: String) throws {
        let key = StateKey(pipeline: "p", prefix: part, id: part)
        #expect(RedisKey.key(of: "p", field: RedisKey.field(key)) == key)
        for broken in ["", "a", "a:b:c", "%:a", "%2:a", "%41:a"] { #expect(RedisKey.key(of: "p", field: Array(broken.utf8)) == nil) }
    }
}
