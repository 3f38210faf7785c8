public import SluiceCore
public import SluiceDuckDB

/// What a running process and a query say to each other over the socket beside the database file: frames of a length (UInt32, little
/// endian), a kind and a payload.
public enum Frame: Sendable, Hashable {
    /// Client: answer a statement.
    case query(String)
    /// Client: write what a statement gives as Parquet, at an absolute path.
    case copy(sql: String, path: String, partitions: [String])
    /// Server: the names of the columns, before the rows.
    case columns([String])
    /// Server: some rows.
    case rows([[DuckDBValue]])
    /// Server: all is said; how many rows there were.
    case done(UInt64)
    /// Server: it failed.
    case failure(code: String, class: String, message: String, mend: String?)

    /// A frame may not be larger; a statement by far not.
    public static let limit = 256 << 20

    /// The bytes, length first.
    public var encoded: [UInt8] {
        var out = FrameWriter()
        switch self {
        case .query(let sql):
            out.begin(kind: 1)
            out.put(sql)
        case .copy(let sql, let path, let partitions):
            out.begin(kind: 2)
            out.put(sql)
            out.put(path)
            out.put(partitions)
        case .columns(let names):
            out.begin(kind: 3)
            out.put(names)
        case .rows(let rows):
            out.begin(kind: 4)
            out.put(UInt32(rows.count))
            out.put(UInt32(rows.first?.count ?? 0))
            for row in rows { for value in row { out.put(value) } }
        case .done(let count):
            out.begin(kind: 5)
            out.put(count)
        case .failure(let code, let kind, let message, let mend):
            out.begin(kind: 6)
            for text in [code, kind, message, mend ?? ""] { out.put(text) }
        }
        return out.finish()
    }

    /// From the bytes behind the length; nil when they are no frame.
    public init?(payload: [UInt8]) {
        var reader = FrameReader(payload)
        guard let kind = reader.byte() else { return nil }
        switch kind {
        case 1:
            guard let sql = reader.text() else { return nil }
            self = .query(sql)
        case 2:
            guard let sql = reader.text(), let path = reader.text(), let partitions = reader.texts() else { return nil }
            self = .copy(sql: sql, path: path, partitions: partitions)
        case 3:
            guard let names = reader.texts() else { return nil }
            self = .columns(names)
        case 4:
            guard let rows = reader.rows() else { return nil }
            self = .rows(rows)
        case 5:
            guard let count = reader.integer(UInt64.self) else { return nil }
            self = .done(count)
        case 6:
            guard let code = reader.text(), let kind = reader.text(), let message = reader.text(), let mend = reader.text() else {
                return nil
            }
            self = .failure(code: code, class: kind, message: message, mend: mend.isEmpty ? nil : mend)
        default: return nil
        }
        guard reader.isAtEnd else { return nil }
    }

    /// A failure as the error it was.
    public static func failure(_ error: any Error) -> Frame {
        if let error = error as? SluiceError {
            return .failure(code: error.code.rawValue, class: error.class.rawValue, message: error.message, mend: error.mend)
        }
        if error is CancellationError { return .failure(code: "cancelled", class: "retry", message: "the query was stopped", mend: nil) }
        return .failure(code: "query", class: "fatal", message: "\(error)", mend: nil)
    }

    /// The error that a failure stands for; nil for other frames.
    public var error: SluiceError? {
        guard case .failure(let code, let kind, let message, let mend) = self else { return nil }
        return SluiceError(SluiceError.Code(code), SluiceError.Class(rawValue: kind) ?? .fatal, message, mend: mend)
    }
}
