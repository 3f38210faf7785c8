import CRdkafka
public import SluiceCore

/// A topic as a network: its partitions are chains, shared out by a consumer group.
public final class KafkaSource: SharedSource {
    let options: KafkaSourceOptions
    private let network: String
    let lookup: KafkaLookup

    /// Connects to nothing yet.
    /// - Parameter network: its name in the configuration: stores know its partitions by that, the topic and their numbers.
    public init(_ options: KafkaSourceOptions, network: String) {
        self.options = options
        self.network = network
        lookup = KafkaLookup(options)
    }

    public var goesOnBehindLosses: Bool { options.loss == .goOn }
    public var graceOfLoss: Duration { options.sessionTimeout }
    public var tellsEvery: Duration { options.commitInterval }

    public func join(_ pipeline: String) async throws -> any SourceMembership {
        let member = KafkaMember(self, group: options.group(of: pipeline))
        try await member.join()
        return member
    }

    public func oracle(
        of part: SourcePart, for pipeline: String, observe: @escaping @Sendable (OracleEvent) -> Void
    ) -> any Oracle {
        PartitionOracle(source: self, part: part, group: options.group(of: pipeline), observe: observe)
    }

    public func begin(of part: SourcePart) async throws -> UInt64 { try await lookup.ends(of: part).first }

    /// How many partitions the topic has, and where they end together; for `validate --connect`.
    public func look() async throws -> (partitions: Int, records: UInt64) {
        let count = try await lookup.partitions()
        var records: UInt64 = 0
        for number in 0..<count {
            let ends = try await lookup.ends(of: part(Int32(clamping: number)))
            records += ends.end - ends.first
        }
        return (count, records)
    }

    /// One of the partitions.
    func part(_ number: Int32) -> SourcePart {
        SourcePart(
            name: "\(options.topic)/\(number)", number: number, chainID: MadeChain.id([network, options.topic, "\(number)"]))
    }

    var noTopic: SluiceError {
        SluiceError(
            .kafkaTopic, .pause, "there is no topic \(options.topic) at \(options.access.brokers)",
            mend: "make the topic, or correct topic of the network \(network)")
    }

    /// - Throws: `kafka_topic` when the topic is not there.
    func requireTopic(_ client: KafkaClient) throws {
        // Whoever is asked to stop meanwhile does so only afterwards; who waits for brokers asks again.
        if (try client.topics(within: min(options.access.timeoutMilliseconds, 5000))[options.topic] ?? 0) == 0 { throw noTopic }
    }
}

/// Asks brokers about partitions, on a thread of its own.
actor KafkaLookup {
    /// Where a partition begins and ends, as far as it is committed.
    struct Ends {
        let first: UInt64
        /// Behind the last record.
        let end: UInt64
    }

    private let options: KafkaSourceOptions
    private let worker = WorkerThread(name: "kafka-lookup")
    private var client: KafkaClient?
    /// One for each group.
    private var groups: [String: KafkaClient] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: KafkaSourceOptions) { self.options = options }

    private func open(_ group: String? = nil) throws -> KafkaClient {
        if let known = group.map({ groups[$0] }) ?? client { return known }
        let own = [("isolation.level", "read_committed"), ("enable.auto.commit", "false"), ("allow.auto.create.topics", "false")]
        let made = try KafkaClient(RD_KAFKA_CONSUMER, options.access, own + (group.map { [("group.id", $0)] } ?? []))
        if let group { groups[group] = made } else { client = made }
        return made
    }

    func partitions() throws -> Int {
        let client = try open()
        guard let count = try client.topics(within: options.access.timeoutMilliseconds)[options.topic], count > 0 else {
            throw SluiceError(
                .kafkaTopic, .pause, "there is no topic \(options.topic) at \(options.access.brokers)",
                mend: "make the topic, or correct topic")
        }
        return count
    }

    func ends(of part: SourcePart) throws -> Ends {
        let client = try open()
        var (low, high) = (Int64(0), Int64(0))
        let code = rd_kafka_query_watermark_offsets(
            client.handle, options.topic, part.number, &low, &high, options.access.timeoutMilliseconds)
        client.poll()
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.error(code, doing: "looking at \(part)") }
        return Ends(first: UInt64(clamping: low), end: UInt64(clamping: max(low, high)))
    }

    /// The offset that a group has committed; nil when it has none.
    func committed(_ part: SourcePart, group: String) throws -> UInt64? {
        let client = try open(group)
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let entry = rd_kafka_topic_partition_list_add(list, options.topic, part.number) else { return nil }
        let code = rd_kafka_committed(client.handle, list, options.access.timeoutMilliseconds)
        client.poll()
        let failure = code == RD_KAFKA_RESP_ERR_NO_ERROR ? entry.pointee.err : code
        guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.error(failure, doing: "asking group \(group) about \(part)") }
        return entry.pointee.offset < 0 ? nil : UInt64(entry.pointee.offset)
    }
}
