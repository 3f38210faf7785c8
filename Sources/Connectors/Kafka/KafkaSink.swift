public import SluiceCore
import SluiceNet
import Synchronization

/// Loads tables into Kafka. Rows and position land in one transaction, so that whoever reads only what is committed sees every row exactly
/// once; a process that was believed dead and writes on is fenced off.
public final class KafkaSink: Sink {
    private let options: KafkaSinkOptions
    private let name: String
    private let streams = Mutex<[StreamID: KafkaStream]>([:])

    /// Connects to nothing yet.
    /// - Parameter name: the sink's in the configuration.
    public init(_ options: KafkaSinkOptions, name: String) {
        self.options = options
        self.name = name
    }

    public var delivery: Delivery { .exactlyOnce }
    public var holdsBackToFinality: Bool { false }

    /// - Throws: `retry` when no broker can be reached, `config` or `pause` when they refuse, when a topic cannot be made, or when it holds
    ///   the same chain's rows of another stream.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        let opened = try KafkaStream(stream, tables: tables, sink: name, options: options)
        let before = streams.withLock { streams in
            defer { streams[stream] = opened }
            return streams[stream]
        }
        await before?.close()
        try await opened.open()
        return KafkaSinkStream(stream: opened)
    }

    /// Commits nothing: what was not flushed is read again by the next run.
    public func close() async {
        let open = streams.withLock { streams in
            defer { streams = [:] }
            return Array(streams.values)
        }
        for stream in open { await stream.close() }
    }
}

/// One stream; the actor does the work.
struct KafkaSinkStream: SinkStream {
    let stream: KafkaStream

    var executor: (any TaskExecutor)? { stream.worker }
    func coverage() async throws -> [Segment] { try await stream.coverage() }
    func write(_ batch: Batch) async throws -> Position? { try await stream.write(batch) }
    func flush() async throws -> Position? { try await stream.flush() }
    func amend(_ amendments: [Amendment]) async throws { try await stream.amend(amendments) }
    func rollback(to position: Position) async throws { try await stream.rollback(to: position) }
    func finish() async throws -> Position? { try await stream.flush() }
}
