import CRdkafka
import Glibc
import SluiceCore
import Synchronization

/// A producer of transactions. Everything blocks; used from one thread. After an error it is of no use any more: a new one of the same
/// transactional id ends what this one has left.
final class KafkaProducer {
    private let client: KafkaClient
    private let timeout: Int32
    private var topics: [OpaquePointer] = []
    /// Records of the transaction so far.
    private(set) var count = 0

    /// - Parameter isAlone: whether each record has a batch of its own, so that a broker's refusal is of that record.
    init(_ options: KafkaSinkOptions, transactionalID: String, isAlone: Bool = false) throws(SluiceError) {
        timeout = options.timeoutMilliseconds
        client = try KafkaClient(
            RD_KAFKA_PRODUCER, options.access,
            [
                ("transactional.id", transactionalID), ("transaction.timeout.ms", "\(timeout * 2)"),
                ("message.timeout.ms", "\(timeout)"), ("compression.codec", options.compression),
                (
                    "linger.ms",
                    "\(options.linger.components.seconds * 1000 + options.linger.components.attoseconds / 1_000_000_000_000_000)"
                ),
                ("batch.size", "\(options.batchBytes)"), ("message.max.bytes", "\(options.messageBytes)"),
                ("batch.num.messages", isAlone ? "1" : "100000"), ("queue.buffering.max.messages", "200000"),
                ("queue.buffering.max.kbytes", "65536"),
                // As the brokers' own clients do it, so that a key is found where others look for it.
                ("partitioner", "murmur2_random"),
            ])
    }

    deinit { for topic in topics { rd_kafka_topic_destroy(topic) } }

    /// Ends what an earlier process has left, and fences it off.
    func claim() throws(SluiceError) {
        try client.take(rd_kafka_init_transactions(client.handle, timeout), doing: "claiming the stream")
    }

    /// Makes those topics that are not there, and returns how many partitions each has.
    func make(_ wanted: [NewTopic]) throws(SluiceError) -> [String: Int] {
        try KafkaTopics(client: client, timeout: timeout).make(wanted)
    }

    /// Names the topics that `send` counts.
    func use(_ names: [String]) throws(SluiceError) {
        for name in names {
            guard let topic = rd_kafka_topic_new(client.handle, name, nil) else {
                throw client.error(rd_kafka_last_error(), doing: "using topic \(name)")
            }
            topics.append(topic)
        }
        client.notes.state.withLock { $0.ends = Array(repeating: [], count: names.count) }
    }

    /// The offsets behind what was delivered, by topic; empty where nothing was yet.
    var ends: [[Int64]] { client.notes.state.withLock { $0.ends } }

    func begin() throws(SluiceError) {
        count = 0
        client.notes.state.withLock { ($0.undelivered, $0.refused) = (nil, []) }
        try client.take(rd_kafka_begin_transaction(client.handle), doing: "beginning a transaction")
    }

