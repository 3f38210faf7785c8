import Glibc
import SluiceConfig
public import SluiceCore
import SluiceDuckDB
import SluiceNet

/// Loads tables into a folder, or a bucket, of Parquet files. It cannot undo cheaply, so it is given only what is final.
///
/// A file is written while its blocks arrive, under a temporary name. When the last is there, all files of the span are forced to
/// disk and renamed, then the span's manifest is written, and only then the position moves. Files that no manifest names are
/// what a crash left: they are removed at the next start, and written again with the same bytes.
///
/// Rows that are added to a span later come in files of the same names, each of which takes the place of its forerunner in one step.
public final class ParquetSink: Sink {
    private let options: ParquetSinkOptions
    private let segments: any SegmentStore
    private let engine: Engine

    private let now: @Sendable () -> Int64

    /// Opens nothing yet.
    /// - Parameter now: seconds since 1970, by which rows grow old; nil: the machine's clock.
    public init(_ options: ParquetSinkOptions, segments: any SegmentStore, now: (@Sendable () -> Int64)? = nil) {
        self.options = options
        self.segments = segments
        self.now = now ?? { Int64(Glibc.time(nil)) }
        self.engine = Engine(options)
    }

    public var delivery: Delivery { .effectivelyOnce }
    public var holdsBackToFinality: Bool { true }

    /// - Throws: `pause` when the folder holds another pipeline's files of this chain, lacks what the position says it has, or cannot
    ///   be written.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        for table in tables { try requireName(table.name) }
        let database = try await engine.claim(stream)
        do { return ParquetSinkStream(writer: try await writer(stream, tables, database)) } catch {
            await engine.giveUp(stream)
            throw error
        }
    }

    private func writer(_ stream: StreamID, _ tables: [Schema], _ database: DuckDBDatabase) async throws -> ParquetWriter {
        let layout = Layout(directory: options.directory, chainID: stream.chainID)
        let place: any ParquetPlace = try await engine.bucket().map { BucketPlace(layout, $0) } ?? FolderPlace(layout: layout)
        let writer = try ParquetWriter(stream, tables, options, segments, database, place, now: now)
        try await writer.prepare()
        await engine.replace(with: writer)
        try await writer.recover()
        return writer
    }

    /// A folder is made of the name. Readers of lakes pass over those that begin with `_` or a dot.
    private func requireName(_ name: String) throws(SluiceError) {
        let isPlain = name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
        guard isPlain, let first = name.first, first != "_", first != "." else {
            throw SluiceError(
                .parquetFolder, .config, "table \(name.jsonQuoted) cannot name a folder",
                mend: "give it a name without slashes and control characters that begins neither with _ nor with a dot")
        }
    }

    /// Gives up the files that are not whole.
    public func close() async { await engine.close() }

    /// One DuckDB in memory for all streams, opened when the first needs it.
    private actor Engine {
        private let options: ParquetSinkOptions
        private let worker = WorkerThread(name: "parquet-open")
        private var database: DuckDBDatabase?
        private var writers: [UInt64: ParquetWriter] = [:]
        /// By chain: nobody else writes its files.
        private var locks: [UInt64: ProcessLock] = [:]
        private var http: HTTPClient?
        private var client: BucketClient?

        nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

        init(_ options: ParquetSinkOptions) { self.options = options }

        func claim(_ stream: StreamID) throws -> DuckDBDatabase {
            if let problem = options.problem {
                throw SluiceError(.parquetFolder, .config, "the sink to \(options.bucket?.shown ?? options.directory): \(problem)")
            }
            if let other = writers[stream.chainID], other.id != stream {
                throw SluiceError(
                    .parquetFolder, .config,
                    "\(stream) and \(other.id) would write the same chain to \(options.bucket?.shown ?? options.directory)",
                    mend: "give each pipeline a folder of its own")
            }
            if locks[stream.chainID] == nil { locks[stream.chainID] = try lock(stream) }
            let database =
                try database
                ?? DuckDBDatabase(
                    path: nil,
                    settings: [
                        "memory_limit": "\(options.memoryLimitBytes)B", "temp_directory": "\(options.directory)/_temporary/duckdb",
                    ])
            self.database = database
            return database
        }

        /// A second writer would take the first one's open files for what a crash left. Of a bucket this says as much as its spool is shared.
        private func lock(_ stream: StreamID) throws -> ProcessLock {
            let (file, shown) = (
                Layout(directory: options.directory, chainID: stream.chainID).lock, options.bucket?.shown ?? options.directory
            )
            try Folder.create(Folder.parent(of: file))
            do { return try ProcessLock.take(file, patience: 20) } catch {
                switch error {
                case .held(let holder):
                    let own = holder == "\(getpid())"
                    throw SluiceError(
                        .parquetLocked, .pause,
                        "chain \(stream.chainID) in \(shown) is being written by \(own ? "another sink of this process" : "process \(holder ?? "unknown")")",
                        mend: own
                            ? "let the pipelines share one sink, or give each a folder of its own"
                            : "stop that process, or write to another folder")
                case .unwritable(let code): throw Folder.failure("creating \(file)", code)
                case .unlockable(let code): throw Folder.failure("locking \(file)", code)
                }
            }
        }

        /// The way to the bucket; nil when files stay in the folder.
        func bucket() throws -> BucketClient? {
            guard let bucket = options.bucket else { return nil }
            if let client { return client }
            if let problem = bucket.problem {
                throw SluiceError(.bucketRefused, .config, "the sink to \(bucket.shown): \(problem)", mend: "set path: s3://bucket/prefix")
            }
            guard !bucket.accessKey.isEmpty, !bucket.secretKey.reveal().isEmpty else {
                throw SluiceError(
                    .bucketRefused, .config, "the sink to \(bucket.shown) lacks its key", mend: "set access_key and secret_key")
            }
            let http = try HTTPClient(idleConnections: 16)
            let made = BucketClient(bucket, http: http)
            (self.http, client) = (http, made)
            return made
        }

        /// A stream that is opened again starts from what is durable; its old writer gives its files up first.
        func replace(with writer: ParquetWriter) async {
            await writers.updateValue(writer, forKey: writer.id.chainID)?.retire()
        }

        /// A stream that could not be opened holds nothing, and keeps nobody out.
        func giveUp(_ stream: StreamID) async {
            await writers.removeValue(forKey: stream.chainID)?.retire()
            locks[stream.chainID] = nil
        }

        func close() async {
            for writer in writers.values { await writer.retire() }
            (writers, locks) = ([:], [:])
            (database, client) = (nil, nil)
            http?.shutdown()
            http = nil
        }
    }
}

/// One stream; the writer does the work.
struct ParquetSinkStream: SinkStream {
    let writer: ParquetWriter

    var executor: (any TaskExecutor)? { writer.worker }
    /// Little: what it has taken waits in the queues of its files.
    var appetite: Int? { writer.options.queueBytes / 8 }
    func coverage() async throws -> [Segment] { try await writer.coverage() }
    func write(_ batch: Batch) async throws -> Position? { try await writer.write(batch) }
    func flush() async throws -> Position? { try await writer.flush() }
    func rollback(to position: Position) async throws { try await writer.rollback(to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await writer.amend(amendments) }
    func finish() async throws -> Position? { try await writer.finish() }
}
