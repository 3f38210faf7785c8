import CMalloc
import Glibc

/// `sluice-bench`: prints every figure that the project claims, each from processes of its own.
@main struct Main {
    static func main() async {
        // As the program that is measured does.
        cmalloc_tune()
        do {
            let options = try BenchOptions(CommandLine.arguments.dropFirst())
            switch options.words.first {
            case "measure": try await measure(options)
            case "count": try RowCounts.run(options.words[1], path: options.words[2], tables: Array(options.words.dropFirst(3)))
            case "kafka-brokers": try MockKafka.serve()
            case "generate": try Workload.generate(to: options.words[1])
            default: try bench(options)
            }
        } catch {
            Cleanup.waitIfInterrupted()
            Cleanup.run()
            Text.say("sluice-bench: \(error)", to: STDERR_FILENO)
            exit(1)
        }
        Cleanup.run()
    }

    /// `measure STEP BLOCKS [FOLDER]`, `measure graph... BATCHES ROWS`
    private static func measure(_ options: BenchOptions) async throws {
        let words = options.words
        guard words.count >= 3, let blocks = Int(words[2]), let data = options.data else { throw BenchError(BenchOptions.usage) }
        if let shape = GraphMeasure.Shape(rawValue: words[1]) {
            guard words.count > 3, let rows = Int(words[3]), blocks >= 10 else { throw BenchError(BenchOptions.usage) }
            return try await GraphMeasure(batches: blocks, rows: rows, shape: shape).run()
        }
        let measure = Measure(
            workload: Workload(data, isGenerated: options.isGenerated), blocks: blocks, folder: words.count > 3 ? words[3] : "")
        try await measure.run(words[1])
    }

    private static func bench(_ options: BenchOptions) throws {
        var names = options.words
        if let wrong = names.first(where: { $0 != "all" && !Suites.names.contains($0) }) {
            throw BenchError("no measurement \(wrong)\n\(BenchOptions.usage)")
        }
        guard !names.isEmpty || options.quick else { throw BenchError(BenchOptions.usage) }
        if names.isEmpty || names.contains("all") { names = options.quick ? Suites.quickNames : Suites.names }
        Cleanup.watchSignals()
        let temp = options.temp ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(temp)/sluice-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("making a folder in \(temp): \(String(cString: strerror(errno)))") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        Cleanup.owns(folder)
        let bench = try Bench(options, folder: folder)
        var report = Report()
        report.heading = [
            bench.description,
            "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors; CPU is user and system time; median of the runs, RSS the most of all",
        ]
        Text.say(report.opening)
        let suites = Suites(bench: bench, quick: options.quick) { Text.say(report.add($0)) }
        for name in names { try suites.run(name) }
        if let path = options.json { try Text.write(report.json, to: path) }
    }
}
