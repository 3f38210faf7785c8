import CDuckDB
public import SluiceCore
import Synchronization

/// One statement that only reads, on the calling thread: rows are made as they are asked for. Only `interrupt` may be called
/// from elsewhere.
public final class DuckDBReader: @unchecked Sendable {
    // SAFETY: `session` and `cursor` are touched by the thread that made the reader; `target` is behind its lock.
    private let session: DuckDBSession
    private var cursor: Cursor?
    private let target: Mutex<Target>

    private struct Target: @unchecked Sendable {
        // SAFETY: DuckDB allows an interrupt from any thread; the handle is taken out before the connection goes.
        var handle: duck_handle?
        var isInterrupted = false
    }

    /// A connection of its own on `database`.
    public init(_ database: DuckDBDatabase) throws {
        session = try database.connect()
        target = Mutex(Target(handle: session.handle))
    }

    deinit {
        target.withLock { $0.handle = nil }
        cursor = nil
    }

    /// Stops what runs, from any thread; what follows fails with `CancellationError`.
    public func interrupt() {
        target.withLock { target in
            target.isInterrupted = true
            if let handle = target.handle { duck_interrupt(handle) }
        }
    }

    private var isInterrupted: Bool { target.withLock { $0.isInterrupted } }

    /// Starts a statement and returns the names of its columns.
    /// - Throws: `duckdb.not_a_read` for anything that could change something, `duckdb.sql` with DuckDB's own text otherwise.
    public func start(_ sql: String) throws -> [String] {
        try begin(sql)
        let cursor = try refusing { try Cursor(session, sql: sql) { self.isInterrupted } }
        self.cursor = cursor
        return cursor.reader.names
    }

    /// What DuckDB says when it stops a write is about the statement, not about the disk.
    private func refusing<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch let error as SluiceError where error.message.contains("read-only mode") {
            throw Self.notARead
        }
    }

    private static let notARead = SluiceError(
        .duckdbNotARead, .config, "the statement would do more than read",
        mend: "only SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are answered: the tables belong to the pipelines that write them")

    /// The next rows (up to some thousands); nil when there are no more.
    public func next() throws -> [[DuckDBValue]]? {
        if isInterrupted { throw CancellationError() }
        return try cursor?.next()
    }

    /// Writes what a query gives into a Parquet file, or with `partitions` into a folder of them, and returns how many rows it were.
    ///
    /// Integers that no Parquet type of DuckDB's holds stay exact: BIGNUM as decimal digits, with the nearest double beside it
    /// under `<name>_f64`, HUGEINT as DECIMAL(38, 0).
    public func copy(_ sql: String, toParquet path: String, partitions: [String] = []) throws -> UInt64 {
        try begin(sql)
        let body = Self.trimmed(sql)
        let columns = try session.rows("SELECT column_name, column_type FROM (DESCRIBE\n\(body)\n)")
            .map { (name: $0[0].text ?? "", type: $0[1].text ?? "") }
        let list = Self.exact(columns).joined(separator: ", ")
        let options = partitions.isEmpty ? "" : ", PARTITION_BY (\(partitions.map(DuckDBSession.quoted).joined(separator: ", ")))"
        let cursor = try Cursor(
            session,
            sql: "COPY (SELECT \(list) FROM (\n\(body)\n)) TO \(DuckDBSession.literal(path)) (FORMAT parquet, COMPRESSION zstd\(options))"
        ) { self.isInterrupted }
        return try cursor.next()?.first?.first?.uint64 ?? 0
    }

    /// What stands for each column so that no bit is lost on the way into Parquet.
    static func exact(_ columns: [(name: String, type: String)]) -> [String] {
        columns.enumerated().flatMap { index, column -> [String] in
            let name = DuckDBSession.quoted(column.name)
            let place = "#\(index + 1)"
            switch column.type {
            case "BIGNUM", "VARINT":
                let double = column.name + "_f64"
                let digits = "\(place)::VARCHAR AS \(name)"
                if columns.contains(where: { $0.name == double }) { return [digits] }
                return [digits, "\(place)::DOUBLE AS \(DuckDBSession.quoted(double))"]
            case "HUGEINT", "UHUGEINT": return ["\(place)::DECIMAL(38,0) AS \(name)"]
            case let type where type.contains("HUGEINT") || type.contains("BIGNUM"): return ["\(place)::VARCHAR AS \(name)"]
            default: return ["\(place) AS \(name)"]
            }
        }
    }

    /// Refuses what does not read, and opens a transaction in which DuckDB itself refuses to write.
    private func begin(_ sql: String) throws {
        cursor = nil
        try? session.execute("ROLLBACK")
        var statement: duck_handle?
        defer { duck_destroy_prepare(&statement) }
        guard duck_prepare(session.handle, sql, &statement) == 0 else {
            throw Self.wrong(duck_prepare_error(statement).map { String(cString: $0) } ?? "unknown error")
        }
        let kind = duck_prepared_statement_type(statement)
        // 1: SELECT (also DESCRIBE, SHOW and SUMMARIZE), 4: EXPLAIN.
        guard kind == 1 || kind == 4 else { throw Self.notARead }
        try session.execute("BEGIN TRANSACTION READ ONLY")
    }

    /// DuckDB's whole text, which points at the place in the statement.
    private static func wrong(_ text: String) -> any Error {
        if text.hasPrefix("INTERRUPT") { return CancellationError() }
        return SluiceError(.duckdbSQL, .config, text)
    }

    private static func trimmed(_ sql: String) -> Substring {
        var body = sql[...]
        while let last = body.last, last == ";" || last.isWhitespace { body = body.dropLast() }
        return body
    }
}

extension SluiceError.Code {
    /// A statement that would change something was handed to a reader.
    public static let duckdbNotARead = Self("duckdb.not_a_read")
}
