import CRdkafka
import Glibc
import SluiceCore

/// The records of one partition from an offset on, as they are committed; on a thread of its own.
actor KafkaFeed {
    private let options: KafkaSourceOptions
    private let part: SourcePart
    private let worker = WorkerThread(name: "kafka-feed")
    private var client: KafkaClient?
    private var topic: OpaquePointer?
    /// Came already and belongs to the next batch.
    private var ahead: UnsafeMutablePointer<rd_kafka_message_t>?
    /// Up to here everything there is has come; nil: not known.
    private(set) var end: UInt64?

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ part: SourcePart, _ options: KafkaSourceOptions) {
        self.part = part
        self.options = options
    }

    /// Begins to read.
    func open(at first: UInt64) throws {
        let client = try KafkaClient(
            RD_KAFKA_CONSUMER, options.access,
            [
                ("isolation.level", "read_committed"), ("enable.partition.eof", "true"), ("auto.offset.reset", "error"),
                ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("check.crcs", "true"),
                ("fetch.wait.max.ms", "100"), ("queued.max.messages.kbytes", "4096"),
                ("fetch.error.backoff.ms", "100"), ("allow.auto.create.topics", "false"),
            ])
        guard let topic = rd_kafka_topic_new(client.handle, options.topic, nil) else {
            throw client.error(rd_kafka_last_error(), doing: "reading \(part)")
        }
        self.client = client
        self.topic = topic
        guard rd_kafka_consume_start(topic, part.number, Int64(clamping: first)) == 0 else {
            throw client.error(rd_kafka_last_error(), doing: "reading \(part)")
        }
    }

    /// Ends it; to be called on every way out.
    func close() {
        if let ahead { rd_kafka_message_destroy(ahead) }
        ahead = nil
        if let topic {
            rd_kafka_consume_stop(topic, part.number)
            rd_kafka_topic_destroy(topic)
        }
        topic = nil
        client = nil
    }

    /// What has come from an offset on, up to another one at most; waits for it a moment. Nil when nothing has.
    func batch(from first: UInt64, through last: UInt64) throws -> Batch? {
        guard let client, let topic else { throw SluiceError(.kafkaFailed, .fatal, "\(part) is not open") }
        client.poll()
        if let refusal = client.refusal { throw refusal }
        var rows = RecordRows(part, topic: options.topic, payload: options.payload, first: first)
        if let end, end > first { rows.cover(through: min(last, end - 1)) }
        while rows.end <= last, rows.byteCount < options.batchBytes {
            // Only the first one is waited for.
            let patience: Int32 = rows.end == first ? 100 : 0
            let came = ahead == nil ? rd_kafka_consume(topic, part.number, patience) : ahead
            guard let message = came else { break }
            ahead = nil
            let code = message.pointee.err
            if code == RD_KAFKA_RESP_ERR_NO_ERROR, message.pointee.offset > Int64(clamping: last) {
                rows.cover(through: last)
                ahead = message
                break
            }
            defer { rd_kafka_message_destroy(message) }
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                guard message.pointee.offset >= Int64(clamping: rows.end) else { continue }
                rows.add(Self.record(message))
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                let found = UInt64(clamping: message.pointee.offset)
                end = found
                guard found > first else { break }
                // Behind the last record there may be marks of transactions, which are offsets, too.
                rows.cover(through: min(last, found - 1))
            case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
                if rows.end > first { return rows.finish() }
                throw SluiceError(.kafkaUnavailable, .retry, "reading \(part) from offset \(first): it is not there (any more)")
            case let code: throw client.error(code, doing: "reading \(part) from offset \(rows.end)")
            }
            if code == RD_KAFKA_RESP_ERR__PARTITION_EOF { break }
        }
        return rows.finish()
    }

    /// Where the partition ends, as the broker said last; nil when it has not said so yet.
    var knownEnd: UInt64? {
        guard let client else { return end }
        var (low, high) = (Int64(0), Int64(-1))
        let code = rd_kafka_get_watermark_offsets(client.handle, options.topic, part.number, &low, &high)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { return end }
        return UInt64(high)
    }

    private static func record(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> SourceRecord {
        func bytes(_ base: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeRawBufferPointer? {
            base.map { UnsafeRawBufferPointer(start: $0, count: count) }
        }
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let time = rd_kafka_message_timestamp(message, &kind)
        let clock: SourceRecord.Clock? =
            switch kind {
            case RD_KAFKA_TIMESTAMP_CREATE_TIME: .create
            case RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME: .append
            default: nil
            }
        var headers: [(name: [UInt8], value: [UInt8]?)] = []
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR {
            var (name, value, size, index) = (UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0, 0)
            while rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
                let words = name.map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) } ?? []
                headers.append((words, value.map { Array(UnsafeRawBufferPointer(start: $0, count: size)) }))
                index += 1
            }
        }
        return SourceRecord(
            offset: message.pointee.offset, time: time >= 0 || clock != nil ? time : nil, clock: time < 0 ? nil : clock,
            key: bytes(message.pointee.key, message.pointee.key_len), value: bytes(message.pointee.payload, message.pointee.len),
            headers: headers)
    }
}
