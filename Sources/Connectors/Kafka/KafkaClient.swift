import CRdkafka
import Glibc
import SluiceConfig
import SluiceCore
import Synchronization

/// One client of the library, as a producer or a consumer. Everything blocks; used from one thread.
final class KafkaClient {
    /// What the library's own threads say.
    final class Notes: Sendable {
        struct State {
            /// Why brokers cannot be spoken to, as it was said last.
            var trouble: String?
            var refusal: (code: rd_kafka_resp_err_t, words: String)?
            /// The first record that was not taken: its number in the transaction, and why.
            var undelivered: (number: Int, code: rd_kafka_resp_err_t)?
            /// The records that brokers refuse for what they are, in the order in which that was said.
            var refused: [(number: Int, code: rd_kafka_resp_err_t)] = []
            /// The offset behind the last record that was taken, by topic and partition.
            var ends: [[Int64]] = []
            /// What a group has assigned and taken back, and nobody has heard of yet.
            var rebalances: [KafkaRebalance] = []
            /// From now on what is taken back is given back at once.
            var isLeaving = false
        }
        let state = Mutex(State())
    }

    let handle: OpaquePointer
    let notes = Notes()
    let shown: String

    /// - Throws: `kafka_option` (class `config`) when the library does not take a setting.
    /// - Parameter sharesOut: whether what its group assigns to it, and takes back, is noted for `KafkaMember`.
    init(
        _ kind: rd_kafka_type_t, _ options: KafkaAccess, _ own: [(String, String)], sharesOut: Bool = false
    ) throws(SluiceError) {
        shown = options.brokers
        guard let configuration = rd_kafka_conf_new() else { throw KafkaClient.fault("no memory") }
        var isOurs = true
        defer { if isOurs { rd_kafka_conf_destroy(configuration) } }
        // What the user adds comes first, so that nothing of ours is overridden.
        for (name, value) in options.properties.sorted(by: { $0.key < $1.key }) { try Self.set(configuration, name, value.reveal()) }
        for (name, value) in options.connection + own { try Self.set(configuration, name, value) }
        rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(notes).toOpaque())
        rd_kafka_conf_set_log_cb(configuration, kafkaLogged)
        rd_kafka_conf_set_error_cb(configuration, kafkaFailed)
        if sharesOut { rd_kafka_conf_set_rebalance_cb(configuration, kafkaRebalanced) }
        if kind == RD_KAFKA_PRODUCER { rd_kafka_conf_set_dr_msg_cb(configuration, kafkaDelivered) }
        var words = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(kind, configuration, &words, words.count) else { throw Self.fault(Self.text(words)) }
        isOurs = false
        self.handle = handle
    }

    deinit { rd_kafka_destroy(handle) }

    private static func set(_ configuration: OpaquePointer, _ name: String, _ value: String) throws(SluiceError) {
        var words = [CChar](repeating: 0, count: 512)
        guard rd_kafka_conf_set(configuration, name, value, &words, words.count) == RD_KAFKA_CONF_OK else {
            // The library's words may hold the value.
            let said = name.contains("password") || name.contains("key") ? "its value is not taken" : text(words)
            throw fault("\(name): \(said)")
        }
    }

    private static func fault(_ words: String) -> SluiceError {
        SluiceError(
            .kafkaOption, .config, "kafka does not take the settings: \(words)", mend: "see properties and the other options")
    }

    static func text(_ words: [CChar]) -> String { String(decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }

    /// An error for a call that failed; with what is known of the connections, and a refusal before anything else.
    func error(_ code: rd_kafka_resp_err_t, doing: String) -> SluiceError {
        if let refusal { return refusal }
        return KafkaFault.error(code, trouble(behind: code), doing: "\(doing) at \(shown)")
    }

    /// Takes over an error object of the library; nil is none.
    func take(_ error: OpaquePointer?, doing: String) throws(SluiceError) {
        if error != nil, let refusal {
            rd_kafka_error_destroy(error)
            throw refusal
        }
        try KafkaFault.take(error, trouble(behind: rd_kafka_error_code(error)), doing: "\(doing) at \(shown)")
    }

    /// Credentials that brokers do not take: no call says so by itself.
    var refusal: SluiceError? {
        notes.state.withLock { $0.refusal }.map { KafkaFault.error($0.code, $0.words, doing: "connecting to kafka at \(shown)") }
    }

    /// What is wrong with the connections, for errors that only say that nothing came.
    private func trouble(behind code: rd_kafka_resp_err_t) -> String? {
        switch code {
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
            RD_KAFKA_RESP_ERR__RESOLVE:
            notes.state.withLock { $0.trouble }
        default: nil
        }
    }

    /// Serves callbacks.
    func poll(_ milliseconds: Int32 = 0) { rd_kafka_poll(handle, milliseconds) }

    /// The names of all topics, and how many partitions each has.
    func topics(within milliseconds: Int32) throws(SluiceError) -> [String: Int] {
        poll()
        var found: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle, 1, nil, &found, milliseconds)
        poll()
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found else { throw error(code, doing: "looking for topics") }
        defer { rd_kafka_metadata_destroy(found) }
        var all: [String: Int] = [:]
        for index in 0..<Int(found.pointee.topic_cnt) {
            let topic = found.pointee.topics[index]
            guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, let name = topic.topic else { continue }
            all[String(cString: name)] = Int(topic.partition_cnt)
        }
        return all
    }

    /// Whether one of the brokers is the one that makes topics.
    func hasController(within milliseconds: Int32) throws(SluiceError) -> Bool {
        let controller = rd_kafka_controllerid(handle, milliseconds)
        var found: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle, 0, nil, &found, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found else { throw error(code, doing: "looking for brokers") }
        defer { rd_kafka_metadata_destroy(found) }
        return (0..<Int(found.pointee.broker_cnt)).contains { found.pointee.brokers[$0].id == controller }
    }
}

