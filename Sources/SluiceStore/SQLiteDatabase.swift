internal import CSQLite
internal import SluiceCore

/// A value as SQLite stores it.
enum SQLiteValue: Hashable {
    case null
    case int(Int64)
    case text(String)
    case blob([UInt8])
}

/// One connection. Not sendable: it belongs to the thread that opened it.
final class SQLiteDatabase {
    let path: String
    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]

    // The destructor constants of the C header are casts, which Swift does not import. -1: SQLite copies the bytes.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    /// Opens a file; `create` makes it when it is missing.
    init(_ path: String, readOnly: Bool, create: Bool = false) throws(SluiceError) {
        self.path = path
        var opened: OpaquePointer?
        let access = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0)
        // One thread has it, so SQLite needs no mutex of its own.
        let code = sqlite3_open_v2(path, &opened, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened else {
            let words = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw StoreError.from(code, words, path: path, doing: "opening the state file")
        }
        handle = opened
        sqlite3_busy_timeout(handle, 5000)
        RowDigest.register(in: handle)
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    /// Runs a statement, giving each row to `row`.
    func run(_ sql: String, _ values: [SQLiteValue] = [], row: (SQLiteRow) throws(SluiceError) -> Void = { _ in }) throws(SluiceError) {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { try check(bind(value, to: Int32(index + 1), of: statement)) }
        while true {
            let code = sqlite3_step(statement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw failure(code) }
            try row(SQLiteRow(statement: statement, path: path))
        }
    }

    /// Runs `body` in a transaction; undone when it throws.
    func transaction<T>(_ begin: String = "BEGIN IMMEDIATE", _ body: () throws(SluiceError) -> T) throws(SluiceError) -> T {
        try run(begin)
        do {
            let result = try body()
            try run("COMMIT")
            return result
        } catch {
            // SQLite has rolled back by itself after some errors; then this one says so, and the first error is what counts.
            try? run("ROLLBACK")
            throw error
        }
    }

    /// The first column of the first row, as a number; 0 without a row.
    func number(_ sql: String) throws(SluiceError) -> Int64 {
        var result: Int64 = 0
        try run(sql) { row throws(SluiceError) in result = row.int(0) }
        return result
    }

    /// The first column of the first row, as text; empty without a row.
    func text(_ sql: String) throws(SluiceError) -> String {
        var result = ""
        try run(sql) { row throws(SluiceError) in result = row.text(0) }
        return result
    }

    private func prepared(_ sql: String) throws(SluiceError) -> OpaquePointer {
        if let known = statements[sql] { return known }
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement else { throw failure(SQLITE_MISUSE) }
        statements[sql] = statement
        return statement
    }

    private func bind(_ value: SQLiteValue, to index: Int32, of statement: OpaquePointer) -> Int32 {
        switch value {
        case .null: sqlite3_bind_null(statement, index)
        case .int(let number): sqlite3_bind_int64(statement, index, number)
        case .text(let text): sqlite3_bind_text(statement, index, text, Int32(text.utf8.count), Self.transient)
        // The address of no bytes at all may be null, which would mean a null.
        case .blob(let bytes) where bytes.isEmpty: sqlite3_bind_zeroblob(statement, index, 0)
        case .blob(let bytes): sqlite3_bind_blob(statement, index, bytes, Int32(bytes.count), Self.transient)
        }
    }

    private func check(_ code: Int32) throws(SluiceError) {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private func failure(_ code: Int32) -> SluiceError {
        StoreError.from(code, String(cString: sqlite3_errmsg(handle)), path: path, doing: "using the state file")
    }
}

/// The current row of a statement; valid only while it is handed out.
struct SQLiteRow {
    fileprivate let statement: OpaquePointer
    let path: String

    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(statement, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(statement, column))))
    }

    /// A block hash.
    func hash(_ column: Int32) throws(SluiceError) -> Hash32 {
        guard let hash = Hash32(bytes(column)) else { throw StoreError.corrupt(path, "a block hash that has not 32 bytes") }
        return hash
    }
}
