public import SluiceConfig

/// A topic that is read, as whom, and how.
public struct KafkaSourceOptions: Sendable {
    /// Where who has nothing and has told nothing begins.
    public enum Start: String, Sendable { case earliest, latest }
    /// What is done when records are gone before they were read.
    public enum Loss: String, Sendable {
        case fail
        case goOn = "continue"
    }
    /// What columns values are put into beside their bytes.
    public enum Payload: String, Sendable { case bytes, text, json }

    var access: KafkaAccess
    public var topic: String
    /// The consumer group; `{pipeline}` is the pipeline.
    public var group: String
    public var start: Start
    public var loss: Loss
    public var payload: Payload
    /// A batch ends where offsets are a multiple of this ...
    public var batchOffsets: UInt64
    /// ... or when it holds so many bytes.
    public var batchBytes: Int
    /// The name of this process in its group, for members that come back under their name.
    public var instance: String?
    public var sessionTimeout: Duration
    public var commitInterval: Duration

    /// Defaults for a topic.
    public init(brokers: String, topic: String) {
        access = KafkaAccess(
            brokers: brokers, timeout: .seconds(30), security: "plaintext", user: nil, password: nil, mechanism: "SCRAM-SHA-512",
            authority: nil, properties: [:])
        self.topic = topic
        group = "sluice.{pipeline}"
        start = .earliest
        loss = .fail
        payload = .json
        batchOffsets = 4096
        batchBytes = 4_000_000
        sessionTimeout = .seconds(10)
        commitInterval = .seconds(1)
    }

    /// The group of a pipeline.
    func group(of pipeline: String) -> String { group.replacing("{pipeline}", with: pipeline) }
}

extension KafkaSourceOptions {
    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "A topic of Apache Kafka, read by a consumer group. Each partition is a chain of its own whose blocks are its offsets: records and positions land in the sinks together, and the group is told offsets only when all sinks of the pipeline hold the rows. Only what is committed is read.",
        [
            FieldSpec(
                "brokers", .string, "Brokers to begin with, `host:port`, with commas between them.",
                example: "\"${KAFKA_BOOTSTRAP_SERVERS}\"", required: true),
            FieldSpec("topic", .string, "The topic.", example: "orders", required: true),
            FieldSpec(
                "group", .string,
                "The consumer group: processes of one group share the partitions. `{pipeline}` is the pipeline, for each reads all of the topic.",
                default: "sluice.{pipeline}"),
            FieldSpec(
                "start", .choice(["earliest", "latest"]),
                "Where a partition begins of which neither the sinks hold anything nor the group has committed an offset.",
                default: "earliest"),
            FieldSpec(
                "on_loss", .choice(["fail", "continue"]),
                "What happens when the topic has deleted records that the sinks have not had yet. `fail`: the pipeline stops with an error that names them; `continue`: it goes on behind them, with a warning, and the gap stays visible.",
                default: "fail"),
            FieldSpec(
                "payload", .choice(["bytes", "text", "json"]),
                "What values are put into beside their bytes, which are always there: `text` also `value_text` where they are UTF-8, `json` also `value_json` where they are JSON, else `value_text`.",
                default: "json"),
            FieldSpec(
                "batch_offsets", .int(1...1_000_000), "Batches end where offsets are a multiple of this, whoever reads them.",
                default: "4096", unit: "offsets"),
            FieldSpec("batch_bytes", .bytes(1000...(1 << 30)), "A batch that holds so many bytes ends early.", default: "4MB"),
            FieldSpec(
                "instance", .string,
                "The name of this process in its group. With one, a process that is started again soon gets its partitions back at once; no two may have the same."
            ),
            FieldSpec(
                "session_timeout", .duration(.seconds(1)...(.seconds(1800))),
                "After how long without a sign of life the partitions of a process go to others.", default: "10s"),
            FieldSpec(
                "commit_interval", .duration(.milliseconds(10)...(.seconds(3600))), "How often the group is told how far the sinks are.",
                default: "1s"),
            FieldSpec("timeout", .duration(.seconds(1)...(.seconds(400))), "How long brokers may take to answer.", default: "30s"),
        ] + KafkaAccess.security)

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(brokers: options.string("brokers"), topic: options.string("topic"))
        access = KafkaAccess(options)
        group = options.string("group")
        start = Start(rawValue: options.string("start")) ?? start
        loss = Loss(rawValue: options.string("on_loss")) ?? loss
        payload = Payload(rawValue: options.string("payload")) ?? payload
        batchOffsets = UInt64(options.int("batch_offsets"))
        batchBytes = options.bytes("batch_bytes")
        instance = options.string(ifSet: "instance")
        sessionTimeout = options.duration("session_timeout")
        commitInterval = options.duration("commit_interval")
    }

    /// What a plan says of it, a line each.
    public var facts: [String] {
        [
            "topic \(topic) at \(access.brokers), as group \(group)",
            "a partition of which nothing is known begins at its \(start == .earliest ? "first" : "next") record; lost records: \(loss.rawValue)",
            "offsets are committed once all sinks of a pipeline hold the rows, every \(commitInterval.components.seconds) s",
        ]
    }
}
