import Foundation
import Glibc
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// Gives a suite a broker of its own, which is gone with it.
struct KafkaTrait: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let services = try TestServices(["kafka"], root: Script.root)
        defer { services.stop() }
        print("kafka tests write to \(Broker.available.map(\.rawValue).joined(separator: " and "))")
        try await Self.$services.withValue(services) { try await body() }
    }
}

extension Trait where Self == KafkaTrait {
    static var kafka: Self { Self() }
}

/// The brokers that tests can have: our own, which is always there, and the one that `KAFKA_BOOTSTRAP_SERVERS` names.
enum Broker: String, Sendable, CaseIterable {
    case own = "a broker of their own"
    case named = "the brokers of KAFKA_BOOTSTRAP_SERVERS"

    static let address = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"]
    static let available: [Broker] = address == nil ? [.own] : allCases
}

/// A broker as tests use it: each with topics of its own.
struct Cluster {
    let options: KafkaSinkOptions
    private let prefix: String

    init(_ name: String, on broker: Broker = .own) throws {
        let own = try #require(KafkaTrait.services?.variables["SLUICE_TEST_KAFKA"])
        prefix = "\(name)-\(UInt32.random(in: 0 ... .max))"
        var options = KafkaSinkOptions(brokers: broker == .named ? try #require(Broker.address) : own)
        options.topic = "\(prefix).{table}"
        options.positionsTopic = "\(prefix).positions"
        options.partitions = 3
        options.commitRows = 1_000_000
        options.timeout = .seconds(10)
        self.options = options
    }

    func sink(_ name: String = "k", _ adjust: (inout KafkaSinkOptions) -> Void = { _ in }) -> KafkaSink {
        var options = options
        adjust(&options)
        return KafkaSink(options, name: name)
    }

    /// What a consumer has of a table in the end.
    func rows(_ table: String, registry: String? = nil) async throws -> Standing {
        try await Script.run(["rows", options.brokers, "\(prefix).\(table)"] + (registry.map { [$0] } ?? []), as: Standing.self)
    }

    /// The values of a topic as their text, by key.
    func text(_ topic: String) async throws -> [String: String] {
        try await Script.run(["text", options.brokers, "\(prefix).\(topic)"], as: [String: String].self)
    }

    /// Tells the broker something.
    @discardableResult
    func tell(_ words: String...) async throws -> String { try await tell(words) }

    @discardableResult
    func tell(_ words: [String]) async throws -> String {
        let control = try #require(KafkaTrait.services?.variables["SLUICE_TEST_KAFKA_CONTROL"])
        return try await Script.output([Script.root + "/scripts/kafka-broker.py", "tell", control] + words)
    }

    func topic(_ table: String) -> String { "\(prefix).\(table)" }

    /// What another process needs to write to the same topics.
    var words: [String] { [options.brokers, options.topic, options.positionsTopic] }

    static func options(of words: [String]) -> KafkaSinkOptions {
        var options = KafkaSinkOptions(brokers: words[0])
        (options.topic, options.positionsTopic) = (words[1], words[2])
        return options
    }
}

struct Standing: Decodable {
    struct Row: Decodable {
        let key: String
        let headers: [String: String]
        let value: [String: String?]
    }
    let rows: [Row]
    let inserts: Int
    let undos: Int
    let faults: [String]

    /// The rows in order of a column of numbers.
    func sorted(by column: String) -> [Row] { rows.sorted { Self.number($0, column) < Self.number($1, column) } }

    private static func number(_ row: Row, _ column: String) -> Int { (row.value[column] ?? nil).flatMap { Int($0) } ?? 0 }
}

/// Programs of these tests.
enum Script {
    static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    private static let topics = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Python/topics.py"

    struct Failure: Error { let words: String }

    /// Runs one to its end on a thread of its own, and returns what it printed.
    static func output(_ arguments: [String]) async throws -> String {
        let worker = WorkerThread(name: "script")
        let result: Result<String, any Error> = await withCheckedContinuation { continuation in
            worker.run {
                continuation.resume(
                    returning: Result {
                        let (pid, reader, writer) = try start(arguments)
                        defer { for end in [reader, writer] { close(end) } }
                        let said = read(reader) { _ in false }
                        var status: Int32 = 0
                        waitpid(pid, &status, 0)
                        guard status == 0 else { throw Failure(words: "\(arguments): \(status >> 8)") }
                        return String(decoding: said, as: UTF8.self)
                    })
            }
        }
        return try result.get()
    }

    static func run<T: Decodable>(_ arguments: [String], as type: T.Type) async throws -> T {
        try JSONDecoder().decode(type, from: Data(await output([topics] + arguments).utf8))
    }

    /// Runs a server while `body` runs, which is handed the first line that it printed.
    static func serving(_ name: String, _ body: (String) async throws -> Void) async throws {
        let (pid, reader, writer) = try start([topics, name])
        defer {
            kill(pid, SIGTERM)
            waitpid(pid, nil, 0)
            for end in [reader, writer] { close(end) }
        }
        let line = read(reader) { $0.last == 10 }
        guard line.last == 10 else { throw Failure(words: "\(name) ended") }
        try await body(String(decoding: line.dropLast(), as: UTF8.self))
    }

    /// Starts a program; returns it, what it writes to, and what it reads from.
    private static func start(_ arguments: [String]) throws -> (pid_t, reader: Int32, writer: Int32) {
        var (output, input): ([Int32], [Int32]) = ([0, 0], [0, 0])
        guard pipe(&output) == 0, pipe(&input) == 0 else { throw Failure(words: "no pipe") }
        // Not for any other program that is started meanwhile.
        for end in output + input { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let pid = try Spawn.start(["/usr/bin/env", "python3", "-B"] + arguments, input: input[0], output: output[1])
        close(output[1])
        close(input[0])
        return (pid, output[0], input[1])
    }

    /// What comes until it is enough, or ends.
    private static func read(_ end: Int32, _ isEnough: ([UInt8]) -> Bool) -> [UInt8] {
        var (all, chunk): ([UInt8], [UInt8]) = ([], Array(repeating: 0, count: 1 << 16))
        while !isEnough(all), case let count = Glibc.read(end, &chunk, chunk.count), count > 0 { all += chunk[..<count] }
        return all
    }
}
