internal import CSQLite
public import SluiceCore

extension SluiceError.Code {
    /// The state file is damaged.
    public static let storeCorrupt = Self("store_corrupt")
    /// The state file is something else.
    public static let storeForeign = Self("store_foreign")
    /// The state file was written by a newer Sluice.
    public static let storeTooNew = Self("store_too_new")
    /// Another process has the state file.
    public static let storeLocked = Self("store_locked")
    /// The state file cannot be opened, read or written.
    public static let storeUnavailable = Self("store_unavailable")
    /// The store was asked after it was closed, or to write although it was opened for reading.
    public static let storeClosed = Self("store_closed")
}

/// Turns what SQLite says into errors that name the file and the mend.
enum StoreError {
    private static let restore = "restore the file from a backup, or move it away to start anew; Sluice never resets it by itself"

    static func from(_ code: Int32, _ words: String, path: String, doing: String) -> SluiceError {
        let place = "\(doing) \(path)"
        switch code & 0xFF {
        case SQLITE_CORRUPT: return corrupt(path, words)
        case SQLITE_NOTADB: return foreign(path, "not a state file of Sluice (\(words))")
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL:
            return SluiceError(
                .storeLocked, .retry, "\(place): another process holds a lock on it (\(words))",
                mend: "end the program that has it open, for example an sqlite3 shell in a transaction")
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH:
            return SluiceError(
                .storeUnavailable, .pause, "\(place): it is read-only (\(words))",
                mend: "make the file and its folder writable for this user")
        case SQLITE_CANTOPEN:
            return SluiceError(
                .storeUnavailable, .pause, "\(place): it cannot be opened (\(words))",
                mend: "check that the folder exists and that this user may use it")
        case SQLITE_FULL:
            return SluiceError(
                .storeUnavailable, .pause, "\(place): no space is left (\(words))", mend: "free some space on that disk; nothing is lost")
        case SQLITE_IOERR:
            return SluiceError(
                .storeUnavailable, .pause, "\(place): the disk reports an error (\(words), \(code))",
                mend: "check the disk, then start again")
        case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_MISMATCH, SQLITE_CONSTRAINT, SQLITE_FORMAT:
            // Our own statements are right on our own schema: what fails is the schema in the file.
            return corrupt(path, words)
        default:
            return SluiceError(.storeUnavailable, .pause, "\(place): \(words) (\(code))", mend: "see the message; the file is untouched")
        }
    }

    static func corrupt(_ path: String, _ words: String) -> SluiceError {
        SluiceError(.storeCorrupt, .pause, "the state file \(path) is damaged: \(words)", mend: restore)
    }

    static func foreign(_ path: String, _ words: String) -> SluiceError {
        SluiceError(.storeForeign, .pause, "\(path) is \(words)", mend: "point `state:` at another path, or move that file away")
    }

    static func tooNew(_ path: String, _ version: Int, known: Int) -> SluiceError {
        SluiceError(
            .storeTooNew, .pause, "the state file \(path) has version \(version); this Sluice knows up to \(known)",
            mend: "use the newer Sluice that wrote it, or restore the copy from before the upgrade")
    }
}
