import Glibc
import SluiceCore

/// The whole path: the real binary reads blocks from a simulator in another process into a fresh store.
struct Trial {
    enum Store: String { case duckdb, parquet, postgres, bucket }

    let bench: Bench
    var store = Store.duckdb
    /// Of a server, where the store has one; of a bucket also key, secret and prefix, with `#` between them.
    var url = ""
    var registers = ["blocks", "transactions", "logs"]
    var blocks: Int
    /// Further arguments of the simulator: faults, limits, latency.
    var upstream: [String] = []
    /// Further lines of the endpoint and of the network.
    var endpoint: [String] = []
    var network: [String] = []

    /// What the runs cost, and the rows that each of them left, table by table. Throws when a run fails, or when two runs differ.
    func run(_ times: Int) throws -> (runs: [Usage], rows: [Int]) {
        let folder = "\(bench.folder)/trial"
        Cleanup.remove(folder)
        guard mkdir(folder, 0o755) == 0 else { throw BenchError("making \(folder): \(String(cString: strerror(errno)))") }
        defer { Cleanup.remove(folder) }
        let server = try ReplayServer(bench, blocks: blocks, arguments: upstream)
        defer { server.stop() }
        var runs: [Usage] = []
        var rows: [Int]?
        for _ in 0..<times {
            let (usage, found) = try once(folder, port: server.port)
            guard rows == nil || rows == found else { throw BenchError("two runs left different rows: \(rows ?? []) and \(found)") }
            rows = found
            runs.append(usage)
        }
        return (runs, rows ?? [])
    }

    private func sink(_ target: String, _ home: String) -> String {
        guard store == .bucket else { return "type: \(store.rawValue), \(store == .postgres ? "url" : "path"): \"\(target)\"" }
        let words = url.split(separator: "#")
        return "type: parquet, path: \"s3://sluice/\(words[3])\", endpoint: \"\(words[0])\", access_key: \(words[1]), "
            + "secret_key: \"\(words[2])\", spool: \"\(home)/spool\""
    }

    private func once(_ folder: String, port: Int) throws -> (Usage, [Int]) {
        let home = "\(folder)/run"
        Cleanup.remove(home)
        guard mkdir(home, 0o755) == 0 else { throw BenchError("making \(home): \(String(cString: strerror(errno)))") }
        let target = [.duckdb: "\(home)/out.duckdb", .parquet: "\(home)/lake"][store] ?? url
        let text = """
            state: "\(home)/state"
            networks:
              ethereum:
                endpoints:
                  - url: http://127.0.0.1:\(port)
            \(endpoint.map { "        \($0)\n" }.joined())\(network.map { "    \($0)\n" }.joined())
            sinks:
              out: { \(sink(target, home)) }
            pipelines:
              bench: { network: ethereum, registers: [\(registers.joined(separator: ", "))], start: \(Workload.start), sinks: [out] }
            """
        try Text.write(text, to: "\(home)/sluice.yaml")
        let last = Workload.start + UInt64(blocks) - 1
        let log = "\(home)/log"
        let child = try Child(
            [bench.sluice, "backfill", "-c", "\(home)/sluice.yaml", "--from", "\(Workload.start)", "--to", "\(last)", "--quiet"],
            errors: log)
        let usage = try child.wait(errors: log)
        if store == .postgres || store == .bucket { return (usage, []) }
        let rows = try bench.helper(["count", store.rawValue, target] + registers).output.compactMap { Int($0) }
        guard rows.count == registers.count else { throw BenchError("cannot count the rows in \(target)") }
        return (usage, rows)
    }
}

/// `sluice simulate` in a process of its own.
final class ReplayServer {
    private let child: Child
    private let errors: String
    let port: Int

    /// Starts it and waits until it listens.
    init(_ bench: Bench, blocks: Int, arguments: [String]) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchError("making a pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        errors = "\(bench.folder)/simulator.log"
        unlink(errors)
        defer { close(ends[0]) }
        do {
            defer { close(ends[1]) }
            child = try Child(
                [bench.sluice, "simulate"] + bench.workload.arguments(blocks: blocks) + arguments, output: ends[1], errors: errors)
        }
        let line = Self.line(ends[0])
        let digits = line.split(separator: ":").dropFirst(2).first?.prefix { $0.isNumber }
        guard let port = digits.flatMap({ Int($0) }) else {
            kill(child.pid, SIGTERM)
            _ = try child.wait(errors: errors, ends: SIGTERM)
            throw BenchError("the simulator does not say its port: \(line)\n\(Text.tail(of: errors))")
        }
        self.port = port
    }

    /// Ends it and waits for that.
    func stop() {
        kill(child.pid, SIGTERM)
        _ = try? child.wait(limit: .seconds(10), errors: errors, ends: SIGTERM)
    }

    private static func line(_ file: Int32) -> String {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while read(file, &byte, 1) == 1, byte != 0x0A { text.append(byte) }
        return String(decoding: text, as: UTF8.self)
    }
}
