import Foundation
import Glibc
import SluiceCore
import SluiceSimulator
import SluiceStore
import Testing

extension EndToEnd {
    /// Events that could not be decoded as they were declared, and that come in once the declaration is corrected.
    @Suite(.needsReaders) struct Replay {
        /// Every form in which tokens here log a `Transfer`; some say less than they should.
        private static let declared = [
            "event Transfer(address indexed from, address indexed to, uint256 value)",
            "event Transfer(address indexed from, address indexed to, uint256 indexed value)",
            "event Transfer(address indexed from, address to, uint256 value)",
        ]
        /// With this one, such logs become rows whose arguments are not decoded.
        private static let corrected = declared + ["Transfer(address,address,uint256)"]

        /// One pipeline into several kinds of sinks.
        private struct Place {
            let box: Sandbox
            let name: String
            let port: UInt16
            let tokens: [String]

            func write(_ events: [String]) throws {
                func list(_ texts: [String]) -> String { texts.map { "\"\($0)\"" }.joined(separator: ", ") }
                try Surroundings.write(
                    """
                    state: \(name).state
                    networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"], poll_interval: 20ms } }
                    sinks:
                      tables: { type: duckdb, path: \(name).duckdb, commit_rows: 500 }
                      lake: { type: parquet, path: \(name).lake, blocks_per_file: 16 }
                      csv: { type: csv, path: \(name).csv, commit_rows: 500, blocks_per_file: 1000 }
                      jsonl: { type: jsonl, path: \(name).jsonl, commit_rows: 500 }
                    pipelines:
                      \(name):
                        network: simulated
                        register: event_log
                        start: \(Chain.first)
                        sinks: [tables, lake, csv, jsonl]
                        events: [{ addresses: [\(list(tokens))], events: [\(list(events))] }]

                    """, to: box.path("\(name).yaml"))
            }

            func run(until block: UInt64) async throws {
                _ = try await box.output("run", "-c", "\(name).yaml", "--until-block", "\(block)", "--quiet")
            }

            /// How many letters are open.
            var open: Int {
                get async throws {
                    struct Page: Decodable { let total: Int }
                    return try Surroundings.decoded(Page.self, try await box.output("dlq", "list", "--json", "-c", "\(name).yaml")).total
                }
            }

            /// The rows of the table in each kind of sink.
            func tables() async throws -> [TableSummary?] {
                let stored: [String: TableSummary] = try await box.python("stores.py", "summary", "duckdb", "\(name).duckdb")
                let lake: [String: TableSummary] = try await box.python("stores.py", "summary", "parquet", "\(name).lake")
                let csv: [String: TableSummary] = try await box.python("stores.py", "summary", "csv", "\(name).csv")
                let jsonl: [String: TableSummary] = try await box.python("stores.py", "summary", "jsonl", "\(name).jsonl")
                return [stored["event_logs"], lake["event_logs"], csv["event_logs"], jsonl["event_logs"]]
            }

            func replay(_ arguments: String..., code: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Report {
                let child = try box.start(["dlq", "replay", "-c", "\(name).yaml", "--json"] + arguments)
                let ending = try await child.wait()
                #expect(ending == .exited(code), "\(child.errors)", sourceLocation: sourceLocation)
                return try Surroundings.decoded(Report.self, child.output)
            }
        }

        private struct Report: Decodable {
            struct Line: Decodable {
                let id: Int
                let outcome: String
                let rows: Int?
                let reason: String?
            }
            let replayed: [Line]

            var outcomes: [String: Int] { Dictionary(replayed.map { ($0.outcome, 1) }, uniquingKeysWith: +) }
        }

        /// Contracts that log transfers, from another pipeline.
        private static func tokens(_ box: Sandbox, port: UInt16) async throws -> [String] {
            try Surroundings.write(
                """
                state: all.state
                networks: { simulated: { endpoints: ["http://127.0.0.1:\(port)"], poll_interval: 20ms } }
                sinks: { tables: { type: duckdb, path: all.duckdb } }
                pipelines: { all: { network: simulated, register: erc20_transfers, start: \(Chain.first), sinks: [tables] } }

                """, to: box.path("all.yaml"))
            _ = try await box.output(
                "backfill", "-c", "all.yaml", "--from", "\(Chain.first)", "--to", "\(Chain.first + 39)", "--quiet")
            let rows = try await box.output(
                "query", "-c", "all.yaml", "--format", "csv", "SELECT DISTINCT to_0x(token_address) FROM erc20_transfers ORDER BY 1")
            let tokens = rows.split(whereSeparator: \.isNewline).dropFirst().map(String.init)
            try #require(tokens.count > 5)
            return tokens
        }

