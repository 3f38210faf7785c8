import CRdkafka
import SluiceCore

/// A topic that is to be there.
struct NewTopic {
    let name: String
    let partitions: Int?
    let replication: Int?
    let settings: [(String, String)]
}

/// Looks for topics, and makes them.
struct KafkaTopics {
    let client: KafkaClient
    let timeout: Int32

    /// How many partitions each topic has, when all are there.
    func make(_ wanted: [NewTopic]) throws(SluiceError) -> [String: Int] {
        let started = ContinuousClock.now
        var there = try client.topics(within: timeout)
        let missing = wanted.filter { there[$0.name] == nil }
        if !missing.isEmpty {
            let isMadeByName = try !create(missing)
            // Brokers agree on what is there after a while.
            repeat {
                if isMadeByName { for topic in missing { touch(topic.name) } }
                client.poll(20)
                there = try client.topics(within: timeout)
                guard ContinuousClock.now - started < .milliseconds(Int64(timeout)) else {
                    let name = missing.first { there[$0.name] == nil }?.name ?? ""
                    throw SluiceError(
                        .kafkaTopic, .pause, "topic \(name) cannot be made at \(client.shown): it does not appear",
                        mend: "make it by hand, or let the brokers make topics")
                }
            } while missing.contains { (there[$0.name] ?? 0) == 0 }
        }
        return there
    }

    /// Asks by the admin protocol. Returns false where the brokers have none.
    private func create(_ missing: [NewTopic]) throws(SluiceError) -> Bool {
        // Where no broker is the controller, nobody answers at all.
        guard try client.hasController(within: timeout) else { return false }
        var made: [OpaquePointer?] = []
        defer { for topic in made { rd_kafka_NewTopic_destroy(topic) } }
        var words = [CChar](repeating: 0, count: 512)
        for topic in missing {
            guard
                let new = rd_kafka_NewTopic_new(
                    topic.name, Int32(clamping: topic.partitions ?? -1), Int32(clamping: topic.replication ?? -1), &words, words.count)
            else { throw refused(topic.name, KafkaClient.text(words)) }
            made.append(new)
            for (name, value) in topic.settings { _ = rd_kafka_NewTopic_set_config(new, name, value) }
        }
        let queue = rd_kafka_queue_new(client.handle)
        defer { rd_kafka_queue_destroy(queue) }
        let options = rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        _ = rd_kafka_AdminOptions_set_request_timeout(options, timeout, &words, words.count)
        _ = rd_kafka_AdminOptions_set_operation_timeout(options, timeout, &words, words.count)
        rd_kafka_CreateTopics(client.handle, &made, made.count, options, queue)
        guard let event = rd_kafka_queue_poll(queue, timeout + 1000) else {
            throw client.error(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "making topics")
        }
        defer { rd_kafka_event_destroy(event) }
        switch rd_kafka_event_error(event) {
        case RD_KAFKA_RESP_ERR_NO_ERROR: break
        case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION: return false
        case let code: throw client.error(code, doing: "making topics")
        }
        var count = 0
        guard let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count) else { return true }
        for index in 0..<count {
            let code = rd_kafka_topic_result_error(results[index])
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { continue }
            let name = rd_kafka_topic_result_name(results[index]).map { String(cString: $0) } ?? ""
            let said = rd_kafka_topic_result_error_string(results[index]).map { String(cString: $0) }
            throw KafkaFault.error(code, said, doing: "making topic \(name) at \(client.shown)")
        }
        return true
    }

    /// Asks for a topic by name, which makes brokers make it that are told to.
    private func touch(_ name: String) {
        guard let topic = rd_kafka_topic_new(client.handle, name, nil) else { return }
        defer { rd_kafka_topic_destroy(topic) }
        var found: UnsafePointer<rd_kafka_metadata>?
        if rd_kafka_metadata(client.handle, 0, topic, &found, timeout) == RD_KAFKA_RESP_ERR_NO_ERROR { rd_kafka_metadata_destroy(found) }
    }

    private func refused(_ name: String, _ words: String) -> SluiceError {
        SluiceError(
            .kafkaTopic, .config, "topic \(name) cannot be made: \(words)", mend: "change topic, partitions or replication of the sink")
    }
}
