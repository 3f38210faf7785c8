import Glibc
import SluiceCore
import SluiceTestKit

extension Suites {
    /// The sink into ClickHouse 18.16 beside `clickhouse-client`, which inserts the same rows from prepared Native files into the same tables.
    func clickhouse() throws {
        guard TestServices.hasClickHouse, access("/usr/bin/clickhouse-client", X_OK) == 0 else {
            return Text.say("clickhouse: SKIPPED, it is not installed: scripts/setup --test installs it")
        }
        let services = try TestServices(["clickhouse"], root: try Self.root())
        defer { services.stop() }
        guard let url = services.variables["SLUICE_TEST_CLICKHOUSE"], let port = services.variables["SLUICE_TEST_CLICKHOUSE_TCP"] else {
            throw BenchError("scripts/services does not say where ClickHouse is")
        }
        let blocks = count(1_000) / bench.workload.count * bench.workload.count
        let tables = ["blocks", "transactions", "logs"]
        let rows = bench.rows(blocks).reduce(0, +)
        var ours: [Usage] = []
        var theirs: [Usage] = []
        for _ in 0..<runs {
            try client(port, "DROP DATABASE IF EXISTS step")
            let (output, usage) = try bench.helper(["measure", "clickhouse", "\(blocks)", url])
            let words = Dictionary(Bench.words(output.last ?? ""), uniquingKeysWith: { $1 })
            guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring the sink: no figures came") }
            ours.append(Usage(cpu: cpu, wall: wall, peak: usage.peak))
            for table in tables { try client(port, "SELECT * FROM step.\(table) FORMAT Native", to: "\(services.folder)/\(table).native") }
            let found = try tables.map { try Int(client(port, "SELECT count() FROM step.\($0)")) ?? -1 }
            guard found.reduce(0, +) == rows else { throw BenchError("the sink left \(found) rows, not \(rows)") }
            for table in tables { try client(port, "TRUNCATE TABLE step.\(table)") }
            let clock = ContinuousClock.now
            var cost = Usage(cpu: 0, wall: 0, peak: 0)
            for table in tables {
                let file = "\(services.folder)/\(table).native"
                cost.cpu += try clientChild(port, "INSERT INTO step.\(table) FORMAT Native", " < '\(file)'").wait(errors: errors).cpu
            }
            cost.wall = (ContinuousClock.now - clock).seconds
            theirs.append(cost)
            let again = try tables.map { try Int(client(port, "SELECT count() FROM step.\($0)")) ?? -1 }
            guard again == found else { throw BenchError("clickhouse-client left \(again) rows, not \(found)") }
        }
        func rate(_ usages: [Usage]) -> Double { Double(rows) / usages.map(\.wall).sorted()[usages.count / 2] }
        emit(figure("clickhouse", "clickhouse-client, Native files", blocks, theirs, rows: rows))
        var result = figure("clickhouse", "columns to ClickHouse 18.16", blocks, ours, rows: rows)
        result.ratio = rate(ours) / rate(theirs)
        result.note = "\(Text.fixed(rate(ours) / rate(theirs) * 100, 0)) % of the rows/s of clickhouse-client (90 % is asked for)"
        emit(result)
    }

    private var errors: String { "\(bench.folder)/clickhouse-client.log" }

    private func clientChild(_ port: String, _ sql: String, _ rest: String) throws -> Child {
        try Child(["/bin/sh", "-c", "exec clickhouse-client --host 127.0.0.1 --port \(port) --query '\(sql)'\(rest)"], errors: errors)
    }

    @discardableResult
    private func client(_ port: String, _ sql: String, to file: String? = nil) throws -> String {
        let path = file ?? "\(bench.folder)/clickhouse-client.out"
        _ = try clientChild(port, sql, " > '\(path)'").wait(errors: errors)
        return file == nil ? (Text.file(path) ?? "").split(separator: "\n").first.map(String.init) ?? "" : ""
    }
}
