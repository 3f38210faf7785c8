import CPq
import SluiceConfig
import SluiceCore

/// One connection. Everything blocks; used from one thread.
final class PostgresConnection {
    private let connection: OpaquePointer
    private let shown: String

    /// - Parameter shown: the server as it may be named in messages.
    /// - Throws: `postgres_unavailable` (class `retry`), `postgres_refused` (class `pause`).
    init(_ options: PostgresSinkOptions) throws(SluiceError) {
        shown = options.shown
        let settings = [
            // First what the url says, so that it may be overridden by none of ours but these.
            ("dbname", options.url.reveal()), ("application_name", "sluice"), ("connect_timeout", "\(options.connectSeconds)"),
            ("keepalives_idle", "30"), ("tcp_user_timeout", "60000"), ("client_encoding", "UTF8"),
            ("options", "-c statement_timeout=\(options.statementSeconds * 1000) -c timezone=UTC -c client_min_messages=warning"),
        ]
        let made = Self.withStrings(settings.map(\.0)) { names in
            Self.withStrings(settings.map(\.1)) { values in PQconnectdbParams(names, values, 1) }
        }
        guard let made else { throw PostgresFault.error(nil, "no memory for a connection", doing: "connecting to \(options.shown)") }
        guard PQstatus(made) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(made))
            PQfinish(made)
            throw Self.refusal(message, shown: options.shown)
        }
        connection = made
    }

    deinit { PQfinish(connection) }

    /// Before there is a connection there is no SQLSTATE; the words tell a refusal from a server that is not there.
    private static func refusal(_ message: String, shown: String) -> SluiceError {
        let refusals = [
            "password authentication failed", "no pg_hba.conf entry", "role \"", "database \"", "no password supplied", "invalid URI",
            "invalid connection option", "missing \"=\"",
        ]
        let passing = ["starting up", "shutting down", "too many clients", "remaining connection slots", "recovery mode"]
        let isRefusal = refusals.contains { message.contains($0) } && !passing.contains { message.contains($0) }
        // What follows on further lines is advice. The server is named by us, as it may be shown.
        let line = message.split(whereSeparator: \.isNewline).first.map(String.init) ?? message
        let reason = line.firstRange(of: " failed: ").map { String(line[$0.upperBound...]) } ?? line
        return PostgresFault.error(isRefusal ? "28000" : nil, reason, doing: "connecting to postgres at \(shown)")
    }

    /// Whether it can still be used.
    var isUsable: Bool { PQstatus(connection) == CONNECTION_OK }

    /// Runs statements that give no rows.
    func execute(_ sql: String, doing: String) throws(SluiceError) {
        let result = PQexec(connection, sql)
        defer { PQclear(result) }
        try check(result, doing)
    }

    /// Runs one statement with parameters (`$1` ...) and returns its rows as text, and how many rows it changed.
    @discardableResult
    func rows(_ sql: String, _ parameters: [String] = [], doing: String) throws(SluiceError) -> (rows: [[String?]], changed: Int) {
        let result = Self.withStrings(parameters) { values in
            PQexecParams(connection, sql, Int32(parameters.count), nil, values, nil, nil, 0)
        }
        defer { PQclear(result) }
        try check(result, doing)
        let (count, width) = (PQntuples(result), PQnfields(result))
        let rows = (0..<count).map { row in
            (0..<width).map { PQgetisnull(result, row, $0) == 1 ? nil : String(cString: PQgetvalue(result, row, $0)) }
        }
        return (rows, Int(String(cString: PQcmdTuples(result))) ?? 0)
    }

    /// Copies into a table; `body` is handed what sends the bytes. Returns how many rows the server took.
    func copy(_ sql: String, doing: String, _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void) throws -> Int {
        let begun = PQexec(connection, sql)
        let status = PQresultStatus(begun)
        if status != PGRES_COPY_IN {
            defer { PQclear(begun) }
            try check(begun, doing)
        }
        PQclear(begun)
        var failure: (any Error)?
        do {
            try body { bytes in
                guard let base = bytes.bindMemory(to: CChar.self).baseAddress else { return }
                guard PQputCopyData(connection, base, Int32(bytes.count)) == 1 else { throw lost(doing) }
            }
        } catch { failure = error }
        if PQputCopyEnd(connection, failure == nil ? nil : "given up") != 1, failure == nil { failure = lost(doing) }
        var taken = 0
        while let result = PQgetResult(connection) {
            defer { PQclear(result) }
            do throws(SluiceError) {
                try check(result, doing)
                taken = Int(String(cString: PQcmdTuples(result))) ?? 0
            } catch { if failure == nil { failure = error } }
        }
        if let failure { throw failure }
        return taken
    }

    /// A name in a statement.
    static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func lost(_ doing: String) -> SluiceError {
        PostgresFault.error(nil, String(cString: PQerrorMessage(connection)), doing: doing + " at \(shown)")
    }

    private func check(_ result: OpaquePointer?, _ doing: String) throws(SluiceError) {
        guard let result else { throw lost(doing) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return
        default:
            let state = PQresultErrorField(result, 67).map { String(cString: $0) }
            let message = PQresultErrorField(result, 77).map { String(cString: $0) } ?? String(cString: PQresultErrorMessage(result))
            let detail = PQresultErrorField(result, 68).map { ", " + String(cString: $0) } ?? ""
            throw PostgresFault.error(PQstatus(connection) == CONNECTION_OK ? state : nil, message + detail, doing: doing + " at \(shown)")
        }
    }

    /// C strings for as long as `body` runs, with a null at the end.
    private static func withStrings<R>(_ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R) -> R {
        var bytes: [CChar] = []
        var starts: [Int] = []
        for text in texts {
            starts.append(bytes.count)
            bytes += text.utf8CString
        }
        return bytes.withUnsafeBufferPointer { all in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: texts.count + 1) { pointers in
                for (index, start) in starts.enumerated() { pointers.initializeElement(at: index, to: all.baseAddress.map { $0 + start }) }
                pointers.initializeElement(at: texts.count, to: nil)
                return body(pointers.baseAddress.map { UnsafePointer($0) })
            }
        }
    }
}
