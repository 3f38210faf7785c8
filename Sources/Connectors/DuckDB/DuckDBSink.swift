public import SluiceCore

/// Loads tables into a DuckDB file. Rows and position land in one transaction, so every row is there exactly once.
///
/// One thread and one connection write for all streams of the sink: DuckDB has one write-ahead log, and a second writer would
/// only wait. Rows are handed to DuckDB early, inside the open transaction, so that memory does not grow with its size.
public final class DuckDBSink: Sink {
    private let store: DuckDBStore

    /// Opens nothing yet.
    public init(_ options: DuckDBSinkOptions) { store = DuckDBStore(options) }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// - Throws: `pause` when the file is locked or cannot be written, when a table's column has another type, or when a table is
    ///   another stream's already.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await store.open(stream, tables: tables)
        return DuckDBSinkStream(id: stream, store: store)
    }

    /// Commits nothing: what was not flushed is read again by the next run.
    public func close() async { await store.close() }
}

/// One stream; the store does the work.
struct DuckDBSinkStream: SinkStream {
    let id: StreamID
    let store: DuckDBStore

    var executor: (any TaskExecutor)? { store.worker }
    var appetite: Int? { store.options.stageBytes }
    func coverage() async throws -> [Segment] { try await store.coverage(of: id) }
    func write(_ batch: Batch) async throws -> Position? { try await store.write(batch, of: id) }
    func flush() async throws -> Position? { try await store.flush(id) }
    func rollback(to position: Position) async throws { try await store.rollback(id, to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await store.amend(amendments, of: id) }
    func finish() async throws -> Position? { try await store.flush(id) }
}