func kafkaNotes(_ opaque: UnsafeMutableRawPointer?) -> KafkaClient.Notes? {
    opaque.map { Unmanaged<KafkaClient.Notes>.fromOpaque($0).takeUnretainedValue() }
}

/// Nothing is printed: what matters comes back as an error of a call, with these words.
private func kafkaLogged(_ handle: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?) {
    guard level <= 4, let handle, let text, let notes = kafkaNotes(rd_kafka_opaque(handle)) else { return }
    let words = String(cString: text)
    // Behind the name of the thread and of the broker.
    notes.state.withLock { $0.trouble = words.firstRange(of: "]: ").map { String(words[$0.upperBound...]) } ?? words }
}

private func kafkaFailed(_ handle: OpaquePointer?, _ code: Int32, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?) {
    guard let notes = kafkaNotes(opaque) else { return }
    let code = rd_kafka_resp_err_t(rawValue: code)
    let words = reason.map { String(cString: $0) } ?? ""
    notes.state.withLock { state in
        state.trouble = words
        switch code {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, RD_KAFKA_RESP_ERR__SSL,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
            state.refusal = (code, words)
        default: break
        }
    }
}

private func kafkaDelivered(_ handle: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?) {
    guard let notes = kafkaNotes(opaque), let message = message?.pointee else { return }
    let (topic, number) = KafkaProducer.unpacked(message._private)
    notes.state.withLock { state in
        if message.err != RD_KAFKA_RESP_ERR_NO_ERROR {
            if state.undelivered == nil { state.undelivered = (number, message.err) }
            if KafkaFault.isOfRecord(message.err) { state.refused.append((number, message.err)) }
        } else if topic < state.ends.count {
            let partition = Int(message.partition)
            while state.ends[topic].count <= partition { state.ends[topic].append(0) }
            state.ends[topic][partition] = max(state.ends[topic][partition], message.offset + 1)
        }
    }
}
