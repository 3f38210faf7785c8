import CRdkafka
public import SluiceCore

extension SluiceError.Code {
    /// No broker can be reached, or none answers in time.
    public static let kafkaUnavailable = Self("kafka_unavailable")
    /// The brokers refuse us, or what we want to do.
    public static let kafkaRefused = Self("kafka_refused")
    /// Another process writes the same stream by now.
    public static let kafkaFenced = Self("kafka_fenced")
    /// A setting that the library does not take.
    public static let kafkaOption = Self("kafka_option")
    /// A topic cannot be named, made or used as it is.
    public static let kafkaTopic = Self("kafka_topic")
    /// A row is larger than a record may be.
    public static let kafkaTooLarge = Self("kafka_too_large")
    /// A row has a value that cannot be written.
    public static let kafkaRow = Self("kafka_row")
    /// What is to be replaced may be deleted already.
    public static let kafkaDeleted = Self("kafka_deleted")
    /// The schema registry refuses a schema, or does not answer.
    public static let kafkaRegistry = Self("kafka_registry")
    /// What the positions topic says cannot be understood.
    public static let kafkaPosition = Self("kafka_position")
    /// The brokers failed in another way.
    public static let kafkaFailed = Self("kafka_failed")
}

/// What a failure of the library or of brokers means for the runtime.
enum KafkaFault {
    /// - Parameters:
    ///   - words: more than the code says, such as what a connection broke by.
    ///   - doing: what was being done, with the place: it begins the sentence.
    static func error(_ code: rd_kafka_resp_err_t, _ words: String? = nil, doing: String, isFatal: Bool = false) -> SluiceError {
        let name = String(cString: rd_kafka_err2name(code)).lowercased()
        let text = "\(doing): \(String(cString: rd_kafka_err2str(code)))\(words.map { ", \($0)" } ?? "") (\(name))"
        switch code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            return SluiceError(
                .kafkaFenced, .config, "\(doing): another process has opened the stream, this one may not write any more (\(name))",
                mend: "stop one of the two; two pipelines of one name need a positions_topic each")
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, RD_KAFKA_RESP_ERR__SSL:
            return SluiceError(.kafkaRefused, .config, text, mend: "check security, mechanism, user, password and ca_file")
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return SluiceError(
                .kafkaRefused, .pause, text, mend: "let the user read the topics and join the group, or write by transactions")
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return SluiceError(.kafkaTooLarge, .pause, text, mend: "raise message_bytes of the sink, and max.message.bytes of the topic")
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
            return SluiceError(.kafkaRow, .pause, text, mend: "see what the brokers check of the topic's records")
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
            RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
            return SluiceError(.kafkaTopic, .pause, text, mend: "make the topic by hand, or change partitions, replication and retention")
        case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
            return SluiceError(.kafkaOption, .config, text, mend: "lower timeout: twice of it must be below transaction.max.timeout.ms")
        default:
            if isFatal { return SluiceError(.kafkaFailed, .pause, text, mend: "see the brokers' logs") }
            return SluiceError(.kafkaUnavailable, .retry, text, mend: "check that the brokers run and can be reached")
        }
    }

    /// Whether brokers, or the library, refuse a record for what it is: or another one of the same batch.
    static func isOfRecord(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_RECORD: true
        default: false
        }
    }

    /// Takes over an error object of the library; nil is none.
    static func take(_ error: OpaquePointer?, _ words: String? = nil, doing: String) throws(SluiceError) {
        guard let error else { return }
        defer { rd_kafka_error_destroy(error) }
        let said = String(cString: rd_kafka_error_string(error))
        throw KafkaFault.error(
            rd_kafka_error_code(error), words.map { "\(said), \($0)" } ?? said, doing: doing, isFatal: rd_kafka_error_is_fatal(error) != 0)
    }
}
