import SluiceTelemetry
import Synchronization
import Testing

@Suite struct LogTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
        func log(_ level: LogLevel) -> Log {
            // 2026-01-31T12:34:56.789Z, from Python's calendar.timegm.
            Log(level: level, clock: { 1_769_862_896_789_000 }, sink: { line in self.all.withLock { $0.append(line) } })
        }
        var text: String { all.withLock { $0.joined() } }
    }

    @Test("a line holds time, level, message and fields")
    func line() {
        let lines = Lines()
        lines.log(.info).warning("disk almost full", ["free": 12, "path": "/data", "ok": false, "note": "a b"])
        let expected =
            "time=2026-01-31T12:34:56.789Z level=warning msg=\"disk almost full\" free=12 path=/data ok=false note=\"a b\"\n"
        #expect(lines.text == expected)
    }

    @Test("no text from outside can forge a line or drive the terminal")
    func escaping() {
        let lines = Lines()
        lines.log(.info).info("x", ["v": "a\nlevel=error \"q\" \\ \u{1B}[2J\u{202E}\u{85}é"])
        #expect(lines.text.hasSuffix("v=\"a\\nlevel=error \\\"q\\\" \\\\ \\u{1b}[2J\\u{202e}\\u{85}é\"\n"))
        #expect(lines.text.utf8.count { $0 == 10 } == 1)
    }

    @Test("lines below the level are not written, nor are their fields made")
    func levels() {
        let lines = Lines()
        let log = lines.log(.warning)
        var made = 0
        func field() -> LogValue {
            made += 1
            return "x"
        }
        log.debug("a", ["f": field()])
        log.info("b", ["f": field()])
        log.warning("c", ["f": field()])
        log.error("d", ["f": field()])
        Log.disabled.error("e", ["f": field()])
        #expect(made == 2)
        #expect(lines.all.withLock { $0.count } == 2)
    }

    @Test("a level is known by its name", arguments: [("debug", LogLevel.debug), ("WARN", .warning), ("error", .error), ("loud", nil)])
    func names(name: String, level: LogLevel?) { #expect(LogLevel(name: name) == level) }
}

@Suite struct RedactedURLTests {
    @Test(
        "user, password, path and query never show",
        arguments: [
            ("https://mainnet.example.com/v3/0123456789abcdef", "https://mainnet.example.com/***"),
            ("http://user:pass@host:8545", "http://host:8545"), ("https://host?key=abc", "https://host/***"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545/***"), ("https://user:pa/ss@host/x", "https://***/***"),
            ("http://[::1]:80/k", "http://[::1]:80/***"), ("https://a@b@host", "https://host"), ("secret", "***"), ("", "***"),
            ("my key://x", "***"), ("http://ho st/x", "http://***/***"),
        ])
    func redacted(url: String, shown: String) { #expect(RedactedURL(url).description == shown) }
}
