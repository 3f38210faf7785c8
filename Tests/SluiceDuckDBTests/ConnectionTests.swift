import Foundation
import SluiceCore
import SluiceDuckDB
import Testing

@Suite struct ConnectionTests {
    private func all(_ sql: String) async throws -> [[DuckDBValue]] {
        let connection = try DuckDBConnection(DuckDBDatabase(path: nil))
        _ = try await connection.query(sql)
        var rows: [[DuckDBValue]] = []
        while let more = try await connection.next() { rows += more }
        return rows
    }

    @Test(
        "each type is shown as itself",
        arguments: [
            ("true", "true"), ("(-128)::TINYINT", "-128"), ("65535::USMALLINT", "65535"), ("4294967295::UINTEGER", "4294967295"),
            ("18446744073709551615::UBIGINT", "18446744073709551615"),
            ("'-170141183460469231731687303715884105728'::HUGEINT", "-170141183460469231731687303715884105728"),
            ("'340282366920938463463374607431768211455'::UHUGEINT", "340282366920938463463374607431768211455"),
            ("'-36893488147419103231'::BIGNUM", "-36893488147419103231"), ("0::BIGNUM", "0"), ("1.5::FLOAT", "1.5"), ("0.1::DOUBLE", "0.1"),
            ("'-0.05'::DECIMAL(4,2)", "-0.05"), ("'12345678901234567890.123'::DECIMAL(38,3)", "12345678901234567890.123"),
            ("'a''b'", "a'b"), ("'\\x00\\xff'::BLOB", "0x00ff"), ("DATE '2024-02-29'", "2024-02-29"), ("DATE '1969-12-31'", "1969-12-31"),
            ("TIME '23:59:59.000001'", "23:59:59.000001"), ("TIMESTAMP '2015-07-30 15:26:13'", "2015-07-30T15:26:13"),
            ("TIMESTAMPTZ '2015-07-30 15:26:13+00'", "2015-07-30T15:26:13Z"),
            ("TIMESTAMP '1900-03-01 00:00:00.5'", "1900-03-01T00:00:00.500000"),
            ("INTERVAL 14 MONTH", "14 months 0 days 00:00:00"), ("NULL", "NULL"), ("[1, NULL, 3]", "[1, NULL, 3]"),
            ("{'a': 1, 'b': 'x'}", "{'a': 1, 'b': x}"), ("MAP {'k': 2}", "{k=2}"), ("'ok'::ENUM('ok', 'no')", "ok"),
            ("'00000000-0000-0000-0000-0000000000ff'::UUID", "00000000-0000-0000-0000-0000000000ff"),
        ])
    func shown(expression: String, text: String) async throws {
        #expect(try await all("SELECT \(expression) AS v -- the end\n;").map { $0.map(\.description) } == [[text]])
    }

    @Test("names and order stay when columns are cast to text")
    func names() async throws {
        let connection = try DuckDBConnection(DuckDBDatabase(path: nil))
        let columns = try await connection.query("SELECT i AS \"the \"\"i\", [i] AS list FROM range(3) r(i) ORDER BY i DESC")
        #expect(columns.map(\.name) == ["the \"i", "list"])
        #expect(try await connection.next() == [[.int(2), .text("[2]")], [.int(1), .text("[1]")], [.int(0), .text("[0]")]])
        #expect(try await connection.next() == nil)
    }

    @Test("a large result comes in parts, and a query that runs for ever ends when its task is cancelled")
    func cancelling() async throws {
        #expect(try await all("SELECT i FROM range(100000) r(i)").count == 100_000)
        let connection = try DuckDBConnection(DuckDBDatabase(path: nil))
        // Awaited below.
        let endless = Task { try await connection.query("SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)") }
        await Task.yield()
        endless.cancel()
        await #expect(throws: CancellationError.self) { try await endless.value }
        #expect(try await connection.query("SELECT 1").count == 1)
    }

    @Test("a statement that is wrong says where")
    func wrong() async throws {
        let error = await #expect(throws: SluiceError.self) { try await all("SELECT nothing FROM nowhere") }
        #expect(error?.code == .duckdbSQL)
        #expect(error?.message.contains("nowhere") == true)
    }

    @Test("one process opens a file once, and again when it is closed")
    func twice() throws {
        try withFolder { folder in
            let path = "\(folder)/x.duckdb"
            var first: DuckDBDatabase? = try DuckDBDatabase(path: path)
            #expect(first != nil)
            let error = #expect(throws: SluiceError.self) {
                try DuckDBDatabase(path: "\(folder)/../\(folder.split(separator: "/").last ?? "")/x.duckdb")
            }
            #expect(error?.code == .duckdbLocked)
            first = nil
            _ = try DuckDBDatabase(path: path)
        }
    }

    @Test("a file that is no database is a config error, and stays as it is")
    func garbage() throws {
        try withFolder { folder in
            let path = "\(folder)/x.duckdb"
            try Data("this is a text file, not a database, and it is long enough to have a header".utf8).write(to: URL(filePath: path))
            for size in [nil, 16_384] {
                let error = #expect(throws: SluiceError.self) { try DuckDBDatabase(path: path, rowGroupSize: size) }
                #expect(error?.class == .config)
            }
            #expect(try Data(contentsOf: URL(filePath: path)).starts(with: Data("this is".utf8)))
        }
    }

    @Test("a file that another process has open names it")
    func lockedElsewhere() throws {
        try withFolder { folder in
            let path = "\(folder)/x.duckdb"
            let other = Process()
            other.executableURL = URL(filePath: "/usr/bin/env")
            let cache = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache"
            other.environment = [
                "PYTHONPATH": "\(cache)/sluice/duckdb-2.0.0", "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin",
            ]
            other.arguments = [
                "python3", "-c", "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()", path,
            ]
            let (input, output) = (Pipe(), Pipe())
            other.standardInput = input
            other.standardOutput = output
            try other.run()
            defer {
                try? input.fileHandleForWriting.close()
                other.waitUntilExit()
            }
            guard output.fileHandleForReading.availableData.first == UInt8(ascii: "1") else {
                withKnownIssue("SKIPPED: python3 cannot import duckdb; run scripts/setup") { Issue.record("no second process") }
                return
            }
            for size in [nil, 16_384] {
                let error = #expect(throws: SluiceError.self) { try DuckDBDatabase(path: path, rowGroupSize: size) }
                #expect(error?.code == .duckdbLocked)
                #expect(error?.class == .pause)
                #expect(error?.message.contains("process \(other.processIdentifier)") == true)
            }
        }
    }

    @Test("a file opened to read refuses writes")
    func readOnly() throws {
        try withFolder { folder in
            let path = "\(folder)/x.duckdb"
            try DuckDBDatabase(path: path, rowGroupSize: 16_384).connect().execute("CREATE TABLE t AS SELECT 1 AS x")
            let session = try DuckDBDatabase(path: path, readOnly: true).connect()
            #expect(try session.rows("SELECT x FROM t") == [[.int(1)]])
            let error = #expect(throws: SluiceError.self) { try session.execute("DELETE FROM t") }
            #expect(error?.message.contains("read-only") == true)
        }
    }
}

/// A folder for one test.
func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
}
