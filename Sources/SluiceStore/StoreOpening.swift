internal import Glibc
internal import SluiceCore

/// How a state file is opened, and what is refused.
enum StoreOpening {
    static func writing(_ path: String) throws(SluiceError) -> (SQLiteDatabase, ProcessLock) {
        try makeFolder(of: path)
        let lock = try lock(besides: path)
        switch size(path) {
        case nil: try create(path)
        case 0: throw StoreError.corrupt(path, "it is empty")
        default: break
        }
        let database = try SQLiteDatabase(path, readOnly: false)
        // A version from the future may have another idea of journals: look before touching anything.
        _ = try StoreSchema.version(of: database)
        let mode = try database.text("PRAGMA journal_mode = WAL")
        guard mode == "wal" else {
            throw SluiceError(
                .storeUnavailable, .pause, "the state file \(path) cannot use a write-ahead log (journal mode \(mode))",
                mend: "make the file and its folder writable, and keep them on a local disk")
        }
        try database.run("PRAGMA synchronous = FULL")
        try StoreSchema.migrate(database, fresh: false)
        try StoreSchema.verify(database)
        return (database, lock)
    }

    private static func lock(besides path: String) throws(SluiceError) -> ProcessLock {
        func words(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }
        let file = lockFile(besides: path)
        do { return try ProcessLock.take(file) } catch {
            switch error {
            case .held(let holder):
                throw SluiceError(
                    .storeLocked, .pause, "the state file \(path) is in use by process \(holder ?? "unknown")",
                    mend: "stop that process first, or give this one another `state:`")
            case .unwritable(let code):
                throw SluiceError(
                    .storeUnavailable, .pause, "cannot make the lock file \(file): \(words(code))",
                    mend: "make the folder writable for this user, or point `state:` elsewhere")
            case .unlockable(let code):
                throw SluiceError(
                    .storeUnavailable, .pause, "cannot lock \(file): \(words(code))", mend: "put the state file on a local disk")
            }
        }
    }

    /// Who writes a state file has a lock on this one.
    static func lockFile(besides path: String) -> String { path + ".lock" }

    static func reading(_ path: String) throws(SluiceError) -> SQLiteDatabase { try existing(path, readOnly: true) }

    /// For writing without the lock of the process that runs the pipelines.
    static func beside(_ path: String) throws(SluiceError) -> SQLiteDatabase {
        let database = try existing(path, readOnly: false)
        try database.run("PRAGMA synchronous = FULL")
        return database
    }

    private static func existing(_ path: String, readOnly: Bool) throws(SluiceError) -> SQLiteDatabase {
        guard let size = size(path) else {
            throw SluiceError(
                .storeUnavailable, .pause, "there is no state file \(path)", mend: "start `sluice run` first, or name the right `state:`")
        }
        guard size > 0 else { throw StoreError.corrupt(path, "it is empty") }
        let database = try SQLiteDatabase(path, readOnly: readOnly)
        let found = try StoreSchema.version(of: database)
        guard found == StoreSchema.version else {
            throw SluiceError(
                .storeTooNew, .pause, "the state file \(path) has version \(found), this Sluice reads \(StoreSchema.version)",
                mend: "start `sluice run` once; it brings the file up to date")
        }
        try StoreSchema.verify(database)
        return database
    }

    /// Makes the file elsewhere and renames it, so that an empty or half-made file at `path` is never our own doing.
    private static func create(_ path: String) throws(SluiceError) {
        guard size(path + "-wal") ?? 0 == 0 else {
            throw StoreError.corrupt(path, "the file is missing, but its log \(path)-wal is there")
        }
        let draft = path + ".creating"
        for leftover in [draft, draft + "-journal"] { unlink(leftover) }
        do {
            let database = try SQLiteDatabase(draft, readOnly: false, create: true)
            try database.run("PRAGMA synchronous = FULL")
            try StoreSchema.migrate(database, fresh: true)
        }
        guard rename(draft, path) == 0 else { throw unavailable("cannot rename \(draft) to \(path)", errno) }
        let folder = open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw unavailable("cannot open the folder of \(path)", errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw unavailable("cannot sync the folder of \(path)", errno) }
    }

    private static func makeFolder(of path: String) throws(SluiceError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in folder(of: path).split(separator: "/") {
            made += made.isEmpty || made == "/" ? String(part) : "/\(part)"
            if mkdir(made, 0o755) != 0, errno != EEXIST { throw unavailable("cannot make the folder \(made)", errno) }
        }
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Bytes of a file; nil when there is none.
    private static func size(_ path: String) -> Int? {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : nil
    }

    private static func unavailable(_ words: String, _ code: Int32) -> SluiceError {
        SluiceError(
            .storeUnavailable, .pause, "\(words): \(String(cString: strerror(code)).lowercased())",
            mend: "check the folder's rights and the space on its disk")
    }
}
