internal import Glibc
internal import SluiceCore

/// Sluice's own durable state, in one SQLite file: the blocks that every sink holds, the recent blocks with their parents, dead
/// letters, pipelines, and how the run is doing. Everything that returns from a writing method has reached the disk (WAL,
/// `synchronous=FULL`).
///
/// One process runs pipelines on it (a lock file beside the state file sees to it); any number may read, and an operator's command may
/// change what is his to decide. All SQLite calls happen on the store's own thread. A damaged, foreign, newer or truncated file is an error that says so; the store never starts anew by
/// itself where something was.
public actor StateStore {
    /// Microseconds since 1970, for the columns that people read.
    public typealias WallClock = @Sendable () -> Int64

    /// The machine's clock.
    public static let systemClock: WallClock = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }

    /// Path of the file.
    public nonisolated let path: String
    private nonisolated let thread: WorkerThread
    private let clock: WallClock
    private let readOnly: Bool
    private var database: SQLiteDatabase?
    private var lock: ProcessLock?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Opens the file for this process alone; makes it, and its folder, when there is none. Checks the whole content.
    /// Throws `store_locked`, `store_corrupt`, `store_foreign`, `store_too_new` or `store_unavailable`, each with the path.
    public static func open(_ path: String, clock: @escaping WallClock = systemClock) async throws -> StateStore {
        let store = StateStore(path, clock, readOnly: false)
        try await store.start { path throws(SluiceError) in try StoreOpening.writing(path) }
        return store
    }

    /// Opens the file for reading, also while another process writes. Throws like `open`, except that a lock is no reason.
    public static func openReadOnly(_ path: String) async throws -> StateStore {
        let store = StateStore(path, systemClock, readOnly: true)
        try await store.start { path throws(SluiceError) in (try StoreOpening.reading(path), nil) }
        return store
    }

    /// Opens the file for small changes that an operator makes, also while another process runs pipelines on it: to dead letters, never
    /// to positions, which are that process's own. Changes of both are whole and come one after the other; each waits a few seconds for
    /// the other's. Throws like `openReadOnly`.
    public static func openBeside(_ path: String, clock: @escaping WallClock = systemClock) async throws -> StateStore {
        let store = StateStore(path, clock, readOnly: false)
        try await store.start { path throws(SluiceError) in (try StoreOpening.beside(path), nil) }
        return store
    }

    /// Whether the process that ran pipelines on a file last has ended, as far as can be told without taking its place: it may be opened
    /// then, unless another one was quicker.
    public static func isFree(_ path: String) -> Bool { ProcessLock.isHolderGone(StoreOpening.lockFile(besides: path)) }

    private init(_ path: String, _ clock: @escaping WallClock, readOnly: Bool) {
        self.path = path
        self.clock = clock
        self.readOnly = readOnly
        thread = WorkerThread(name: "state-store")
    }

    private func start(_ opening: @Sendable (String) throws(SluiceError) -> (SQLiteDatabase, ProcessLock?)) throws {
        (database, lock) = try opening(path)
    }

    /// Closes the file and gives up the lock. Everything after that throws `store_closed`; closing again does nothing.
    public func close() {
        database = nil
        lock = nil
    }

    /// Runs `body` on the store's thread and waits for it. For callers on threads of their own, such as a sink's; never from a
    /// task, whose thread would be blocked.
    public nonisolated func blocking<T: Sendable>(_ body: @escaping @Sendable (isolated StateStore) throws -> T) throws -> T {
        let result: Result<T, any Error> = thread.wait {
            Result { try self.assumeIsolated { store in try body(store) } }
        }
        return try result.get()
    }

    func reading() throws(SluiceError) -> SQLiteDatabase {
        guard let database else { throw SluiceError(.storeClosed, .fatal, "the state file \(path) is closed") }
        return database
    }

    func writing() throws(SluiceError) -> SQLiteDatabase {
        let database = try reading()
        guard !readOnly else { throw SluiceError(.storeClosed, .fatal, "the state file \(path) is open for reading only") }
        return database
    }

    var now: Int64 { clock() }
}