        /// A place that has been run with the wrong declarations, and one with the corrected ones, up to the same block.
        private static func places(_ box: Sandbox, port: UInt16, until block: UInt64) async throws -> (wrong: Place, right: Place) {
            let tokens = try await tokens(box, port: port)
            let places = ["wrong", "right"].map { Place(box: box, name: $0, port: port, tokens: tokens) }
            for (place, events) in zip(places, [declared, corrected]) {
                try place.write(events)
                try await place.run(until: block)
            }
            return (places[0], places[1])
        }

        @Test("once the declaration is corrected, a replay makes the tables what they had been with it from the start")
        func stopped() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 160)) { _, port in
                    let last = Chain.first + 159
                    let (place, right) = try await Self.places(box, port: port, until: last)
                    let expected = try await right.tables()
                    #expect(try await right.open == 0)
                    let open = try await place.open
                    try #require(open > 25)
                    // Uncorrected, nothing comes of it.
                    let before = try await place.tables()
                    let again = try await place.replay("--pipeline", "wrong", code: 65)
                    #expect(again.outcomes == ["failed": open] && again.replayed.allSatisfy { $0.reason == "abi_malformed" })
                    #expect(try await place.tables() == before)
                    try place.write(Self.corrected)
                    // First one by its number, then the others.
                    let one = try await place.replay("\(again.replayed[3].id)")
                    #expect(one.outcomes == ["loaded": 1] && one.replayed.first?.rows == 1)
                    #expect(try await place.replay("\(again.replayed[3].id)").replayed.isEmpty)
                    #expect(try await place.replay("--pipeline", "wrong").outcomes == ["loaded": open - 1])
                    #expect(try await place.open == 0)
                    let after = try await place.tables()
                    #expect(after[0] == expected[0] && after[0]?.rows == after[0]?.distinct)
                    // What is not final yet is in no file, and comes with its blocks.
                    #expect(after[1...] == expected[1...])
                    for one in [place, right] { try await one.run(until: last) }
                    #expect(try await place.tables() == expected)
                    #expect(try await place.open == 0)
                }
            }
        }

        @Test("beside a run that follows the chain, a replay is made by the run, and reported by the command")
        func running() async throws {
            try await Sandbox.run { box in
                var generator = Chain.options(blocks: 120)
                generator.blockTime = .milliseconds(100)
                generator.reorgEvery = 12
                generator.reorgDepth = 1...3
                // With this head the last block that is final ends a batch: one that is not final as a whole waits as a whole.
                let last = Chain.first + 303
                generator.until = last
                try await Chain.serving(generator) { simulator, port in
                    let (place, _) = try await Self.places(box, port: port, until: Chain.first + 118)
                    let open = try await place.open
                    try #require(open > 15)
                    try place.write(Self.corrected)
                    let child = try box.start(["run", "-c", "wrong.yaml", "--until-block", "\(last)"])
                    let store = try await StateStore.openReadOnly(box.path("wrong.state"))
                    try await Surroundings.eventually("a run at the head") {
                        try await store.statuses().first?.state == "live" ? true : nil
                    }
                    await store.close()
                    let start = ContinuousClock.now
                    let report = try await place.replay("--pipeline", "wrong")
                    #expect(ContinuousClock.now - start < .seconds(30))
                    #expect(child.poll() == nil, "the run ended before it could replay anything")
                    // Some of the blocks may have been orphaned since, and their letters with them.
                    #expect(report.replayed.count == open)
                    let loaded = (report.outcomes["loaded"] ?? 0) + (report.outcomes["orphaned"] ?? 0)
                    #expect(loaded == open && report.outcomes["loaded"] ?? 0 > 10, "\(report.outcomes)")
                    #expect(try await child.wait() == .exited(0), "\(child.errors.suffix(2000))")
                    // Once more, for what has become final since, and an undisturbed one beside it.
                    let clean = Place(box: box, name: "clean", port: port, tokens: place.tokens)
                    try clean.write(Self.corrected)
                    for one in [place, clean] { try await one.run(until: last) }
                    #expect(simulator.head == last)
                    #expect(try await place.tables() == clean.tables())
                    #expect(try await place.open == 0)
                }
            }
        }

        @Test("a replay that is killed again and again ends with no row missing and none twice, and no reader ever sees one twice")
        func killed() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                try await Chain.serving(Chain.options(blocks: 420)) { options in
                    options.faults.latency = .milliseconds(2)
                } _: { _, port in
                    let (place, right) = try await Self.places(box, port: port, until: Chain.first + 419)
                    let open = try await place.open
                    try place.write(Self.corrected)
                    var kills = 0
                    var rounds = 0
                    while kills < Surroundings.kills {
                        // Once it is done, all that is there is noted as open again and replayed over what it made.
                        if rounds > 0 { try await Self.reopen(place) }
                        rounds += 1
                        while kills < Surroundings.kills {
                            let child = try box.start(["dlq", "replay", "-c", "wrong.yaml", "--pipeline", "wrong"])
                            try await Task.sleep(for: .milliseconds(Int64.random(in: 40...1200, using: &random)))
                            child.send(SIGKILL)
                            let ending = try await child.wait()
                            guard ending == .killed(SIGKILL) else {
                                #expect(ending == .exited(0), "seed \(Surroundings.seed), kill \(kills): \(child.errors)")
                                break
                            }
                            kills += 1
                            let seen: [Int] = try await box.python("stores.py", "listed", "wrong.lake", "event_logs")
                            #expect(seen.first == seen.last, "seed \(Surroundings.seed), kill \(kills): \(seen)")
                        }
                    }
                    let report = try await place.replay("--pipeline", "wrong")
                    #expect(report.outcomes["loaded"] ?? 0 == report.replayed.count)
                    #expect(try await place.open == 0)
                    #expect(try await place.tables() == right.tables(), "seed \(Surroundings.seed)")
                    print("killed replays of \(open) dead letters \(kills) times in \(rounds) rounds, seed \(Surroundings.seed)")
                }
            }
        }

        @Test("when the run that was to replay is killed amid it, the command that waits does what is left", arguments: [150, 500, 900])
        func takenOver(_ milliseconds: Int) async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 220)) { options in
                    options.faults.latency = .milliseconds(2)
                } _: { _, port in
                    let last = Chain.first + 219
                    let (place, right) = try await Self.places(box, port: port, until: last)
                    let open = try await place.open
                    try place.write(Self.corrected)
                    let run = try box.start(["run", "-c", "wrong.yaml"])
                    let store = try await StateStore.openReadOnly(box.path("wrong.state"))
                    try await Surroundings.eventually("a run at the head") {
                        try await store.statuses().first?.state == "live" ? true : nil
                    }
                    await store.close()
                    let command = try box.start(["dlq", "replay", "-c", "wrong.yaml", "--json", "--pipeline", "wrong"])
                    try await Task.sleep(for: .milliseconds(milliseconds))
                    run.send(SIGKILL)
                    _ = try await run.wait()
                    #expect(try await command.wait() == .exited(0), "\(command.errors)")
                    let report = try Surroundings.decoded(Report.self, command.output)
                    #expect(
                        report.replayed.count == open
                            && report.outcomes["loaded", default: 0] + report.outcomes["awaited", default: 0] == open)
                    for one in [place, right] { try await one.run(until: last) }
                    #expect(try await place.tables() == right.tables())
                    #expect(try await place.open == 0)
                }
            }
        }

        /// Notes that all rows have failed once more, as if their blocks had been read anew: their letters are open again.
        private static func reopen(_ place: Place) async throws {
            let store = try await StateStore.open(place.box.path("wrong.state"))
            let letters = try await store.deadLetters(limit: .max).map(\.letter)
            #expect(try await store.keep(letters, of: StreamID(pipeline: "wrong", chainID: 1337)) == letters.count)
            await store.close()
        }
    }
}
