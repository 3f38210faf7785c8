import CRdkafka
import Glibc
import SluiceCore

/// librdkafka's own cluster for tests, in a process of its own: three nodes in memory, which keep the last 5 MB or so of each partition.
struct MockKafka {
    let brokers: String
    private let child: Child
    private let errors: String

    /// Starts one.
    init(_ bench: Bench) throws {
        errors = "\(bench.folder)/kafka.log"
        let output = "\(bench.folder)/kafka.out"
        let file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("writing \(output): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        child = try Child([try Bench.own(), "kafka-brokers"], output: file, errors: errors)
        let started = ContinuousClock.now
        while true {
            let said = Text.file(output) ?? ""
            if said.hasSuffix("\n") {
                brokers = String(said.dropLast())
                return
            }
            guard ContinuousClock.now - started < .seconds(20) else { throw BenchError("no brokers came\n\(Text.tail(of: errors))") }
            usleep(10_000)
        }
    }

    /// Ends it, and returns what all of it has cost.
    func stop() throws -> Usage {
        kill(child.pid, SIGTERM)
        return try child.wait(errors: errors, ends: SIGTERM)
    }

    /// Serves, in the process that was started: says where, and waits for its end.
    static func serve() throws {
        var words = [CChar](repeating: 0, count: 512)
        guard let client = rd_kafka_new(RD_KAFKA_PRODUCER, nil, &words, words.count), let cluster = rd_kafka_mock_cluster_new(client, 3),
            let brokers = rd_kafka_mock_cluster_bootstraps(cluster)
        else { throw BenchError("librdkafka makes no cluster") }
        Text.say(String(cString: brokers))
        while true { sleep(3_600) }
    }
}
