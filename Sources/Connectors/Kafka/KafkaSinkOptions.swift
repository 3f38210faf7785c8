public import SluiceConfig

/// How the Kafka sink connects and writes.
public struct KafkaSinkOptions: Sendable {
    /// What the values of records are written as.
    public enum Format: String, Sendable { case json, avro }
    /// What takes the place of a row whose block was orphaned.
    public enum Undo: String, Sendable { case record, tombstone }
    /// What a broker does with old records.
    public enum Cleanup: String, Sendable {
        case delete, compact
        case both = "compact_delete"
    }

    /// `host:port`, several with commas between them.
    public var brokers: String
    /// The name of each table's topic, with placeholders.
    public var topic: String
    /// The same for tables that have one of their own.
    public var topics: [String: String]
    public var format: Format
    /// Where Avro schemas are registered; with user and password in it when it wants some.
    public var registry: Secret?
    /// The same without what is secret.
    public var registryShown: String
    public var undo: Undo
    /// Holds how far each stream is.
    public var positionsTopic: String
    /// For topics that are made; nil is what the broker makes by itself.
    public var partitions: Int?
    public var replication: Int?
    /// nil: what the broker keeps by itself.
    public var retention: Duration?
    public var cleanup: Cleanup
    public var compression: String
    public var linger: Duration
    /// Bytes of one request.
    public var batchBytes: Int
    /// Bytes of the largest record.
    public var messageBytes: Int
    /// A transaction is committed when it holds as many rows ...
    public var commitRows: Int
    /// ... or as many bytes, as they lie in memory.
    public var commitBytes: Int
    /// How long a call waits for the brokers before the stream is resumed from what is stored.
    public var timeout: Duration
    public var security: String
    public var user: String?
    public var password: Secret?
    public var mechanism: String
    public var authority: String?
    /// Further settings of librdkafka, by name.
    public var properties: [String: Secret]

    public init(brokers: String) {
        self.brokers = brokers
        topic = "{chain}.{short}.{chain_id}"
        topics = [:]
        format = .json
        undo = .record
        positionsTopic = "sluice.positions"
        cleanup = .delete
        compression = "lz4"
        linger = .milliseconds(5)
        batchBytes = 1_000_000
        messageBytes = 1_000_000
        commitRows = 100_000
        commitBytes = 64_000_000
        timeout = .seconds(30)
        security = "plaintext"
        mechanism = "SCRAM-SHA-512"
        properties = [:]
        registryShown = ""
    }
}
