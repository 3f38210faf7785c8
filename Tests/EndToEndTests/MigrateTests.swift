import Foundation
import Glibc
import SluiceTestKit
import Testing

extension EndToEnd {
    /// `sluice migrate` on a real server.
    @Suite(.enabled(if: TestServices.hasPostgres, "PostgreSQL is not there: scripts/setup --test")) struct Migrate {
        private static let configuration = """
            state: main.state
            networks:
              ethereum: { endpoints: ["http://127.0.0.1:1"] }
            sinks:
              tables: { type: duckdb, path: main.duckdb }
              server: { type: postgres, url: "${DB}", schema: metrics, table_sets: [network_metrics, provider_imports] }
            pipelines:
              chain: { network: ethereum, register: blocks, sinks: [tables, server] }

            """

        private struct Status: Decodable {
            struct Sink: Decodable {
                struct Migration: Decodable {
                    let number: Int
                    let name: String
                    let state: String
                    let appliedBy: String?
                    let statements: [String]?
                }
                let sink: String
                let migrations: [Migration]?
            }
            let sinks: [Sink]
        }

        /// A database of the test's own in a server of the test's own, and what psql says of it.
        private struct Database {
            let box: Sandbox
            let url: String

            init(_ box: Sandbox, _ services: TestServices) throws {
                self.box = box
                url = try #require(services.variables["SLUICE_TEST_POSTGRES"])
                try Surroundings.write(Migrate.configuration, to: box.path("main.yaml"))
            }

            func psql(_ sql: String) async throws -> String {
                let child = try ChildProgram(
                    ["psql", url, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql], in: box.folder, log: "psql-\(UUID().uuidString)")
                guard try await child.wait() == .exited(0) else { throw ChildProgram.Failure(description: child.errors) }
                return child.output.trimmingCharacters(in: .newlines)
            }

            func migrate(_ arguments: String...) throws -> ChildProgram {
                try box.start(["migrate"] + arguments + ["-c", "main.yaml"], environment: ["DB": url])
            }

            func output(_ command: String, _ more: String...) async throws -> String {
                let child = try box.start(["migrate", command, "-c", "main.yaml"] + more, environment: ["DB": url])
                let ending = try await child.wait()
                guard ending == .exited(0) else { throw ChildProgram.Failure(description: "\(command): \(ending); \(child.errors)") }
                return child.output
            }

            /// Steps that are recorded, and steps whose tables are there: by a table of each.
            func steps() async throws -> (recorded: String, made: String) {
                let isThere = try await psql("SELECT to_regclass('sluice.migrations') IS NOT NULL") == "t"
                let recorded =
                    isThere
                    ? try await psql(
                        "SELECT coalesce(string_agg(number::text, ' ' ORDER BY number), '') FROM sluice.migrations WHERE tables_in = 'metrics'"
                    )
                    : ""
                let made = try await psql(
                    """
                    SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM (VALUES (1, 'sluice.owners'), (1, 'sluice.streams'), (2, 'metrics.block_metrics'),
                    (2, 'metrics.ml_alerts'), (3, 'metrics.gas_metrics_5min'), (3, 'metrics.l2_costs_hourly'), (4, 'metrics.eth_blocks'),
                    (4, 'metrics.eth_block_import_status'), (5, 'metrics.s3_import_status'), (5, 'metrics.binance_klines_prices')) AS t(n, name)
                    WHERE to_regclass(name) IS NOT NULL
                    """)
                return (recorded, made)
            }
        }

        @Test("plan, status and apply say and do the same; done twice nothing is done; the sink runs beside")
        func commands() async throws {
            try await Sandbox.run { box in
                let services = try #require(Surroundings.services(["postgres"]))
                defer { services.stop() }
                let database = try Database(box, services)
                let plan = try await database.output("plan")
                #expect(plan.contains("sink tables: duckdb has no migrations; its tables are made when it is opened\n"))
                #expect(plan.contains("sink server: schema metrics at 127.0.0.1:") && plan.contains("without TimescaleDB\n"))
                #expect(plan.contains("  1 bookkeeping: pending\n") && plan.contains("    CREATE TABLE \"metrics\".eth_blocks (\n"))
                #expect(plan.contains("    -- nothing is compressed after 7d: this server cannot\n"))
                #expect(try await database.psql("SELECT count(*) FROM pg_namespace WHERE nspname IN ('metrics', 'sluice')") == "0")

                let applied = try await database.output("apply", "--sink", "server")
                #expect(
                    applied
                        == "sink server: applied 1 bookkeeping\nsink server: applied 2 network_metrics\nsink server: applied 3 network_metrics_rollups\n"
                        + "sink server: applied 4 provider_imports_chain\nsink server: applied 5 provider_imports_files\n")
                #expect(try await database.output("apply", "--sink", "server") == "sink server: nothing to apply\n")
                let steps = try await database.steps()
                #expect(steps.recorded == "1 2 3 4 5" && steps.made == "1 1 2 2 3 3 4 4 5 5")

                let status = try Surroundings.decoded(Status.self, try await database.output("status", "--json"))
                #expect(status.sinks.map(\.sink) == ["server", "tables"] || status.sinks.map(\.sink) == ["tables", "server"])
                let server = try #require(status.sinks.first { $0.sink == "server" }?.migrations)
                #expect(server.map(\.number) == [1, 2, 3, 4, 5] && server.allSatisfy { $0.state == "applied" && $0.appliedBy == "0.1.0" })
                #expect(status.sinks.first { $0.sink == "tables" }?.migrations == nil)
                let table = try await database.output("status", "--sink", "server")
                #expect(table.contains("4  provider_imports_chain   applied  20"))
                #expect(try await database.output("plan", "--sink", "server").hasSuffix("  nothing to apply\n"))
            }
        }

