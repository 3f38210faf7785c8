import Glibc
import SluiceCore
import SluiceTestKit

extension Suites {
    /// Blocks into PostgreSQL, with what the server costs; and the sink beside `psql \copy` of the same rows from binary files into the same tables.
    func postgres() throws {
        guard TestServices.hasPostgres else { return Text.say("postgres: SKIPPED, it is not installed: scripts/setup --test installs it") }
        let services = try TestServices(["postgres"], root: try Self.root())
        defer { services.stop() }
        guard let url = services.variables["SLUICE_TEST_POSTGRES"] else {
            throw BenchError("scripts/services does not say where PostgreSQL is")
        }
        let server = try PostgresProcess(folder: services.folder)
        let blocks = count(1_000)
        let tables = ["blocks", "transactions", "logs"]
        var usages: [Usage] = []
        var notes: [String] = []
        for _ in 0..<runs {
            try psql(url, "DROP SCHEMA IF EXISTS sluice CASCADE; DROP TABLE IF EXISTS \(tables.joined(separator: ", "))")
            let before = try server.cpu()
            var usage = try Trial(bench: bench, store: .postgres, url: url, blocks: blocks).run(1).runs[0]
            let share = try server.cpu() - before
            notes.append("\(Text.fixed(share / Double(blocks) * 1_000, 2)) of it the server's")
            usage.cpu += share
            usages.append(usage)
            let found = try tables.map { try Int(psql(url, "SELECT count(*) FROM \($0)")) ?? -1 }
            guard found == bench.rows(blocks) else { throw BenchError("a run left \(found) rows in PostgreSQL, not \(bench.rows(blocks))") }
        }
        emit(
            figure(
                "postgres", "RPC to PostgreSQL, server included", blocks, usages,
                goals: [.init(metric: .cpu, target: 4.0, stretch: 3.3), .init(metric: .rate, target: 300)], note: notes[0]))
        try copies(url, services.folder, blocks: blocks / bench.workload.count * bench.workload.count)
    }

    /// The same rows by the sink and by `psql`, in turns.
    private func copies(_ url: String, _ folder: String, blocks: Int) throws {
        let tables = ["blocks", "transactions", "logs"]
        let rows = bench.rows(blocks).reduce(0, +)
        var ours: [Usage] = []
        var theirs: [Usage] = []
        for _ in 0..<runs {
            try psql(url, "DROP SCHEMA IF EXISTS sluice CASCADE; DROP SCHEMA IF EXISTS step CASCADE; CHECKPOINT")
            let (output, usage) = try bench.helper(["measure", "postgres", "\(blocks)", url])
            let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
            guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring the sink: no figures came") }
            ours.append(Usage(cpu: cpu, wall: wall, peak: usage.peak))
            let found = try tables.map { try Int(psql(url, "SELECT count(*) FROM step.\($0)")) ?? -1 }
            guard found.reduce(0, +) == rows else { throw BenchError("the sink left \(found) rows, not \(rows)") }
            for table in tables { try psql(url, "\\copy step.\(table) TO '\(folder)/\(table).bin' (FORMAT binary)") }
            try psql(url, "TRUNCATE step.blocks, step.transactions, step.logs; CHECKPOINT")
            let clock = ContinuousClock.now
            var cost = Usage(cpu: 0, wall: 0, peak: 0)
            for table in tables {
                let child = try psqlChild(url, "\\copy step.\(table) FROM '\(folder)/\(table).bin' (FORMAT binary)")
                cost.cpu += try child.wait(errors: "\(bench.folder)/psql.log").cpu
            }
            cost.wall = (ContinuousClock.now - clock).seconds
            theirs.append(cost)
        }
        func rate(_ usages: [Usage]) -> Double { Double(rows) / usages.map(\.wall).sorted()[usages.count / 2] }
        emit(figure("postgres", "psql \\copy of binary files", blocks, theirs, rows: rows))
        var result = figure("postgres", "columns to PostgreSQL", blocks, ours, rows: rows)
        result.ratio = rate(ours) / rate(theirs)
        result.note = "\(Text.fixed(rate(ours) / rate(theirs) * 100, 0)) % of the rows/s of psql \\copy (80 % is asked for)"
        emit(result)
    }

    /// The project's folder, in which `scripts` is.
    static func root() throws -> String {
        let parts = #filePath.split(separator: "/").dropLast(2)
        return "/" + parts.joined(separator: "/")
    }

    private func psqlChild(_ url: String, _ sql: String, output: Int32? = nil) throws -> Child {
        try Child(
            ["/usr/bin/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c", sql], output: output,
            errors: "\(bench.folder)/psql.log")
    }

    @discardableResult
    private func psql(_ url: String, _ sql: String) throws -> String {
        let path = "\(bench.folder)/psql.out"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("writing \(path)") }
        defer { close(file) }
        _ = try psqlChild(url, sql, output: file).wait(errors: "\(bench.folder)/psql.log")
        return (Text.file(path) ?? "").split(separator: "\n").first.map(String.init) ?? ""
    }
}

/// The server's processes, for what they cost.
private struct PostgresProcess {
    private let pid: Int

    init(folder: String) throws {
        guard let pid = Text.file("\(folder)/postgres/pid").flatMap({ Int($0.split(separator: "\n").first ?? "") }) else {
            throw BenchError("PostgreSQL's process is not known")
        }
        self.pid = pid
    }

    /// CPU seconds of the server so far, with those of its processes that have ended and those that run.
    func cpu() throws -> Double {
        guard let own = Self.stat(pid) else { throw BenchError("PostgreSQL has ended") }
        var ticks = own[11] + own[12] + own[13] + own[14]
        for name in Text.names("/proc") {
            guard let id = Int(name), let stat = Self.stat(id), stat[1] == pid else { continue }
            ticks += stat[11] + stat[12]
        }
        return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The numbers behind a process's name in its `stat`, the state as 0.
    private static func stat(_ pid: Int) -> [Int]? {
        guard let text = Text.file("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let numbers = text[text.index(after: end)...].split(separator: " ").map { Int($0) ?? 0 }
        return numbers.count > 20 ? numbers : nil
    }
}
