import CRdkafka
import SluiceCore
import SluiceFormats
import SluiceNet

/// One stream's way into Kafka, on a thread of its own.
///
/// A transaction holds rows and, in the positions topic, the segments that they bring the stream to. After any failure the producer is given
/// up, what was taken and not committed is forgotten, and the stream must ask for its position, by which a new producer is made, and resend
/// from there: what the old one left, the new one's claim ends.
actor KafkaStream {
    /// One table's way.
    struct Lane {
        let schema: Schema
        let topic: String
        let blockNumber: Int
        let text: RowText
        var avro: RowAvro?

        /// Writes a row's key, and its value behind it; returns where that begins.
        func write(_ cells: borrowing RowCells, row: Int, into out: inout RecordBytes) throws(Misfit) -> Int {
            if let reason = text.key(cells, row: row, into: &out) { throw Misfit(reason: reason) }
            let size = out.count
            let reason = avro?.value(cells, row: row, into: &out) ?? (avro == nil ? text.value(cells, row: row, into: &out) : nil)
            if let reason { throw Misfit(reason: reason) }
            return size
        }
    }

    /// A row that cannot be written, and why.
    struct Misfit: Error {
        let reason: String
    }

    let id: StreamID
    let options: KafkaSinkOptions
    private let sink: String
    nonisolated let worker = WorkerThread(name: "kafka-sink")
    var lanes: [Lane]
    var producer: KafkaProducer?
    /// How many partitions each of the topics has.
    var partitions: [String: Int] = [:]
    /// What is committed.
    var record: PositionRecord
    /// What is covered with all that was taken.
    var taken = Coverage()
    var held: [Batch] = []
    private var rows = 0
    private var bytes = 0
    var news: Position?
    var lost = true
    /// Why this process may not write any more.
    private var fence: SluiceError?
    /// The most bytes of one batch of records: less than the option says where a topic allows less.
    var batchBytes: Int

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    /// - Throws: `kafka_topic` (class `config`) when tables cannot have a topic each.
    init(_ id: StreamID, tables: [Schema], sink: String, options: KafkaSinkOptions) throws(SluiceError) {
        self.id = id
        self.sink = sink
        self.options = options
        batchBytes = options.batchBytes
        record = PositionRecord(chainID: id.chainID)
        var lanes: [Lane] = []
        for table in tables {
            guard let number = table.blockNumberField.flatMap({ table.index(of: $0) }) else {
                throw SluiceError(.kafkaTopic, .config, "table \(table.name) has no block number, by which its rows could be taken back")
            }
            let topic = try TopicName.make(options.topics[table.name] ?? options.topic, table: table.name, stream: id)
            if topic == options.positionsTopic || lanes.contains(where: { $0.topic == topic }) {
                throw SluiceError(
                    .kafkaTopic, .config, "table \(table.name) would share topic \(topic) with another", mend: "put {table} into topic")
            }
            lanes.append(Lane(schema: table, topic: topic, blockNumber: number, text: RowText(table)))
        }
        self.lanes = lanes
        guard TopicName.isLegal(options.positionsTopic) else {
            throw SluiceError(.kafkaTopic, .config, "'\(options.positionsTopic)' is no name for a topic", mend: "change positions_topic")
        }
    }

    // MARK: - Opening

    func open() async throws {
        if options.format == .avro {
            guard let url = options.registry else {
                throw SluiceError(.kafkaOption, .config, "format avro needs a schema_registry", mend: "name one, or write json")
            }
            let registry = SchemaRegistry(url: url, shown: options.registryShown, client: try HTTPClient())
            for index in lanes.indices {
                let schema = lanes[index].schema
                lanes[index].avro = RowAvro(
                    schema, id: try await registry.register(RowAvro.schema(schema), subject: lanes[index].topic + "-value"))
            }
        }
        fence = nil
        try connect()
        try requireSameTables()
    }

    func close() {
        producer = nil
        drop()
        lost = true
    }

    /// Makes a producer and learns from the brokers how far the stream is.
    private func connect() throws {
        producer = nil
        drop()
        let made = try claimed()
        taken = record.coverage
        lost = false
        producer = made
    }

    /// Makes a producer anew, in the midst of a transaction that was not committed; what is held stays.
    func reconnect(isAlone: Bool = false) throws {
        producer = nil
        let before = record.coverage
        let made = try claimed(isAlone: isAlone)
        guard record.coverage == before else {
            throw SluiceError(.kafkaUnavailable, .retry, "\(id) was written by another meanwhile: resume from the stored position")
        }
        producer = made
    }

    /// A producer that has claimed the stream; sets what is committed.
    private func claimed(isAlone: Bool = false) throws -> KafkaProducer {
        var options = options
        options.batchBytes = batchBytes
        let made = try KafkaProducer(options, transactionalID: "\(options.positionsTopic)/\(key)", isAlone: isAlone)
        let counts = try made.make(lanes.map { options.new($0.topic) } + [options.newPositions])
        partitions = Dictionary(lanes.map { ($0.topic, counts[$0.topic] ?? 0) }, uniquingKeysWith: { first, _ in first })
        try made.use(lanes.map(\.topic) + [options.positionsTopic])
        do { try made.claim() } catch { throw noted(error) }
        record = try readPosition()
        return made
    }

    var key: String { "\(sink)/\(id.pipeline)/\(id.chainID)" }

    /// The stream's last record in the positions topic.
    private func readPosition() throws -> PositionRecord {
        let place = "topic \(options.positionsTopic) at \(options.brokers)"
        var all: [[UInt8]: PositionRecord] = [:]
        try KafkaReader(options: options).read(
            [.init(topic: options.positionsTopic, partition: 0, first: 0)], doing: "reading how far \(id) is"
        ) { found in
            all[found.key] = try found.value.map { try PositionRecord(String(decoding: $0, as: UTF8.self), at: place) }
        }
        let own = all.removeValue(forKey: Array(key.utf8)) ?? PositionRecord(chainID: id.chainID)
        // Two streams that write the same rows would double them, and each would take back the other's.
        for (name, other) in all where other.chainID == id.chainID && !other.coverage.segments.isEmpty {
            guard let shared = lanes.first(where: { other.topics.contains($0.topic) })?.topic else { continue }
            throw SluiceError(
                .kafkaTopic, .pause,
                "topic \(shared) at \(options.brokers) holds chain \(id.chainID) as \(String(decoding: name, as: UTF8.self)) wrote it (sink, pipeline, chain); \(key) cannot share it",
                mend: "put {pipeline} or another word into topic")
        }
        return own
    }

    /// A table that joins or leaves a stream later would have a hole that nothing shows: the segments speak of all tables.
    private func requireSameTables() throws(SluiceError) {
        guard let first = record.coverage.segments.first?.first else { return }
        let names = lanes.map(\.schema.name)
        if let different = Set(names).symmetricDifference(record.tables).min() {
            let news = names.contains(different) ? "now asks for" : "no longer asks for"
            throw SluiceError(
                .kafkaTopic, .pause,
                "\(id.pipeline) \(news) table \(different), but \(options.brokers) holds its blocks from \(first) on as they were asked for before",
                mend: "give the other registers a pipeline of their own, or write to other topics")
        }
        if let moved = Set(record.topics).subtracting(lanes.map(\.topic)).min() {
            throw SluiceError(
                .kafkaTopic, .pause,
                "\(id.pipeline) has written its blocks from \(first) on to topic \(moved), which topic and topics do not name any more",
                mend: "give them their old values, or the sink another name")
        }
    }

    // MARK: - The stream

    func coverage() throws -> [Segment] {
        if let fence { throw fence }
        if lost { try connect() }
        return taken.segments
    }

    func write(_ batch: Batch) throws -> Position? {
        try requireReady()
        try batch.requireFit(id, lanes.lazy.map(\.schema))
        try taken.append(batch.span, stream: id)
        held.append(batch)
        rows += batch.rowCount
        bytes += batch.byteCount
        if rows >= options.commitRows || bytes >= options.commitBytes { try commitTaken() }
        return report()
    }

    func flush() throws -> Position? {
        try requireReady()
        if taken != record.coverage { try commitTaken() }
        return report()
    }

    func rollback(to position: Position) throws {
        try requireReady()
        let before = (taken: taken, held: held)
        guard let removed = taken.rollback(to: position) else { return }
        // What was not handed over yet need not be taken back.
        held.removeAll { removed.contains($0.span.first) }
        if let last = held.lastIndex(where: { removed.contains($0.span.last.number) }) {
            held[last] = held[last].through(block: position.number)
        }
        var stored = record.coverage
        let gone = stored.rollback(to: position)
        let change = try guarded { Change(takingBack: try gone.map { try orphans($0) } ?? []) }
        do { try commit(change) } catch let refusal as HeldRefusal {
            // Nothing was taken back yet: the same call comes again.
            (taken, held) = (before.taken, refusal.taken(from: before.held))
            throw RowsRefused(refusal.rows)
        }
        // The caller knows this position: it named it.
        news = nil
    }

    func requireReady() throws(SluiceError) {
        if let fence { throw fence }
        guard !lost else {
            throw SluiceError(.kafkaUnavailable, .retry, "rows of \(id) were not committed: resume from the stored position")
        }
    }

    func drop() { (held, rows, bytes) = ([], 0, 0) }

    private func report() -> Position? {
        defer { news = nil }
        return news
    }

    /// Who was fenced off once must not fence the other off in turn.
    func noted(_ error: any Error) -> any Error {
        if let error = error as? SluiceError, error.code == .kafkaFenced { fence = error }
        return error
    }
}

extension KafkaSinkOptions {
    /// A table's topic, as it is made.
    func new(_ name: String) -> NewTopic {
        var settings = [("cleanup.policy", cleanup == .both ? "compact,delete" : cleanup.rawValue)]
        if let retention { settings.append(("retention.ms", "\(retention.components.seconds * 1000)")) }
        if messageBytes > 1_000_000 { settings.append(("max.message.bytes", "\(messageBytes)")) }
        return NewTopic(name: name, partitions: partitions, replication: replication, settings: settings)
    }

    var newPositions: NewTopic {
        NewTopic(name: positionsTopic, partitions: 1, replication: replication, settings: [("cleanup.policy", "compact")])
    }
}
