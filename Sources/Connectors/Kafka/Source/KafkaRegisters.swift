public import SluiceCore

/// What can be asked of a topic.
public enum KafkaRegisters {
    /// All of it.
    public static let all: [Register] = [
        Register(
            name: "kafka_records", number: .kafkaRecords, doc: "The records of a topic, as they were committed.", schemas: [records],
            needs: [Need(records.name)], maker: .oracle { RecordPipe() })
    ]

    /// One row a record. `chain_id` stands for network, topic and partition: what stores know a partition by.
    public static let records = Schema(
        name: "kafka_records", key: ["chain_id", "record_offset"], doc: "One row a record.",
        fields: [
            Field("topic", .string, content: .repeating, "Topic."),
            Field("partition", .int64, "Partition of the topic."),
            Field("record_offset", .int64, "Offset in the partition."),
            Field("timestamp", .timestamp, "Time of the record (UTC); 1970-01-01 when it has none."),
            Field(
                "timestamp_type", .string, nullable: true, content: .repeating,
                "Whose time that is: create_time (the producer's) or log_append_time (the broker's); null when there is none."),
            Field("key", .bytes, nullable: true, "Key; null when there is none."),
            Field("key_text", .string, nullable: true, "The same as text, where it is UTF-8."),
            Field("value", .bytes, nullable: true, content: .patterned, "Value; null for a tombstone."),
            Field("value_text", .string, nullable: true, content: .patterned, "The same as text, where it is UTF-8 and not in value_json."),
            Field("value_json", .json, nullable: true, content: .patterned, "The same where it is JSON, as it came."),
            Field(
                "headers", .json, nullable: true, content: .patterned,
                "Headers in their order: a list of objects with key and value, or hex where that is no text; null when there are none."),
            Field("chain_id", .int64, "Number of the partition for stores: the same for a network, topic and partition."),
        ])
}

/// Passes records on as they are.
struct RecordPipe: Pipe {
    var schemas: [Schema] { [KafkaRegisters.records] }

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let table = batch.table(KafkaRegisters.records.name) else {
            throw SluiceError(.kafkaFailed, .fatal, "offsets \(batch.span.first)...\(batch.span.last.number) came without their records")
        }
        return [table]
    }
}
