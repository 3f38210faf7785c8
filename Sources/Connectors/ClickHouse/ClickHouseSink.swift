public import SluiceCore
import SluiceNet

/// Loads tables into ClickHouse. There are no transactions: what is there is said by one row of `sluice_streams`, written when the rows are; rows that
/// it does not speak of are what a crash left, and are marked as deleted at the next start. Rows are idempotent by their key.
public final class ClickHouseSink: Sink {
    private let options: ClickHouseSinkOptions
    private let segments: any SegmentStore
    private let time: TimeSource
    /// Tells processes apart.
    private let random: @Sendable () -> UInt64
    private let client = Client()

    /// Connects to nothing yet.
    public init(
        _ options: ClickHouseSinkOptions, segments: any SegmentStore, time: TimeSource = .live,
        random: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
    ) {
        self.random = random
        self.options = options
        self.segments = segments
        self.time = time
    }

    public var delivery: Delivery { .effectivelyOnce }
    public var holdsBackToFinality: Bool { options.holdsBack }

    /// - Throws: `retry` when the server cannot be reached, `pause` when it refuses, when a table has another shape, or when it is another stream's
    ///   already; `config` when the options do not fit the tables or the server.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try options.requirePlainURL()
        let connection = ClickHouseConnection(http: try await client.http(), options: options)
        let writer = ClickHouseWriter(stream, tables, connection, segments: segments, time: time, writer: random())
        try await writer.open()
        return ClickHouseSinkStream(writer: writer)
    }

    /// Inserts nothing: what was not flushed is read again by the next run.
    public func close() async { await client.close() }

    /// One client for all streams, made when the first needs it.
    private actor Client {
        private var made: HTTPClient?

        func http() throws -> HTTPClient {
            if let made { return made }
            let client = try HTTPClient()
            made = client
            return client
        }

        func close() {
            made?.shutdown()
            made = nil
        }
    }
}

extension ClickHouseSinkOptions {
    /// What is asked for goes into the url's query.
    func requirePlainURL() throws(SluiceError) {
        guard endpoint.contains(where: { $0 == "?" || $0 == "#" }) else { return }
        throw SluiceError(
            .clickhouseOptions, .config, "the url of the sink at \(shown) has a query", mend: "name database, user and password as options")
    }
}

/// One stream; the writer does the work.
struct ClickHouseSinkStream: SinkStream {
    let writer: ClickHouseWriter

    var executor: (any TaskExecutor)? { writer.worker }
    func coverage() async throws -> [Segment] { try await writer.coverage() }
    func write(_ batch: Batch) async throws -> Position? { try await writer.write(batch) }
    func flush() async throws -> Position? { try await writer.flush() }
    func rollback(to position: Position) async throws { try await writer.rollback(to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await writer.amend(amendments) }
    func finish() async throws -> Position? { try await writer.flush() }
}
