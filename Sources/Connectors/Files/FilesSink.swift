public import SluiceCore

/// Loads tables into a folder of CSV files, or of JSON lines. Rows and position land together: a record says how many bytes of each file
/// count, and of which blocks they are; what a crash leaves behind that is cut off at the next start.
public final class FilesSink: Sink {
    private let store: FilesStore

    /// Opens nothing yet.
    public init(_ options: FilesSinkOptions) { store = FilesStore(options) }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// - Throws: `pause` when the folder cannot be written, holds other tables or another pipeline's, or lacks what its record tells.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await store.open(stream, tables: tables)
        return FilesSinkStream(id: stream, store: store)
    }

    /// Writes nothing: what was not flushed is read again by the next run.
    public func close() async { await store.close() }
}

/// One stream; the store does the work.
struct FilesSinkStream: SinkStream {
    let id: StreamID
    let store: FilesStore

    var executor: (any TaskExecutor)? { store.worker }
    func coverage() async throws -> [Segment] { try await store.coverage(of: id) }
    func write(_ batch: Batch) async throws -> Position? { try await store.write(batch, of: id) }
    func flush() async throws -> Position? { try await store.flush(id) }
    func finalized(_ number: UInt64) async throws { await store.finalized(number, of: id) }
    func rollback(to position: Position) async throws { try await store.rollback(id, to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await store.amend(amendments, of: id) }
    func finish() async throws -> Position? { try await store.flush(id) }
}
