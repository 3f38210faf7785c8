import CDuckDB
import SluiceCore
import Synchronization

/// A column of a query's result.
public struct DuckDBColumn: Sendable, Hashable {
    public let name: String
}

/// A connection on a thread of its own. Everything that is asked of it runs there, one thing behind the other.
public actor DuckDBConnection {
    private let worker: WorkerThread
    private let session: DuckDBSession
    private let interrupter: Interrupter
    private var cursor: Cursor?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    /// - Parameter name: shows as the thread's name.
    public init(_ database: DuckDBDatabase, name: String = "duckdb") throws {
        let session = try database.connect()
        self.interrupter = Interrupter(session.handle)
        self.session = session
        self.worker = WorkerThread(name: name)
    }

    deinit {
        // Before the session goes: a cancellation that comes late must find nothing to interrupt.
        interrupter.close()
    }

    /// Runs `body` on the connection's thread.
    public func run<R: Sendable>(_ body: @Sendable (DuckDBSession) throws -> R) throws -> R { try body(session) }

    /// Starts one statement and returns its columns. Rows come with `next`; a query before is given up.
    ///
    /// Interrupted when the task is cancelled.
    public func query(_ sql: String) async throws -> [DuckDBColumn] {
        cursor = nil
        return try await cancellable { [self] in
            let opened = try Cursor(session, sql: sql) { Task.isCancelled }
            cursor = opened
            return opened.reader.names.map(DuckDBColumn.init)
        }
    }

    /// The next rows (up to some thousands); nil when there are no more.
    public func next() async throws -> [[DuckDBValue]]? {
        guard let current = cursor else { return nil }
        return try await cancellable { [self] in
            let rows = try current.next()
            if rows == nil { cursor = nil }
            return rows
        }
    }

    private func cancellable<R>(_ body: () throws -> R) async throws -> R {
        try Task.checkCancellation()
        return try await withTaskCancellationHandler(operation: body, onCancel: { interrupter.interrupt() })
    }
}

/// Interrupts a connection from any thread, as long as it is open.
private final class Interrupter: Sendable {
    private struct Target: @unchecked Sendable {
        // SAFETY: DuckDB allows an interrupt from any thread; `close` comes before the connection goes.
        let handle: duck_handle
    }
    private let target: Mutex<Target?>

    init(_ handle: duck_handle) { target = Mutex(Target(handle: handle)) }
    func interrupt() { target.withLock { if let target = $0 { duck_interrupt(target.handle) } } }
    func close() { target.withLock { $0 = nil } }
}

/// A running query: rows are made as they are asked for, so that memory does not grow with the result.
final class Cursor {
    private var statement: duck_handle?
    private var result = duck_result()
    let reader: ChunkReader
    private let session: DuckDBSession

    init(_ session: DuckDBSession, sql: String, isCancelled: () -> Bool) throws {
        self.session = session
        let statement = try Self.prepared(session, sql)
        var pending: duck_handle?
        defer { duck_destroy_pending(&pending) }
        var result = duck_result()
        do {
            guard duck_pending_prepared_streaming(statement, &pending) == 0 else { throw Self.error(duck_pending_error(pending)) }
            // In steps, because an interrupt that comes before the first step would be forgotten.
            while true {
                if isCancelled() { throw CancellationError() }
                let state = duck_pending_execute_task(pending)
                if state == 2 { throw Self.error(duck_pending_error(pending)) }
                if duck_pending_execution_is_finished(state) { break }
            }
            guard duck_execute_pending(pending, &result) == 0 else {
                defer { duck_destroy_result(&result) }
                throw session.failure(&result, doing: "running a query")
            }
        } catch {
            var statement: duck_handle? = statement
            duck_destroy_prepare(&statement)
            throw error
        }
        self.reader = ChunkReader(&result)
        self.statement = statement
        self.result = result
    }

    deinit {
        duck_destroy_result(&result)
        duck_destroy_prepare(&statement)
    }

    func next() throws -> [[DuckDBValue]]? {
        while true {
            var chunk = duck_fetch_chunk(result)
            guard let filled = chunk else {
                guard let text = duck_result_error(&result) else { return nil }
                throw DuckDBError.error(String(cString: text), doing: "running a query")
            }
            let rows = reader.rows(filled)
            duck_destroy_data_chunk(&chunk)
            if !rows.isEmpty { return rows }
        }
    }

    private static func error(_ text: UnsafePointer<CChar>?) -> any Error {
        DuckDBError.error(text.map { String(cString: $0) } ?? "unknown error", doing: "running a query")
    }

    private static func prepare(_ session: DuckDBSession, _ sql: String) throws -> duck_handle {
        var statement: duck_handle?
        guard duck_prepare(session.handle, sql, &statement) == 0, let statement else {
            let failure = error(duck_prepare_error(statement))
            duck_destroy_prepare(&statement)
            throw failure
        }
        return statement
    }

    /// The statement; one whose columns are of types without a reader is wrapped so that DuckDB turns them into text.
    private static func prepared(_ session: DuckDBSession, _ sql: String) throws -> duck_handle {
        var plain: duck_handle? = try prepare(session, sql)
        guard let handle = plain else { throw error(nil) }
        let count = duck_prepared_statement_column_count(handle)
        let readable = (0..<count).map { ChunkReader.readable.contains(duck_prepared_statement_column_type(handle, $0)) }
        let isSelect = duck_prepared_statement_type(handle) == 1
        if !isSelect || readable.allSatisfy({ $0 }) { return handle }
        let names = (0..<count).map { duck_prepared_statement_column_name(handle, $0) }
        let columns = zip(readable, names).enumerated().map { index, column in
            var name = "column\(index)"
            if let text = column.1 {
                name = String(cString: text)
                duck_free(UnsafeMutableRawPointer(mutating: text))
            }
            return "#\(index + 1)\(column.0 ? "" : "::VARCHAR") AS \(DuckDBSession.quoted(name))"
        }
        var body = sql[...]
        while let last = body.last, last == ";" || last.isWhitespace { body = body.dropLast() }
        duck_destroy_prepare(&plain)
        // A line of its own, because the query may end in a comment.
        return try prepare(session, "SELECT \(columns.joined(separator: ", ")) FROM (\n\(body)\n)")
    }
}
