public import SluiceCore
import SluiceNet
public import SluiceTelemetry
import Synchronization

/// Loads tables into InfluxDB as points. It knows no transactions: a row that comes again writes over itself, and the state file says what
/// blocks are there. It is given only what is final.
public final class InfluxSink: Sink {
    private let options: InfluxSinkOptions
    private let segments: any SegmentStore
    private let time: TimeSource
    private let log: Log
    /// The client, and who writes which measurement of which chain.
    private let shared = Mutex<(http: HTTPClient?, writers: [StreamID: (writer: InfluxWriter?, measurements: [String])])>((nil, [:]))

    /// Connects to nothing yet.
    public init(_ options: InfluxSinkOptions, segments: any SegmentStore, time: TimeSource = .live, log: Log = Log(level: .warning)) {
        self.options = options
        self.segments = segments
        self.time = time
        self.log = log
    }

    public var delivery: Delivery { .effectivelyOnce }
    public var holdsBackToFinality: Bool { true }

    /// - Throws: `retry` when the server cannot be reached, `config` when it refuses the user, the database or the bucket, or when tables do not
    ///   fit, `pause` when the stream holds blocks of other tables.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        guard let interface = options.interface else {
            throw SluiceError(
                .influxRefused, .config, "the sink at \(options.shown) has neither a database nor a bucket, or both",
                mend: "give database for InfluxDB 1, bucket, org and token for InfluxDB 2")
        }
        let plans = try tables.map { table throws(SluiceError) in
            let name = options.measurement.replacing("{table}", with: table.name).replacing("{pipeline}", with: stream.pipeline)
            return try LineTable(table, measurement: name, options.tables[table.name])
        }
        let measurements = plans.map(\.measurement)
        if Set(measurements).count < measurements.count {
            throw SluiceError(
                .influxSchema, .config, "several tables of \(stream) would be one measurement",
                mend: "put {table} into the sink's measurement")
        }
        let http = try client()
        let server = InfluxServer(
            options: options, interface: interface, http: http, time: time, log: log,
            gate: RequestGate(initial: 1, maximum: options.requests, time: time))
        try claim(stream, measurements)
        let rollups = try rollups(tables, plans)
        try await server.prepare(rollups)
        let writer = InfluxWriter(stream, plans, rollups, server, segments, time)
        try await writer.recover()
        let old = shared.withLock { $0.writers.updateValue((writer, measurements), forKey: stream) }?.writer
        await old?.retire()
        return InfluxSinkStream(writer: writer)
    }

    /// What each tier keeps of each table.
    private func rollups(_ tables: [Schema], _ plans: [LineTable]) throws(SluiceError) -> [InfluxRollup] {
        var all: [InfluxRollup] = []
        for (table, plan) in zip(tables, plans) {
            let names = options.tables[table.name]?.rollup ?? []
            if names.isEmpty { continue }
            let fields = try plan.sums(names, addsFloats: options.addsFloats)
            all += options.tiers.map { InfluxRollup(tier: $0, measurement: plan.measurement, fields: fields) }
        }
        return all
    }

    public func close() async {
        let (http, writers) = shared.withLock { shared in
            defer { shared = (nil, [:]) }
            return (shared.http, shared.writers.values.compactMap(\.writer))
        }
        for writer in writers { await writer.retire() }
        http?.shutdown()
    }

    private func client() throws -> HTTPClient {
        if let http = shared.withLock({ $0.http }) { return http }
        let made = try HTTPClient(idleConnections: 4)
        return shared.withLock { shared in
            let http = shared.http ?? made
            shared.http = http
            return http
        }
    }

    /// Two streams in one measurement of one chain would write over each other's points.
    private func claim(_ stream: StreamID, _ measurements: [String]) throws {
        let other = shared.withLock { shared in
            let other = shared.writers.first { id, own in
                id != stream && id.chainID == stream.chainID && !Set(own.measurements).isDisjoint(with: measurements)
            }?.key
            // Said before it is opened: two may be opened at a time.
            if other == nil { shared.writers[stream] = (shared.writers[stream]?.writer, measurements) }
            return other
        }
        guard let other else { return }
        throw SluiceError(
            .influxSchema, .config, "\(stream) and \(other) would write the same points to \(options.shown)",
            mend: "put {pipeline} into the sink's measurement")
    }
}

/// One stream; the writer does the work.
struct InfluxSinkStream: SinkStream {
    let writer: InfluxWriter

    var executor: (any TaskExecutor)? { writer.worker }
    func coverage() async throws -> [Segment] { try await writer.coverage() }
    func write(_ batch: Batch) async throws -> Position? { try await writer.write(batch) }
    func flush() async throws -> Position? { try await writer.flush() }
    func rollback(to position: Position) async throws { try await writer.rollback(to: position) }
    func amend(_ amendments: [Amendment]) async throws { try await writer.amend(amendments) }
    func finish() async throws -> Position? { try await writer.finish() }
}
