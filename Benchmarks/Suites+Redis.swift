import Glibc
import SluiceCore
import SluiceTestKit

extension Suites {
    /// Rows as values and as entries of streams, beside `redis-benchmark` with SETs of as many bytes, pipelined over one connection.
    func redis() throws {
        guard RedisServer.program != nil else { return Text.say("redis: SKIPPED, it is not installed: scripts/setup --test installs it") }
        let services = try TestServices(["redis"], root: "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/"))
        defer { services.stop() }
        guard let url = services.variables["SLUICE_TEST_REDIS"], let port = url.split(separator: ":").last.map(String.init) else {
            throw BenchError("scripts/services does not say where Redis is")
        }
        let blocks = count(500) / bench.workload.count * bench.workload.count
        let rows = bench.rows(blocks).reduce(0, +)
        let values = try steps("redis-values", url, port, blocks)
        // What a value holds on average.
        let used = try said(["redis-cli", "-p", port, "--raw", "EVAL", Self.sizes, "0"]).split(separator: "\n").compactMap { Int($0) }
        guard used.count == 2, used[0] == rows else { throw BenchError("the sink left \(used) in Redis, not \(rows) rows") }
        let bytes = max(1, used[1] / rows)
        var sets: [Double] = []
        for _ in 0..<runs {
            let lines = try said([
                "redis-benchmark", "-p", port, "-t", "set", "-c", "1", "-P", "500", "-n", "\(rows)", "-r", "\(rows)", "-d", "\(bytes)",
                "--csv",
            ])
            guard let words = lines.split(separator: "\n").last?.split(separator: ","), words.count > 1,
                let rate = Double(words[1].filter { $0 != "\"" })
            else { throw BenchError("redis-benchmark says nothing that is known") }
            sets.append(rate)
        }
        let theirs = sets.sorted()[sets.count / 2]
        for (name, usages) in [
            ("columns to values in Redis", values), ("columns to streams in Redis", try steps("redis-streams", url, port, blocks)),
        ] {
            let ours = Double(rows) / usages.map(\.wall).sorted()[usages.count / 2]
            var result = figure("redis", name, blocks, usages, rows: rows)
            result.ratio = ours / theirs
            result.note =
                "\(Int(ours)) rows/s, \(Text.fixed(ours / theirs * 100, 0)) % of redis-benchmark's \(Int(theirs)) SETs/s of \(bytes) bytes (80 % is asked for)"
            emit(result)
        }
    }

    private static let sizes = """
        local count, bytes = 0, 0
        for _, key in ipairs(redis.call('KEYS', '?:*')) do count, bytes = count + 1, bytes + redis.call('STRLEN', key) end
        return {count, bytes}
        """

    private func steps(_ step: String, _ url: String, _ port: String, _ blocks: Int) throws -> [Usage] {
        var usages: [Usage] = []
        for _ in 0..<runs {
            _ = try said(["redis-cli", "-p", port, "FLUSHALL"])
            let (output, usage) = try bench.helper(["measure", step, "\(blocks)", url])
            let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
            guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring \(step): no figures came") }
            usages.append(Usage(cpu: cpu, wall: wall, peak: usage.peak))
        }
        return usages
    }

    private func said(_ arguments: [String]) throws -> String {
        let path = "\(bench.folder)/redis.out"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("writing \(path)") }
        defer { close(file) }
        _ = try Child(["/usr/bin/env"] + arguments, output: file, errors: "\(bench.folder)/redis.log").wait(
            errors: "\(bench.folder)/redis.log")
        return Text.file(path) ?? ""
    }
}
