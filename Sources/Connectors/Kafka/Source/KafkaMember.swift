import CRdkafka
import SluiceCore
import Synchronization

/// What a group has assigned or taken back, as the library said it.
struct KafkaRebalance: Sendable {
    let assigns: Bool
    let isLost: Bool
    let partitions: [Int32]
}

/// One process as a member of a group. It reads nothing itself: its partitions are paused, and each is read by a client of its own from
/// where the sinks stand.
actor KafkaMember: SourceMembership {
    private let options: KafkaSourceOptions
    private let source: KafkaSource
    private let group: String
    private let worker = WorkerThread(name: "kafka-member")
    private var client: KafkaClient?

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ source: KafkaSource, group: String) {
        self.source = source
        options = source.options
        self.group = group
    }

    /// Joins the group.
    /// - Throws: `kafka_topic` when the topic is not there; what brokers refuse.
    func join() throws {
        var own = [
            ("group.id", group), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("auto.offset.reset", "latest"),
            ("partition.assignment.strategy", "range,roundrobin"), ("session.timeout.ms", "\(options.sessionTimeout.milliseconds)"),
            ("heartbeat.interval.ms", "\(max(100, options.sessionTimeout.milliseconds / 4))"),
            ("max.poll.interval.ms", "\(max(300_000, options.sessionTimeout.milliseconds))"), ("allow.auto.create.topics", "false"),
            ("fetch.wait.max.ms", "100"), ("topic.metadata.refresh.interval.ms", "10000"),
        ]
        if let instance = options.instance { own.append(("group.instance.id", instance)) }
        let made = try KafkaClient(RD_KAFKA_CONSUMER, options.access, own, sharesOut: true)
        rd_kafka_poll_set_consumer(made.handle)
        try source.requireTopic(made)
        let topics = try list([RD_KAFKA_PARTITION_UA])
        defer { rd_kafka_topic_partition_list_destroy(topics) }
        try require(rd_kafka_subscribe(made.handle, topics), made, "joining group \(group)")
        client = made
    }

    func next() throws -> SourceNews {
        let client = try open()
        if let refusal = client.refusal { throw refusal }
        if let message = rd_kafka_consumer_poll(client.handle, 100) {
            defer { rd_kafka_message_destroy(message) }
            try check(message.pointee, client)
        }
        let rebalance = client.notes.state.withLock { $0.rebalances.isEmpty ? nil : $0.rebalances.removeFirst() }
        guard let rebalance else { return .nothing }
        let parts = rebalance.partitions.map { source.part($0) }
        return rebalance.assigns ? .assigned(parts) : .revoked(parts, areLost: rebalance.isLost)
    }

    /// What only somebody can mend ends the membership; the rest the library mends by itself.
    private func check(_ message: rd_kafka_message_t, _ client: KafkaClient) throws {
        switch message.err {
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: throw source.noTopic
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, RD_KAFKA_RESP_ERR_INVALID_GROUP_ID,
            RD_KAFKA_RESP_ERR__FATAL:
            let words = message.payload.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) }
            throw SluiceError(
                .kafkaRefused, .pause,
                "taking part in group \(group) at \(client.shown): \(words ?? String(cString: rd_kafka_err2str(message.err)))",
                mend: "let the user read the topic and the group, and check group, instance and session_timeout")
        default: break
        }
    }

    func take(_ parts: [SourcePart]) throws {
        let client = try open()
        let list = try list(parts.map(\.number))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for index in 0..<Int(list.pointee.cnt) { list.pointee.elems[index].offset = Int64(RD_KAFKA_OFFSET_END) }
        try require(rd_kafka_assign(client.handle, list), client, "taking partitions")
        rd_kafka_pause_partitions(client.handle, list)
    }

    func giveBack(_ parts: [SourcePart]) throws {
        let client = try open()
        // By the protocols that are asked for it is always all of them.
        try require(rd_kafka_assign(client.handle, nil), client, "giving partitions back")
    }

    func tell(_ ends: [SourcePart: UInt64]) throws {
        let client = try open()
        guard !ends.isEmpty else { return }
        let list = try list(ends.keys.map(\.number))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for index in 0..<Int(list.pointee.cnt) {
            let number = list.pointee.elems[index].partition
            if let end = ends.first(where: { $0.key.number == number })?.value { list.pointee.elems[index].offset = Int64(clamping: end) }
        }
        let answers = rd_kafka_queue_new(client.handle)
        defer { rd_kafka_queue_destroy(answers) }
        let doing = "committing offsets of group \(group)"
        try require(rd_kafka_commit_queue(client.handle, list, answers, nil, nil), client, doing)
        guard let event = rd_kafka_queue_poll(answers, options.access.timeoutMilliseconds) else {
            throw client.error(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing)
        }
        defer { rd_kafka_event_destroy(event) }
        switch rd_kafka_event_error(event) {
        // Whoever has the partitions by now tells it.
        case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, RD_KAFKA_RESP_ERR__NO_OFFSET:
            break
        case let code: try require(code, client, doing)
        }
    }

    func leave() {
        guard let client else { return }
        client.notes.state.withLock { $0.isLeaving = true }
        rd_kafka_consumer_close(client.handle)
        self.client = nil
    }

    // MARK: - Small things

    private func open() throws -> KafkaClient {
        guard let client else { throw SluiceError(.kafkaFailed, .fatal, "group \(group) was left") }
        return client
    }

    private func require(_ code: rd_kafka_resp_err_t, _ client: KafkaClient, _ doing: String) throws {
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw client.error(code, doing: doing) }
    }

    /// Partitions of the topic as the library has them.
    private func list(_ partitions: [Int32]) throws -> UnsafeMutablePointer<rd_kafka_topic_partition_list_t> {
        guard let list = rd_kafka_topic_partition_list_new(Int32(partitions.count)) else {
            throw SluiceError(.kafkaFailed, .fatal, "no memory for \(partitions.count) partitions of \(options.topic)")
        }
        for partition in partitions { rd_kafka_topic_partition_list_add(list, options.topic, partition) }
        return list
    }
}

/// Notes what the group says. What is taken back is given back only when `KafkaMember.giveBack` says so.
func kafkaRebalanced(
    _ handle: OpaquePointer?, _ code: rd_kafka_resp_err_t, _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?,
    _ opaque: UnsafeMutableRawPointer?
) {
    guard let notes = kafkaNotes(opaque), let handle else { return }
    let assigns = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
    let isLost = rd_kafka_assignment_lost(handle) != 0
    var partitions: [Int32] = []
    if let list { for index in 0..<Int(list.pointee.cnt) { partitions.append(list.pointee.elems[index].partition) } }
    let isLeaving = notes.state.withLock { state in
        if !state.isLeaving { state.rebalances.append(KafkaRebalance(assigns: assigns, isLost: isLost, partitions: partitions)) }
        return state.isLeaving
    }
    guard isLeaving else { return }
    _ = rd_kafka_assign(handle, assigns ? list : nil)
}