        @Test("what is refused has a code and names sink and step: an older program, a server that is away, a sink that is not there")
        func refused() async throws {
            try await Sandbox.run { box in
                let services = try #require(Surroundings.services(["postgres"]))
                defer { services.stop() }
                let database = try Database(box, services)
                _ = try await database.output("apply")
                _ = try await database.psql("INSERT INTO sluice.migrations VALUES ('metrics', 99, 'future', 'x', now(), '7.0', 's')")
                for command in ["plan", "apply"] {
                    let child = try database.migrate(command)
                    #expect(try await child.wait() == .exited(78))
                    #expect(child.errors.contains("error[migration_conflict]: sink server: schema metrics at 127.0.0.1:"))
                    #expect(child.errors.contains("has migration 99 (future), applied by version 7.0"))
                }
                #expect(try await database.output("status").contains("99  future                   unknown  20"))
                let wrong = try database.migrate("apply", "--sink", "servers")
                #expect(try await wrong.wait() == .exited(2))
                #expect(wrong.errors.contains("did you mean server?"))
                try services.down("postgres")
                let away = try database.migrate("status")
                #expect(try await away.wait() == .exited(69))
                #expect(
                    away.errors.contains("error[postgres_unavailable]: sink server: ") && away.output.contains("duckdb has no migrations"))
            }
        }

        @Test("kill -9 while it applies leaves every step as a whole or not at all, and the next one ends it")
        func killed() async throws {
            try await Sandbox.run { box in
                let services = try #require(Surroundings.services(["postgres"]))
                defer { services.stop() }
                let database = try Database(box, services)
                // Each table takes a while, so that a kill comes into the midst of a step.
                _ = try await database.psql(
                    """
                    CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); END';
                    CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()
                    """)
                var inTheMidst = 0
                for kill in 1...min(Surroundings.kills, 24) {
                    _ = try await database.psql("DROP SCHEMA IF EXISTS metrics CASCADE; DROP SCHEMA IF EXISTS sluice CASCADE")
                    let child = try database.migrate("apply", "--sink", "server")
                    // In each step in turn, when it has made more and more.
                    let (step, things) = (1 + kill % 5, 1 + kill / 5 * 2)
                    try await Surroundings.eventually("a step that is under way") {
                        if child.poll() != nil { return true }
                        let steps = try await database.steps().recorded.split(separator: " ").count
                        let locks = try await database.psql(
                            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'sluice' AND mode = 'AccessExclusiveLock'"
                        )
                        return steps >= step || steps == step - 1 && (Int(locks) ?? 0) >= things ? true : nil
                    }
                    if child.poll() == nil { inTheMidst += 1 }
                    child.send(SIGKILL)
                    _ = try await child.wait()
                    try await Surroundings.eventually("a server that has noticed") {
                        try await database.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'") == "0"
                            ? true : nil
                    }
                    let steps = try await database.steps()
                    let doubled = steps.recorded.split(separator: " ").flatMap { [$0, $0] }.joined(separator: " ")
                    #expect(steps.made == doubled, "after kill \(kill): \(steps)")
                }
                #expect(inTheMidst > 0)
                _ = try await database.output("apply")
                let steps = try await database.steps()
                #expect(steps.recorded == "1 2 3 4 5" && steps.made == "1 1 2 2 3 3 4 4 5 5")
            }
        }
    }
}
