import SluiceCore
import SluiceDuckDB
import Testing

@Suite struct ReaderTests {
    private func database() throws -> DuckDBDatabase {
        let database = try DuckDBDatabase(path: nil)
        try database.connect().execute("CREATE TABLE t AS SELECT range AS n FROM range(3)")
        return database
    }

    @Test("a reader answers what reads", arguments: ["SELECT n FROM t ORDER BY n", "SHOW TABLES", "DESCRIBE t", "EXPLAIN SELECT 1"])
    func reads(_ sql: String) throws {
        let reader = try DuckDBReader(try database())
        #expect(try !reader.start(sql).isEmpty)
        #expect(try reader.next()?.isEmpty == false)
    }

    @Test(
        "a reader refuses what would change something, however it is dressed, and nothing changes",
        arguments: [
            "DELETE FROM t", "INSERT INTO t VALUES (9)", "DROP TABLE t", "CREATE TABLE u (a INT)", "EXPLAIN ANALYZE DELETE FROM t",
            "SET threads = 4", "PRAGMA memory_limit='1GB'", "COPY t TO '/nowhere/x.csv'", "ATTACH ':memory:' AS other", "CHECKPOINT",
        ])
    func refuses(_ sql: String) throws {
        let database = try database()
        let reader = try DuckDBReader(database)
        let error = #expect(throws: SluiceError.self) {
            _ = try reader.start(sql)
            while try reader.next() != nil {}
        }
        #expect(error?.code == .duckdbNotARead)
        #expect(try database.connect().rows("SELECT count(*) FROM t").first?.first == .int(3))
    }

    @Test("two statements at once are refused")
    func two() throws {
        let reader = try DuckDBReader(try database())
        #expect(throws: SluiceError.self) { try reader.start("SELECT 1; DELETE FROM t") }
    }

    @Test("an interrupted reader stops")
    func interrupted() throws {
        let reader = try DuckDBReader(try database())
        reader.interrupt()
        #expect(throws: CancellationError.self) { _ = try reader.start("SELECT count(*) FROM range(1000000000) a, range(1000000) b") }
    }
}
