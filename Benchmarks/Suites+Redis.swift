import Glibc
import SluiceCore
import SluiceTestKit

extension Suites {
    /// Rows as values and as entries of streams, beside `redis-benchmark` with SETs of as many bytes, and with XADDs of them, pipelined over one
    /// connection.
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
        let sets = try theirs(["-t", "set", "-r", "\(rows)", "-d", "\(bytes)"], port, rows)
        let entries = try steps("redis-streams", url, port, blocks)
        _ = try said(["redis-cli", "-p", port, "FLUSHALL"])
        let adds = try theirs(["XADD", "entries", "*", "row", String(repeating: "x", count: bytes)], port, rows)
        for (name, usages, rivals) in [
            ("columns to values in Redis", values, [("SET", sets)]),
            ("columns to streams in Redis", entries, [("XADD", adds), ("SET", sets)]),
        ] {
            let ours = Double(rows) / usages.map(\.wall).sorted()[usages.count / 2]
            var result = figure("redis", name, blocks, usages, rows: rows)
            result.ratio = ours / rivals[0].1
            let beside = rivals.map { "\(Text.fixed(ours / $1 * 100, 0)) % of redis-benchmark's \(Int($1)) \($0)s/s" }
            result.note = "\(Int(ours)) rows/s, \(beside.joined(separator: ", ")) of \(bytes) bytes (80 % is asked for)"
            emit(result)
        }
    }

    /// What `redis-benchmark` does in a second, over one connection: the median.
    private func theirs(_ what: [String], _ port: String, _ rows: Int) throws -> Double {
        var rates: [Double] = []
        // Now and then it says that its clients were disconnected, and nothing else.
        for _ in 0..<2 * runs where rates.count < runs {
            let lines = try said(["redis-benchmark", "-p", port, "-c", "1", "-P", "500", "-n", "\(rows)", "--csv"] + what)
            // The command stands in front, with all it is given.
            guard let words = lines.split(separator: "\n").last?.split(separator: ","), words.count > 7,
                let rate = Double(words[words.count - 7].filter { $0 != "\"" })
            else { continue }
            rates.append(rate)
        }
        guard rates.count == runs else { throw BenchError("redis-benchmark says nothing that is known") }
        return rates.sorted()[rates.count / 2]
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
