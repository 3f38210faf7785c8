import Glibc
import SluiceCore

extension Suites {
    /// The sink by transactions, beside kcat, which sends the same keys, headers and values from prepared files to as many topics, compressed in
    /// the same way and in batches of the same size; each into librdkafka's own cluster for tests.
    func kafka() throws {
        guard access("/usr/bin/kcat", X_OK) == 0 else {
            return Text.say("kafka: SKIPPED, kcat is not installed: scripts/setup --test installs it")
        }
        let cluster = try MockKafka(bench)
        let blocks = count(1_000) / bench.workload.count * bench.workload.count
        let rows = bench.rows(blocks)
        let files = try prepare(cluster, blocks)
        var ours: [Usage] = []
        var theirs: [Usage] = []
        for run in 0..<runs {
            ours.append(try load(cluster, "ours-\(run)", blocks))
            let clock = ContinuousClock.now
            var cost = Usage(cpu: 0, wall: 0, peak: 0)
            for (table, file) in zip(Self.tables, files) {
                let usage = try kcat(Self.sending(table, to: "\(cluster.brokers)", "theirs-\(run).\(table)", file))
                cost.cpu += usage.cpu
                cost.peak = max(cost.peak, usage.peak)
            }
            cost.wall = (ContinuousClock.now - clock).seconds
            theirs.append(cost)
            for name in ["ours-\(run)", "theirs-\(run)"] {
                let found = try Self.tables.map { try records(cluster, "\(name).\($0)") }
                guard found == rows else { throw BenchError("\(name): there are \(found) records, not \(rows)") }
            }
        }
        _ = try cluster.stop()
        let all = rows.reduce(0, +)
        func rate(_ usages: [Usage]) -> Double { Double(all) / usages.map(\.wall).sorted()[usages.count / 2] }
        func cost(_ usages: [Usage]) -> Double { usages.map(\.cpu).sorted()[usages.count / 2] }
        emit(figure("kafka", "kcat, keys and values from files", blocks, theirs, rows: all))
        var result = figure("kafka", "columns to Kafka, by transactions", blocks, ours, rows: all)
        result.ratio = rate(ours) / rate(theirs)
        result.note =
            "\(Text.fixed(rate(ours) / rate(theirs) * 100, 0)) % of the rows/s of kcat (80 % is asked for), with \(Text.fixed(cost(ours) / cost(theirs) * 100, 0)) % of its CPU"
        emit(result)
    }

    private static let tables = ["blocks", "transactions", "logs"]

    /// The sink alone into topics of a name.
    private func load(_ cluster: MockKafka, _ name: String, _ blocks: Int) throws -> Usage {
        let (output, usage) = try bench.helper(["measure", "kafka", "\(blocks)", "\(cluster.brokers)/\(name)"])
        let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
        guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring the sink: no figures came") }
        return Usage(cpu: cpu, wall: wall, peak: usage.peak)
    }

    /// Keys and values of the blocks in files, a line a record. What the sink makes of the different blocks is read back once, and comes again and again.
    private func prepare(_ cluster: MockKafka, _ blocks: Int) throws -> [String] {
        let once = bench.workload.count
        _ = try load(cluster, "sample", once)
        return try zip(Self.tables, bench.rows(once)).map { table, rows in
            let path = "\(bench.folder)/\(table).records"
            try kcat(["-C", "-b", cluster.brokers, "-t", "sample.\(table)", "-e", "-q", "-f", "%k\\t%s\\n"], output: path)
            guard let text = Text.file(path), text.utf8.count(where: { $0 == 10 }) == rows else {
                throw BenchError("\(path) does not hold \(rows) records")
            }
            guard let file = fopen(path, "w") else { throw BenchError("writing \(path)") }
            defer { fclose(file) }
            for _ in 0..<blocks / once { fputs(text, file) }
            return path
        }
    }

    private static func sending(_ table: String, to brokers: String, _ topic: String, _ file: String) -> [String] {
        var words = ["-P", "-b", brokers, "-t", topic, "-l", "-K", "\\t", "-z", "lz4"]
        for setting in [
            "linger.ms=5", "batch.size=1000000", "batch.num.messages=100000", "queue.buffering.max.messages=200000",
            "queue.buffering.max.kbytes=65536", "partitioner=murmur2_random",
        ] { words += ["-X", setting] }
        for header in [
            "op=insert", "table=\(table)", "producer=sluice/bench", "chain_id=1", "block_number=20000000",
            "block_hash=0x0101010101010101010101010101010101010101010101010101010101010101", "timestamp=1700000000",
        ] { words += ["-H", header] }
        return words + [file]
    }

    /// Records that a topic has had, whether they are still there or not.
    private func records(_ cluster: MockKafka, _ topic: String) throws -> Int {
        let path = "\(bench.folder)/kcat.out"
        let places = (0..<4).flatMap { ["-t", "\(topic):\($0):-1"] }
        try kcat(["-Q", "-b", cluster.brokers] + places, output: path)
        let ends = (Text.file(path) ?? "").split(separator: "\n").compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        guard ends.count == 4 else { throw BenchError("topic \(topic): \(ends.count) partitions, not 4") }
        return ends.reduce(0, +)
    }

    @discardableResult
    private func kcat(_ arguments: [String], output path: String? = nil) throws -> Usage {
        let errors = "\(bench.folder)/kcat.log"
        let file = path.map { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        defer { if let file, file >= 0 { close(file) } }
        if let path, file == -1 { throw BenchError("writing \(path): \(String(cString: strerror(errno)))") }
        return try Child(["/usr/bin/kcat"] + arguments, output: file, errors: errors).wait(errors: errors)
    }
}
