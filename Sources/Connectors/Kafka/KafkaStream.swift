import CRdkafka
import SluiceCore
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
    }

    let id: StreamID
    let options: KafkaSinkOptions
    private let sink: String
    private let worker = WorkerThread(name: "kafka-sink")
    var lanes: [Lane]
    private var producer: KafkaProducer?
    /// How many partitions each of the topics has.
    var partitions: [String: Int] = [:]
    /// What is committed.
    var record: PositionRecord
    /// What is covered with all that was taken.
    private var taken = Coverage()
    private var held: [Batch] = []
    private var rows = 0
    private var bytes = 0
    private var news: Position?
    private var lost = true
    /// Why this process may not write any more.
    private var fence: SluiceError?

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    /// - Throws: `kafka_topic` (class `config`) when tables cannot have a topic each.
    init(_ id: StreamID, tables: [Schema], sink: String, options: KafkaSinkOptions) throws(SluiceError) {
        self.id = id
        self.sink = sink
        self.options = options
        record = PositionRecord(chainID: id.chainID)
        var lanes: [Lane] = []
        for table in tables {
            guard let number = table.blockNumberField.flatMap({ table.index(of: $0) }) else {
                throw SluiceError(.kafkaTopic, .config, "table \(table.name) has no block number, by which its rows could be taken back")
            }
            let topic = try TopicName.make(options.topic, table: table.name, stream: id)
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
        let made = try KafkaProducer(options, transactionalID: "\(options.positionsTopic)/\(key)")
        let counts = try made.make(lanes.map { options.new($0.topic) } + [options.newPositions])
        partitions = Dictionary(lanes.map { ($0.topic, counts[$0.topic] ?? 0) }, uniquingKeysWith: { first, _ in first })
        try made.use(lanes.map(\.topic) + [options.positionsTopic])
        do { try made.claim() } catch { throw noted(error) }
        record = try readPosition()
        taken = record.coverage
        lost = false
        producer = made
    }

    private var key: String { "\(sink)/\(id.pipeline)/\(id.chainID)" }

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
                "\(id.pipeline) has written its blocks from \(first) on to topic \(moved), which topic does not name any more",
                mend: "give topic its old value, or the sink another name")
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
        if rows >= options.commitRows || bytes >= options.commitBytes { try commit() }
        return report()
    }

    func flush() throws -> Position? {
        try requireReady()
        if taken != record.coverage { try commit() }
        return report()
    }

    func finalized(_ number: UInt64) { record.finalize(number) }

    func rollback(to position: Position) throws {
        try requireReady()
        guard let removed = taken.rollback(to: position) else { return }
        // What was not handed over yet need not be taken back.
        held.removeAll { removed.contains($0.span.first) }
        if let last = held.lastIndex(where: { removed.contains($0.span.last.number) }) {
            held[last] = held[last].through(block: position.number)
        }
        var stored = record.coverage
        try commit(takingBack: stored.rollback(to: position))
        // The caller knows this position: it named it.
        news = nil
    }

    private func requireReady() throws(SluiceError) {
        if let fence { throw fence }
        guard !lost else {
            throw SluiceError(.kafkaUnavailable, .retry, "rows of \(id) were not committed: resume from the stored position")
        }
    }

    private func drop() { (held, rows, bytes) = ([], 0, 0) }

    private func report() -> Position? {
        defer { news = nil }
        return news
    }

    // MARK: - Transactions

    private func commit(takingBack removed: ClosedRange<UInt64>? = nil) throws {
        guard let producer else { throw id.isNotOpen }
        do {
            // Read before the transaction begins: it would wait for its own end.
            let orphans = try removed.map { try self.orphans($0) } ?? []
            var next = record
            if let first = held.first?.span.first { next.mark(first, offsets: offsets(producer)) }
            next.coverage = taken
            next.tables = lanes.map(\.schema.name)
            next.topics = lanes.map(\.topic)
            try producer.begin()
            do {
                try send(held, orphans: orphans, next, by: producer)
                try producer.commit()
            } catch {
                producer.abort()
                throw error
            }
            record = next
        } catch {
            self.producer = nil
            drop()
            lost = true
            throw noted(error)
        }
        if let last = held.last { news = last.span.last }
        drop()
    }

    private func send(_ batches: [Batch], orphans: [Orphan], _ next: PositionRecord, by producer: KafkaProducer) throws {
        var sending = Sending(lanes: lanes, id: id, producer: producer)
        for batch in batches { try sending.send(batch) }
        for orphan in orphans { try sending.takeBack(orphan, options.undo) }
        try sending.finish(position: next.text, key: key)
    }

    /// Where what is sent next will stand, at least.
    private func offsets(_ producer: KafkaProducer) -> [String: [Int64]] {
        var known = record.marks.last?.offsets ?? [:]
        for (lane, ends) in zip(lanes, producer.ends) {
            var all = known[lane.topic] ?? []
            for (partition, end) in ends.enumerated() {
                if partition < all.count { all[partition] = max(all[partition], end) } else { all.append(end) }
            }
            if !all.isEmpty { known[lane.topic] = all }
        }
        return known
    }

    /// Who was fenced off once must not fence the other off in turn.
    private func noted(_ error: any Error) -> any Error {
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
