import SluiceTestKit
import Testing

/// A topic of the tests' broker, and programs that read it into stores of a sandbox.
struct Topic {
    let box: Sandbox
    let name: String
    let brokers: String
    private let control: String

    /// What another reader finds in a store, held against the topic.
    struct Comparison: Decodable, Equatable, Sendable {
        let rows: Int
        let records: Int
        let faults: [String]
        let partitions: Int
        let segments: Int
    }

    /// Makes the topic.
    /// - Parameter own: a broker of the test's own; nil: the one that all tests share.
    init(_ box: Sandbox, partitions: Int, own: TestServices? = nil) async throws {
        self.box = box
        name = "topic-\(UInt32.random(in: 0 ... .max))"
        brokers = try #require(own?.variables["SLUICE_TEST_KAFKA"] ?? Surroundings.kafka)
        control = try #require(own?.variables["SLUICE_TEST_KAFKA_CONTROL"] ?? Surroundings.kafkaControl)
        try await tell("make", name, "\(partitions)")
    }

    /// Tells the broker something.
    @discardableResult
    func tell(_ words: String...) async throws -> String {
        let root = Surroundings.sources.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
        let child = try ChildProgram(
            ["python3", "-B", "\(root)/scripts/kafka-broker.py", "tell", control] + words, in: box.folder,
            log: "tell-\(UInt32.random(in: 0 ... .max))")
        #expect(try await child.wait() == .exited(0), "\(child.errors)")
        return child.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    /// Puts records into it that count from `first` on.
    func produce(_ first: Int, _ count: Int) async throws {
        let _: String? = try await box.python("records.py", "produce", brokers, name, "\(first)", "\(count)")
    }

    func python<T: Decodable>(_ words: String..., as type: T.Type = T.self) async throws -> T {
        let child = try box.startPython("records.py", words)
        guard try await child.wait() == .exited(0) else { throw ChildProgram.Failure(description: "\(words): \(child.errors)") }
        return try Surroundings.decoded(T.self, child.output)
    }

    /// The offsets that a group has committed, by partition.
    func committed(_ group: String) async throws -> [Int: Int] {
        let words = try await tell("group", group).split(separator: " ").dropFirst(2)
        return Dictionary(
            words.compactMap { word -> (Int, Int)? in
                let parts = word.split(whereSeparator: { $0 == "/" || $0 == "=" })
                guard parts.count == 3, parts[0] == name, let partition = Int(parts[1]), let offset = Int(parts[2]) else { return nil }
                return (partition, offset)
            }, uniquingKeysWith: { _, last in last })
    }

    /// How many members a group has.
    func members(_ group: String) async throws -> Int {
        let words = try await tell("group", group).split(separator: " ")
        return words.count > 1 && words[0] == "stable" ? Int(words[1]) ?? 0 : 0
    }
}

/// A configuration that reads a topic into one store.
struct TopicReader {
    enum Kind: String, Sendable { case duckdb, postgres }

    let topic: Topic
    let name: String
    let kind: Kind
    /// The database's schema; the same for all that load the same tables.
    var schema: String
    /// Another topic than that.
    var topicName: String?
    /// More of the network's options.
    var options = "session_timeout: 6s, commit_interval: 50ms, batch_offsets: 64"

    init(_ topic: Topic, _ name: String, _ kind: Kind) {
        self.topic = topic
        self.name = name
        self.kind = kind
        schema = topic.name.replacing("-", with: "_")
    }

    var config: String { "\(name).yaml" }
    var group: String { "group-of-\(topic.name)" }
    var place: String { kind == .duckdb ? topic.box.path("\(name).duckdb") : "\(Surroundings.postgres ?? "")#\(schema)" }

    func write() throws {
        let sink =
            kind == .duckdb
            ? "{ type: duckdb, path: \(name).duckdb }" : "{ type: postgres, url: \"\(Surroundings.postgres ?? "")\", schema: \(schema) }"
        try Surroundings.write(
            """
            state: \(name).state
            networks:
              orders: { type: kafka, brokers: "\(topic.brokers)", topic: \(topicName ?? topic.name), group: \(group), \(options) }
            sinks:
              store: \(sink)
            pipelines:
              main: { network: orders, register: kafka_records, sinks: [store] }

            """, to: topic.box.path(config))
    }

    func start(_ arguments: String...) throws -> ChildProgram {
        try write()
        return try topic.box.start(["run", "-c", config] + arguments)
    }

    /// Runs until the group has committed all that is in the topic, and then to a good end.
    func run(through ends: [Int: Int], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let child = try start()
        try await committed(ends, child)
        child.send(15)
        #expect(try await child.wait() == .exited(143), "\(child.errors.suffix(2000))", sourceLocation: sourceLocation)
    }

    /// Waits until the group has committed these offsets; they may be committed only when the store has the rows.
    func committed(_ ends: [Int: Int], _ child: ChildProgram) async throws {
        try await Surroundings.eventually("offsets \(ends) of \(group)") {
            if let ending = child.poll() { throw ChildProgram.Failure(description: "\(ending): \(child.errors.suffix(2000))") }
            let found = try await topic.committed(group)
            return ends.allSatisfy { found[$0.key, default: 0] >= $0.value } ? true : nil
        }
    }

    /// Runs SQL in the schema of the tables, and returns what it prints.
    func psql(_ sql: String) async throws -> String {
        let child = try ChildProgram(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", Surroundings.postgres ?? "", "-c", "SET search_path TO \"\(schema)\"; \(sql)"],
            in: topic.box.folder, log: "psql-\(UInt32.random(in: 0 ... .max))")
        #expect(try await child.wait() == .exited(0), "\(child.errors)")
        return child.output
    }

    /// Where the topic's partitions end.
    func ends(_ partitions: Int) async throws -> [Int: Int] {
        var ends: [Int: Int] = [:]
        for partition in 0..<partitions {
            let end = Int(try await topic.tell("end", topic.name, "\(partition)")) ?? 0
            if end > 0 { ends[partition] = end }
        }
        return ends
    }

    func compare() async throws -> Topic.Comparison {
        try await topic.python("compare", topic.brokers, topic.name, kind.rawValue, place)
    }
}
