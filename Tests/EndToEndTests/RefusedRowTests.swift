import SluiceTestKit
import Testing

extension EndToEnd {
    /// Rows that one of two sinks, a real PostgreSQL with rules of its operator's, does not take.
    @Suite(.needsReaders, .enabled(if: TestServices.hasPostgres, "PostgreSQL is not installed")) struct RefusedRows {
        /// Runs SQL by psql, in the schema of a place, and returns what it prints.
        private static func psql(_ place: Workplace, _ sql: String) async throws -> String {
            let child = try ChildProgram(
                [
                    "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", place.server(.postgres), "-c",
                    "SET search_path TO \"\(place.schema)\"; \(sql)",
                ],
                in: place.box.folder, log: "psql")
            #expect(try await child.wait() == .exited(0), "\(child.errors)")
            return child.output
        }

        private struct Page: Decodable {
            struct Letter: Decodable {
                let row: String
                let reason: String
                let tries: Int
            }
            let deadLetters: [Letter]
            let total: Int
        }

        private static func letters(_ place: Workplace) async throws -> Page {
            try Surroundings.decoded(Page.self, try await place.box.output("dlq", "list", "--json", "--limit", "1000", "-c", place.config))
        }

        @Test("rows that a server's rule forbids are dead letters, all others land, and a replay brings them when the rule is gone")
        func refused() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 150)) { _, port in
                    let place = Workplace(box, "main", port: port, kinds: [.duckdb, .postgres])
                    try await place.backfill(Chain.blocks(5))
                    _ = try await Self.psql(
                        place,
                        "ALTER TABLE transactions ADD CONSTRAINT few CHECK (transaction_index < 9 OR block_number < \(Chain.first + 5))")
                    try await place.backfill(Chain.blocks(120))
                    let whole = try await place.tables(.duckdb)
                    whole.expectWhole(Chain.blocks(120))
                    let part = try await place.tables(.postgres)
                    let missing = (whole["transactions"]?.rows ?? 0) - (part["transactions"]?.rows ?? 0)
                    #expect(missing > 20)
                    for name in whole.keys where name != "transactions" { #expect(part[name]?.rows == whole[name]?.rows, "\(name)") }
                    let kept = try await Self.letters(place)
                    #expect(kept.total == missing && kept.deadLetters.count == missing)
                    #expect(kept.deadLetters.allSatisfy { $0.reason == "postgres_data" && $0.row.hasSuffix(" of transactions in server") })
                    let shown = try await box.output("dlq", "show", "1", "-c", place.config)
                    #expect(shown.contains("violates check constraint \"few\"") && shown.contains("\"transaction_index\": "), "\(shown)")

                    // As long as the rule is there nothing changes but the count of tries.
                    let refused = try await box.sluice("dlq", "replay", "--pipeline", "main", "-c", place.config)
                    #expect(refused.ending == .exited(65), "\(refused.errors)")
                    let again = try await Self.letters(place)
                    #expect(again.total == missing && again.deadLetters.allSatisfy { $0.tries == 2 })
                    #expect(try await place.tables(.postgres) == part)

                    _ = try await Self.psql(place, "ALTER TABLE transactions DROP CONSTRAINT few")
                    let replayed = try await box.sluice("dlq", "replay", "--pipeline", "main", "-c", place.config)
                    #expect(replayed.ending == .exited(0), "\(replayed.errors)")
                    #expect(try await Self.letters(place).total == 0)
                    #expect(try await place.sums(.postgres) == place.sums(.duckdb))
                    #expect(try await place.tables(.duckdb) == whole)
                    try await place.tables(.postgres).expectWhole(Chain.blocks(120))
                }
            }
        }
    }
}
