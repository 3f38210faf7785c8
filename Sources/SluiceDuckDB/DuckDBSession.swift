import CDuckDB

/// One connection, on one thread. All calls block.
public final class DuckDBSession {
    let handle: duck_handle
    let database: DuckDBDatabase

    init(handle: duck_handle, database: DuckDBDatabase) {
        self.handle = handle
        self.database = database
    }

    deinit {
        var handle: duck_handle? = handle
        duck_disconnect(&handle)
    }

    /// Runs statements and forgets what they return.
    /// - Parameter doing: what an error says was being done.
    /// - Throws: an error by its cause (`duckdb.*`), `CancellationError` when interrupted.
    public func execute(_ sql: String, doing: @autoclosure () -> String = "running a statement") throws {
        var result = duck_result()
        defer { duck_destroy_result(&result) }
        if duck_query(handle, sql, &result) != 0 { throw failure(&result, doing: doing()) }
    }

    /// Runs one query and returns all of its rows; for small answers.
    public func rows(_ sql: String, doing: @autoclosure () -> String = "running a query") throws -> [[DuckDBValue]] {
        var result = duck_result()
        defer { duck_destroy_result(&result) }
        if duck_query(handle, sql, &result) != 0 { throw failure(&result, doing: doing()) }
        var rows: [[DuckDBValue]] = []
        let reader = ChunkReader(&result)
        while var chunk = duck_fetch_chunk(result) as duck_handle? {
            rows += reader.rows(chunk)
            withUnsafeMutablePointer(to: &chunk) { pointer in
                pointer.withMemoryRebound(to: duck_handle?.self, capacity: 1) { duck_destroy_data_chunk($0) }
            }
        }
        return rows
    }

    /// Runs `body` in a transaction: all of it happens, or nothing.
    public func transaction<R>(_ doing: @autoclosure () -> String = "committing", _ body: () throws -> R) throws -> R {
        try execute("BEGIN", doing: doing())
        do {
            let outcome = try body()
            try execute("COMMIT", doing: doing())
            return outcome
        } catch {
            // A failed commit has rolled back already, and a broken database cannot: the first error is what counts.
            try? execute("ROLLBACK")
            throw error
        }
    }

    /// Stops what runs on this connection, from any thread, by way of the handle.
    func interrupt() { duck_interrupt(handle) }

    func failure(_ result: inout duck_result, doing: String) -> any Error {
        DuckDBError.error(duck_result_error(&result).map { String(cString: $0) } ?? "unknown error", doing: doing)
    }

    /// A name as SQL writes it.
    public static func quoted(_ name: String) -> String { "\"" + doubled(name, "\"") + "\"" }

    /// Text as SQL writes it.
    public static func literal(_ text: String) -> String { "'" + doubled(text, "'") + "'" }

    private static func doubled(_ text: String, _ quote: Character) -> String {
        text.contains(quote) ? text.map { $0 == quote ? "\(quote)\(quote)" : String($0) }.joined() : text
    }
}