    /// Hands a record over; it is copied.
    /// - Parameters:
    ///   - partition: nil by the hash of the key.
    ///   - value: nil for a record without one.
    /// - Returns: what was wrong with this record.
    func send(
        _ topic: Int, partition: Int32? = nil, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?, headers: KafkaHeaders
    ) throws(SluiceError) -> rd_kafka_resp_err_t {
        // An empty value is a value, too: only a null pointer says that there is none.
        let bytes = value.map { $0.baseAddress ?? key.baseAddress } ?? nil
        var started: ContinuousClock.Instant?
        while true {
            let code = crdkafka_produce(
                client.handle, topics[topic], partition ?? RD_KAFKA_PARTITION_UA, key.baseAddress, key.count, bytes, value?.count ?? 0,
                headers.copy(), Self.packed(topic, count))
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                count += 1
                if count % 1024 == 0 { client.poll() }
                return code
            }
            let since = started ?? ContinuousClock.now
            started = since
            guard ContinuousClock.now - since < .milliseconds(Int64(timeout)) else {
                throw client.error(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "sending records")
            }
            client.poll(100)
        }
    }

    /// The same of bytes that lie in arrays.
    func send(_ topic: Int, partition: Int32? = nil, key: [UInt8], value: [UInt8]?, headers: KafkaHeaders) throws -> rd_kafka_resp_err_t {
        let all = key + (value ?? [])
        return try all.withUnsafeBytes { bytes in
            try send(
                topic, partition: partition, key: UnsafeRawBufferPointer(rebasing: bytes[..<key.count]),
                value: value == nil ? nil : UnsafeRawBufferPointer(rebasing: bytes[key.count...]), headers: headers)
        }
    }

    /// Whether records of the transaction have failed by now, so that it takes no more.
    var isBroken: Bool {
        client.poll()
        return undelivered != nil
    }

    /// The records of the transaction that brokers refuse for what they are, by their numbers.
    var refused: [(number: Int, code: rd_kafka_resp_err_t)] { client.notes.state.withLock { $0.refused } }

    /// The first record of the transaction that no broker took: its number, and why.
    var undelivered: (number: Int, code: rd_kafka_resp_err_t)? { client.notes.state.withLock { $0.undelivered } }

    /// An error that says what was being done at which brokers; when the producer as a whole is at its end, by what.
    func error(_ code: rd_kafka_resp_err_t, doing: String) -> SluiceError {
        var words = [CChar](repeating: 0, count: 512)
        let fatal = rd_kafka_fatal_error(client.handle, &words, words.count)
        guard fatal != RD_KAFKA_RESP_ERR_NO_ERROR else { return client.error(code, doing: doing) }
        return KafkaFault.error(fatal, KafkaClient.text(words), doing: "\(doing) at \(client.shown)", isFatal: true)
    }

    /// Waits until all records are acknowledged, or until one is given up: the others may never be sent then.
    func flush() throws(SluiceError) {
        let started = ContinuousClock.now
        while undelivered == nil {
            let code = rd_kafka_flush(client.handle, 100)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            // A little longer than a record may take, so that it is the record that says what is wrong.
            guard code == RD_KAFKA_RESP_ERR__TIMED_OUT, ContinuousClock.now - started < .milliseconds(Int64(timeout) + 1000) else {
                if undelivered != nil { return }
                throw client.error(code, doing: "sending records")
            }
        }
    }

    func commit() throws(SluiceError) {
        let started = ContinuousClock.now
        while true {
            guard let failure = rd_kafka_commit_transaction(client.handle, timeout) else { return }
            // Called again it goes on where it was.
            let isLate = ContinuousClock.now - started > .milliseconds(Int64(timeout))
            guard rd_kafka_error_is_retriable(failure) != 0, !isLate else { return try client.take(failure, doing: "committing") }
            rd_kafka_error_destroy(failure)
            client.poll(50)
        }
    }

    /// Tells the brokers to drop what was sent. When that fails they find out by themselves, or by the next `claim`. The producer is of no
    /// use afterwards: what is purged may be what another transaction sends.
    func abort() {
        rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE)
        if let failure = rd_kafka_abort_transaction(client.handle, min(timeout, 3000)) { rd_kafka_error_destroy(failure) }
    }

    // A record's topic and number, as the pointer that comes back with its acknowledgement.
    private static func packed(_ topic: Int, _ number: Int) -> UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: (topic + 1) << 40 | number)
    }
    static func unpacked(_ pointer: UnsafeMutableRawPointer?) -> (topic: Int, number: Int) {
        let bits = Int(bitPattern: pointer)
        return ((bits >> 40) - 1, bits & (1 << 40 - 1))
    }
}

/// Headers of a record, made once and copied for each.
final class KafkaHeaders {
    private let list: OpaquePointer?

    init(_ headers: [(String, String)]) {
        list = rd_kafka_headers_new(headers.count)
        for (name, value) in headers { rd_kafka_header_add(list, name, name.utf8.count, value, value.utf8.count) }
    }

    deinit { rd_kafka_headers_destroy(list) }

    func copy() -> OpaquePointer? { rd_kafka_headers_copy(list) }
}
