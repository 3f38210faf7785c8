public import SluiceConfig

extension KafkaSinkOptions {
    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "Apache Kafka. Each table has a topic, each row a record. Rows and position land in one transaction: whoever reads with `isolation.level=read_committed` sees each row exactly once; orphaned rows are taken back by records of their own.",
        [
            FieldSpec(
                "brokers", .string, "Brokers to begin with, `host:port`, with commas between them.",
                example: "\"${KAFKA_BOOTSTRAP_SERVERS}\"", required: true),
            FieldSpec(
                "topic", .string,
                "The topic of a table. `{chain}` is the network's first word (`avalanche`, or `chain` for one that is not known), `{chain_id}` its number, `{table}` the table, `{short}` the same without `_transfers`, `{pipeline}` the pipeline.",
                default: "{chain}.{short}.{chain_id}"),
            FieldSpec(
                "topics", .map(.string, keys: .identifier),
                "Topics of tables that `topic` does not name as they should be, by table; the same may stand in them.",
                default: "{}", example: "{ chains: avalanche.chains }"),
            FieldSpec(
                "format", .choice(["json", "avro"]), "What values are: JSON, or Avro as Confluent's registry frames it.", default: "json"),
            FieldSpec(
                "schema_registry", .url(["http", "https"]),
                "Where Avro schemas are registered, under `<topic>-value`. User and password may stand in it. Needed for `avro`."),
            FieldSpec(
                "undo", .choice(["record", "tombstone"]),
                "What takes back an orphaned row, under its key and with the header `op: undo`: the row once more, or no value.",
                default: "record"),
            FieldSpec(
                "positions_topic", .string,
                "Holds how far each stream is. One for all that write to one cluster; its name is also what transactional ids begin with.",
                default: "sluice.positions"),
            FieldSpec("partitions", .int(1...100_000), "Partitions of topics that are made; without it as many as the broker thinks fit."),
            FieldSpec("replication", .int(1...100), "Replicas of topics that are made; without it as many as the broker thinks fit."),
            FieldSpec(
                "retention", .duration(.seconds(1)...(.seconds(3_153_600_000))),
                "How long topics that are made keep records; without it as long as the broker thinks fit."),
            FieldSpec(
                "cleanup", .choice(["delete", "compact", "compact_delete"]), "What becomes of old records in topics that are made.",
                default: "delete"),
            FieldSpec(
                "compression", .choice(["none", "lz4", "zstd", "gzip", "snappy"]), "How batches of records are compressed.", default: "lz4"),
            FieldSpec("linger", .duration(.zero...(.seconds(60))), "How long a record waits for company.", default: "5ms"),
            FieldSpec("batch_bytes", .bytes(1000...(1 << 30)), "The most bytes of one batch of records.", default: "1MB"),
            FieldSpec(
                "message_bytes", .bytes(1000...1_000_000_000), "The most bytes of one record; the topics must allow them, too.",
                default: "1MB"),
            FieldSpec(
                "commit_rows", .int(1...10_000_000), "A transaction is committed when it holds so many rows.", default: "100000",
                unit: "rows"),
            FieldSpec(
                "commit_bytes", .bytes((1 << 16)...(4 << 30)), "A transaction is committed when it holds so many bytes.", default: "64MB"),
            FieldSpec(
                "timeout", .duration(.seconds(1)...(.seconds(400))),
                "How long brokers may take. Afterwards the stream is resumed from what is stored; a transaction that was left ends at the broker after twice as long.",
                default: "30s"),
        ] + KafkaAccess.security)

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(brokers: options.string("brokers"))
        topic = options.string("topic")
        topics = Dictionary(
            options.map("topics").compactMap { entry in entry.value.string.map { (entry.key, $0) } }, uniquingKeysWith: { _, last in last })
        format = Format(rawValue: options.string("format")) ?? format
        let registry = options.url(ifSet: "schema_registry")
        self.registry = (registry?.reveal()).map(Secret.init)
        registryShown = registry?.description ?? ""
        undo = Undo(rawValue: options.string("undo")) ?? undo
        positionsTopic = options.string("positions_topic")
        partitions = options.int(ifSet: "partitions")
        replication = options.int(ifSet: "replication")
        retention = options.duration(ifSet: "retention")
        cleanup = Cleanup(rawValue: options.string("cleanup")) ?? cleanup
        compression = options.string("compression")
        linger = options.duration("linger")
        batchBytes = options.bytes("batch_bytes")
        messageBytes = options.bytes("message_bytes")
        commitRows = options.int("commit_rows")
        commitBytes = options.bytes("commit_bytes")
        timeout = options.duration("timeout")
        let access = KafkaAccess(options)
        security = access.security
        mechanism = access.mechanism
        user = access.user
        password = access.password
        authority = access.authority
        properties = access.properties
    }
}
