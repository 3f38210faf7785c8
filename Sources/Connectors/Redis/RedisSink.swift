public import SluiceCore

extension SluiceError.Code {
    /// The key of a table cannot be made.
    public static let redisSinkKey = SluiceError.Code("redis_sink_key")
    /// A key is another pipeline's, or was asked for otherwise.
    public static let redisSinkOwner = SluiceError.Code("redis_sink_owner")
    /// Another process writes the same stream by now.
    public static let redisFenced = SluiceError.Code("redis_fenced")
    /// A stream of Redis cannot take what lies below its end.
    public static let redisStreamOrder = SluiceError.Code("redis_stream_order")
    /// A row, or what was sent, is longer than the server takes in one piece.
    public static let redisTooLong = SluiceError.Code("redis_too_long")
    /// Values of final blocks cannot be gone back to.
    public static let redisUndo = SluiceError.Code("redis_undo")
}

/// Loads tables into Redis: newest values, streams, messages. Rows and position land in one transaction, so that every value and every entry is
/// there exactly once; a process that was believed dead and writes on is fenced off.
public final class RedisSink: Sink {
    private let store: RedisSinkStore

    /// Connects to nothing yet.
    public init(_ options: RedisSinkOptions) { store = RedisSinkStore(options) }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// - Throws: `retry` when the server cannot be reached, `config` when it refuses or a key cannot be made, `pause` when a key is another
    ///   pipeline's.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await store.open(stream, tables: tables)
        return RedisSinkStream(id: stream, store: store)
    }

    /// Stores nothing: what was not flushed is read again by the next run.
    public func close() async { await store.close() }
}

/// One stream; the store does the work.
struct RedisSinkStream: SinkStream {
    let id: StreamID
    let store: RedisSinkStore

    var executor: (any TaskExecutor)? { store.worker }
    func coverage() async throws -> [Segment] { try await store.coverage(of: id) }
    func write(_ batch: Batch) async throws -> Position? { try await store.write(batch, of: id) }
    func flush() async throws -> Position? { try await store.flush(id) }
    func finalized(_ number: UInt64) async throws { await store.finalized(number, of: id) }
    func rollback(to position: Position) async throws { try await store.rollback(id, to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await store.amend(amendments, of: id) }
    func finish() async throws -> Position? { try await store.flush(id) }
}
