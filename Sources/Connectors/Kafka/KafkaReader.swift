import CRdkafka
import SluiceCore

/// Reads what is committed in partitions, from offsets to their ends. Everything blocks.
struct KafkaReader {
    /// Where to read.
    struct Place: Hashable {
        let topic: String
        let partition: Int32
        /// The first offset; later ones serve when it is gone.
        let first: Int64
    }

    /// A record as it came.
    struct Record {
        let topic: String
        let partition: Int32
        let key: [UInt8]
        /// nil: a tombstone.
        let value: [UInt8]?
        let headers: [(String, String)]

        func header(_ name: String) -> String? { headers.last { $0.0 == name }?.1 }
    }

    let options: KafkaSinkOptions

    /// Hands over every record up to what the partitions end with now. Waits for transactions of others that are open there.
    /// - Parameter wantsAll: whether it is an error that records behind the first offset are deleted.
    func read(_ places: [Place], doing: String, wantsAll: Bool = false, _ body: (Record) throws -> Void) throws {
        let started = ContinuousClock.now
        let ends = try ends(of: places, doing: doing, wantsAll: wantsAll)
        guard !ends.isEmpty else { return }
        let client = try consumer(isolation: "read_committed")
        var topics: [String: OpaquePointer] = [:]
        let queue = rd_kafka_queue_new(client.handle)
        var running: [Place] = []
        defer {
            for place in running { if let topic = topics[place.topic] { rd_kafka_consume_stop(topic, place.partition) } }
            for topic in topics.values { rd_kafka_topic_destroy(topic) }
            rd_kafka_queue_destroy(queue)
        }
        for place in ends.keys {
            guard let topic = topics[place.topic] ?? rd_kafka_topic_new(client.handle, place.topic, nil) else {
                throw client.error(rd_kafka_last_error(), doing: doing)
            }
            topics[place.topic] = topic
            guard rd_kafka_consume_start_queue(topic, place.partition, place.first, queue) == 0 else {
                throw client.error(rd_kafka_last_error(), doing: doing)
            }
            running.append(place)
        }
        var open = Dictionary(ends.map { (Self.name($0.key.topic, $0.key.partition), $0.value) }, uniquingKeysWith: { first, _ in first })
        var last = started
        while !open.isEmpty {
            guard let message = rd_kafka_consume_queue(queue, 200) else {
                client.poll()
                // Time counts from the last record: a long topic is no fault.
                guard ContinuousClock.now - last < .milliseconds(Int64(options.timeoutMilliseconds) * 3) else {
                    throw client.error(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "\(doing) (a transaction of another may be open)")
                }
                continue
            }
            defer { rd_kafka_message_destroy(message) }
            let topic = message.pointee.rkt.flatMap { rd_kafka_topic_name($0) }.map { String(cString: $0) } ?? ""
            let name = Self.name(topic, message.pointee.partition)
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                last = ContinuousClock.now
                guard let end = open[name], message.pointee.offset < end else { continue }
                try body(Self.record(message, topic))
                if message.pointee.offset + 1 >= end { open[name] = nil }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                if let end = open[name], message.pointee.offset >= end { open[name] = nil }
            case let code: throw client.error(code, doing: doing)
            }
        }
    }

    /// Where partitions end, for those that have anything behind where they are to be read from. Also what is not committed yet counts.
    private func ends(of places: [Place], doing: String, wantsAll: Bool) throws(SluiceError) -> [Place: Int64] {
        let client = try consumer(isolation: "read_uncommitted")
        var ends: [Place: Int64] = [:]
        for place in places {
            var (low, high) = (Int64(0), Int64(0))
            let code = rd_kafka_query_watermark_offsets(
                client.handle, place.topic, place.partition, &low, &high, options.timeoutMilliseconds)
            client.poll()
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.error(code, doing: doing) }
            guard low <= place.first || !wantsAll else {
                throw SluiceError(
                    .kafkaDeleted, .data,
                    "\(doing): the brokers have deleted what stood before offset \(low) of partition \(place.partition) of topic \(place.topic), and it may have been among that",
                    mend: "fill an empty topic by a backfill, and keep records for longer (retention)")
            }
            if high > max(low, place.first) {
                ends[Place(topic: place.topic, partition: place.partition, first: max(low, place.first))] = high
            }
        }
        return ends
    }

    private func consumer(isolation: String) throws(SluiceError) -> KafkaClient {
        try KafkaClient(
            RD_KAFKA_CONSUMER, options.access,
            [
                ("isolation.level", isolation), ("enable.partition.eof", "true"), ("auto.offset.reset", "earliest"),
                ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "20"), ("queued.max.messages.kbytes", "16384"),
            ])
    }

    private static func name(_ topic: String, _ partition: Int32) -> String { "\(topic)\u{0}\(partition)" }

    private static func record(_ message: UnsafeMutablePointer<rd_kafka_message_t>, _ topic: String) -> Record {
        func bytes(_ base: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
            base.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
        }
        var headers: [(String, String)] = []
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR {
            var (name, value, size, index) = (UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0, 0)
            while rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
                let text = String(decoding: UnsafeRawBufferPointer(start: value, count: size), as: UTF8.self)
                headers.append((name.map { String(cString: $0) } ?? "", text))
                index += 1
            }
        }
        return Record(
            topic: topic, partition: message.pointee.partition, key: bytes(message.pointee.key, message.pointee.key_len) ?? [],
            value: bytes(message.pointee.payload, message.pointee.len), headers: headers)
    }
}
