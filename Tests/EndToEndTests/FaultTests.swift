import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// An upstream that fails in every way it can: slower, never wrong.
    @Suite(.needsReaders) struct Faults {
        @Test("with a share of all answers failing, the tables are those of a clean run", arguments: [0.01, 0.05, 0.2])
        func share(_ rate: Double) async throws {
            try await Sandbox.run { box in
                let range = Chain.blocks(160)
                try await Chain.serving(Chain.options(blocks: 200)) { _, cleanPort in
                    try await Chain.serving(Chain.options(blocks: 200)) { options in
                        // Of the forty requests none may fail at one in twenty: one seed in eight. This one has failures among the first.
                        options.faults.seed = rate == 0.05 ? 3 : Surroundings.seed
                        options.faults.faultRate = rate
                        // Lies too: valid JSON with one field changed.
                        options.faults.rates[.alteredBody] = rate / 4
                    } _: { faulty, faultyPort in
                        let clean = Workplace(box, "clean", port: cleanPort)
                        try await clean.backfill(range)
                        var place = Workplace(box, "faulty", port: faultyPort)
                        place.settings = "poll_interval: 20ms, request_timeout: 500ms, retry_attempts: 40"
                        try await place.backfill(range)
                        let tables = try await place.tables(.duckdb)
                        tables.expectWhole(range)
                        let expected = try await clean.tables(.duckdb)
                        let different = expected.keys.filter { expected[$0] != tables[$0] }
                        #expect(different.isEmpty, "\(different), seed \(Surroundings.seed), \(faulty.statistics.faults)")
                        let faults = faulty.statistics.faults
                        if rate >= 0.05 { #expect(!faults.isEmpty, "nothing failed") }
                        print("at \(rate): \(faults.values.reduce(0, +)) of \(faulty.statistics.requests) answers failed: \(faults)")
                    }
                }
            }
        }

        @Test("answers that are valid JSON and untrue are never believed")
        func lies() async throws {
            try await Sandbox.run { box in
                let range = Chain.blocks(160)
                try await Chain.serving(Chain.options(blocks: 200)) { _, cleanPort in
                    try await Chain.serving(Chain.options(blocks: 200)) { options in
                        options.faults.seed = Surroundings.seed
                        options.faults.rates[.alteredBody] = 0.3
                    } _: { faulty, faultyPort in
                        let clean = Workplace(box, "clean", port: cleanPort)
                        try await clean.backfill(range)
                        var place = Workplace(box, "faulty", port: faultyPort)
                        place.settings = "poll_interval: 20ms, retry_attempts: 40"
                        try await place.backfill(range)
                        let tables = try await place.tables(.duckdb)
                        let expected = try await clean.tables(.duckdb)
                        let different = expected.keys.filter { expected[$0] != tables[$0] }
                        #expect(different.isEmpty, "\(different), seed \(Surroundings.seed), \(faulty.statistics.faults)")
                        #expect(faulty.statistics.faults["altered_body", default: 0] > 0)
                    }
                }
            }
        }
    }
}
