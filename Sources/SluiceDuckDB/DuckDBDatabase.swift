import CDuckDB
import Glibc
import SluiceCore
import Synchronization

/// An open database. Closed when the last session on it is gone.
public final class DuckDBDatabase: @unchecked Sendable {
    // SAFETY: the handles are set once in init and freed in deinit; DuckDB allows a database handle on any thread.
    private var handle: duck_handle?
    let scans: OpaquePointer
    private let locked: String?
    private var attached = false

    /// Paths that this process has open for writing. The lock of the file system is the process's, so it does not keep a second
    /// opening in the same process out, and two of them would corrupt the file.
    private static let openPaths = Mutex<Set<String>>([])

    /// The databases behind those paths, so that a reader in this process can share one.
    private static let openDatabases = Mutex<[String: WeakDatabase]>([:])

    private struct WeakDatabase: Sendable {
        weak let database: DuckDBDatabase?
    }

    /// The database that this process has open for writing at a path; nil when there is none.
    ///
    /// Whoever holds it keeps the file open: give it back before the writer has to open it again.
    public static func opened(_ path: String) -> DuckDBDatabase? {
        let key = canonical(path)
        return openDatabases.withLock { $0[key]?.database }
    }

    /// Opens a database file, which is created when it is not there, or (`path` nil) one in memory. Blocks.
    /// - Parameter settings: DuckDB's own settings, by name; `threads` is 1 unless set, extensions are never fetched.
    /// - Parameter rowGroupSize: rows a row group of a new file holds (a multiple of 2,048); nil: DuckDB's own.
    /// - Throws: `pause` when the file is locked, the disk full or the right to write missing; `config` when the file is no
    ///   database, a setting is wrong, or there is no DuckDB.
    public init(path: String?, settings: [String: String] = [:], readOnly: Bool = false, rowGroupSize: Int? = nil) throws {
        try DuckDBLibrary.load()
        let doing = "opening \(path ?? "a database in memory")"
        let all = ["threads": "1", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"]
            .merging(settings) { $1 }
            .merging(readOnly ? ["access_mode": "READ_ONLY"] : [:]) { $1 }
        var config: duck_handle?
        defer { duck_destroy_config(&config) }
        _ = duck_create_config(&config)
        for (name, value) in all.sorted(by: { $0.key < $1.key }) where duck_set_config(config, name, value) != 0 {
            throw SluiceError(.duckdbOpen, .config, "\(doing): DuckDB has no setting \(name), or refuses '\(value)' for it")
        }
        let lock = readOnly ? nil : path.map(Self.canonical)
        if let lock, !Self.openPaths.withLock({ $0.insert(lock).inserted }) {
            throw SluiceError(
                .duckdbLocked, .config, "\(doing): this process has the file open already",
                mend: "give every sink a path of its own, or let its pipelines share one sink")
        }
        guard let scans = duck_scans_create() else { throw SluiceError(.duckdbMemory, .fatal, "\(doing): no memory") }
        var handle: duck_handle?
        var text: UnsafeMutablePointer<CChar>?
        // The size of row groups is an option of ATTACH alone, so the file is attached to a database in memory.
        let attaches = rowGroupSize != nil && path != nil
        guard duck_open_ext(attaches ? nil : path, &handle, config, &text) == 0 else {
            defer { duck_free(text) }
            duck_scans_destroy(scans)
            if let lock { _ = Self.openPaths.withLock { $0.remove(lock) } }
            throw DuckDBError.error(text.map { String(cString: $0) } ?? "unknown error", doing: doing)
        }
        self.handle = handle
        self.scans = scans
        self.locked = lock
        if let lock { Self.openDatabases.withLock { $0[lock] = WeakDatabase(database: self) } }
        do {
            // The function belongs to the database, so that one registration serves all of its connections.
            let session = try connect()
            if let path, let rowGroupSize {
                if !readOnly, access(path, F_OK) != 0 { try Self.create(path, rowGroupSize: rowGroupSize, session, doing: doing) }
                let options = "ROW_GROUP_SIZE \(rowGroupSize)" + (readOnly ? ", READ_ONLY" : "")
                try session.execute("ATTACH \(DuckDBSession.literal(path)) AS \(Self.catalog) (\(options))", doing: doing)
                try session.execute("USE \(Self.catalog)", doing: doing)
                attached = true
            }
            guard duck_scans_register(scans, session.handle) == 0 else {
                throw SluiceError(.duckdbOpen, .fatal, "\(doing): cannot register the scan function")
            }
            duck_forget_code()
        } catch {
            close()
            throw error
        }
    }

    /// Makes a database file under another name and then gives it its own: a process that dies in between leaves no half of a file
    /// where the next one looks for a whole.
    private static func create(_ path: String, rowGroupSize: Int, _ session: DuckDBSession, doing: String) throws {
        let draft = path + ".new"
        unlink(draft)
        unlink(draft + ".wal")
        try session.execute(
            """
            ATTACH \(DuckDBSession.literal(draft)) AS draft (ROW_GROUP_SIZE \(rowGroupSize));
            CHECKPOINT draft;
            DETACH draft;
            """, doing: doing)
        try Folder.sync(draft)
        guard rename(draft, path) == 0 else { throw Folder.failure("\(doing): naming the new file") }
        try Folder.sync(Folder.parent(of: path))
    }

    deinit { close() }

    private func close() {
        guard handle != nil else { return }
        duck_close(&handle)
        handle = nil
        duck_scans_destroy(scans)
        if let locked { _ = Self.openPaths.withLock { $0.remove(locked) } }
    }

    /// A connection of its own, to be used from one thread at a time.
    public func connect() throws -> DuckDBSession {
        var connection: duck_handle?
        guard duck_connect(handle, &connection) == 0, let connection else {
            throw SluiceError(.duckdbOpen, .retry, "connecting to a database: DuckDB refuses")
        }
        let session = DuckDBSession(handle: connection, database: self)
        if attached { try session.execute("USE \(Self.catalog)") }
        return session
    }

    /// The name under which an attached file's tables are found.
    private static let catalog = "warehouse"

    /// The path with all links resolved; of a file that is not there yet, its folder's and the name.
    private static func canonical(_ path: String) -> String {
        func resolved(_ path: String) -> String? {
            guard let real = realpath(path, nil) else { return nil }
            defer { free(real) }
            return String(cString: real)
        }
        if let whole = resolved(path) { return whole }
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard let name = parts.last else { return path }
        let folder = path.dropLast(name.count)
        return (resolved(folder.isEmpty ? "." : String(folder)) ?? String(folder)) + "/" + name
    }
}
