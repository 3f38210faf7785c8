public import SluiceCore

/// Loads tables into PostgreSQL. Rows and position land in one transaction, so every row is there exactly once; a process that was
/// believed dead and writes on is fenced off.
public final class PostgresSink: Sink {
    private let store: PostgresStore

    /// Connects to nothing yet.
    public init(_ options: PostgresSinkOptions) { store = PostgresStore(options) }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// - Throws: `retry` when the server cannot be reached, `pause` when it refuses, when a table's column has another type, or when a table
    ///   is another stream's already.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await store.open(stream, tables: tables)
        return PostgresSinkStream(id: stream, store: store)
    }

    /// Commits nothing: what was not flushed is read again by the next run.
    public func close() async { await store.close() }
}

/// One stream; the store does the work.
struct PostgresSinkStream: SinkStream {
    let id: StreamID
    let store: PostgresStore

    var executor: (any TaskExecutor)? { store.worker }
    func coverage() async throws -> [Segment] { try await store.coverage(of: id) }
    func write(_ batch: Batch) async throws -> Position? { try await store.write(batch, of: id) }
    func flush() async throws -> Position? { try await store.flush(id) }
    func amend(_ amendments: [Amendment]) async throws { try await store.amend(amendments, of: id) }
    func rollback(to position: Position) async throws { try await store.rollback(id, to: position) }
    func finish() async throws -> Position? { try await store.flush(id) }
}
