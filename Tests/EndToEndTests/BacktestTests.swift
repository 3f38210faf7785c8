import Foundation
import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// A backtest makes the rows that a backfill makes, and touches nothing of the live pipeline.
    @Suite(.needsReaders) struct Backtest {
        private struct Report: Decodable {
            struct Table: Decodable, Equatable {
                let table: String
                let rows: Int
                let digest: String
            }
            struct Component: Decodable {
                let register: String
                let out: Int
            }
            let state: String
            let blocks: Int
            let pids: [String]
            let tables: [Table]
            let components: [Component]
            let calls: Int
            let receivedBytes: Int
        }

        private static func backtest(_ box: Sandbox, _ range: ClosedRange<UInt64>, _ arguments: String...) async throws -> Report {
            let child = try box.start(
                [
                    "backtest", "-c", "main.yaml", "main", "--from", "\(range.lowerBound)", "--to", "\(range.upperBound)", "--json",
                    "--quiet",
                ]
                    + arguments)
            #expect(try await child.wait() == .exited(0), "\(child.errors)")
            return try Surroundings.decoded(Report.self, child.output)
        }

        @Test("its rows are those of a backfill of the same range, and two of them have the same digests")
        func rows() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 140)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try place.write()
                    let dropped = try await Self.backtest(box, Chain.blocks(100))
                    #expect(Surroundings.names(in: box.folder).allSatisfy { !$0.hasSuffix(".state") && !$0.hasSuffix(".duckdb") })
                    let report = try await Self.backtest(box, Chain.blocks(100), "--into", "backtest.duckdb")
                    #expect(report.state == "done" && report.blocks == 100 && report.calls >= 200 && report.receivedBytes > 0)
                    #expect(report.tables == dropped.tables && report.pids.allSatisfy { $0.hasPrefix("backtest::") })
                    try await place.backfill(Chain.blocks(100))
                    let live = try await place.tables(.duckdb)
                    live.expectWhole(Chain.blocks(100))
                    let other = Workplace(box, "backtest", port: port)
                    #expect(try await other.tables(.duckdb) == live)
                    #expect(Dictionary(uniqueKeysWithValues: report.tables.map { ($0.table, $0.rows) }) == live.mapValues(\.rows))
                    for component in report.components where component.register != "geth_block" {
                        #expect(component.out == live[component.register]?.rows)
                    }
                }
            }
        }

        @Test("it runs beside a live run, and leaves its tables and its state alone")
        func beside() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 140)) { _, port in
                    var place = Workplace(box, "main", port: port)
                    place.start = "\(Chain.first + 100)"
                    let run = try place.startRun("--log-level", "info")
                    try await Surroundings.eventually("the live run's status") {
                        let child = try box.start(["top", "-c", "main.yaml", "--once", "--json"])
                        let isThere = try await child.wait() == .exited(0)
                        return isThere && child.output.contains("\"position\": \(Chain.first + 139)") ? true : nil
                    }
                    let report = try await Self.backtest(box, Chain.blocks(50), "--into", "backtest.duckdb")
                    #expect(report.blocks == 50)
                    #expect(run.poll() == nil)
                    run.send(SIGTERM)
                    #expect(try await run.wait() == .exited(143), "\(run.errors)")
                    try await place.tables(.duckdb).expectWhole((Chain.first + 100)...(Chain.first + 139))
                    try await Workplace(box, "backtest", port: port).tables(.duckdb).expectWhole(Chain.blocks(50))
                }
            }
        }

        @Test("a file that is there, a sink's own file and a range beyond the head are refused")
        func refusals() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 40)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try place.write()
                    let (first, last) = ("\(Chain.first)", "\(Chain.first + 9)")
                    let range = ["backtest", "-c", "main.yaml", "main", "--from", first]
                    func refused(_ arguments: [String], _ code: Int32, _ words: String) async throws {
                        let child = try box.start(range + arguments)
                        #expect(try await child.wait() == .exited(code), "\(child.errors)")
                        #expect(child.errors.contains(words), "\(child.errors)")
                    }
                    try await refused(["--to", last, "--into", "./main.duckdb"], 78, "the sink tables")
                    try Surroundings.write("x", to: box.path("there.duckdb"))
                    try await refused(["--to", last, "--into", "there.duckdb"], 78, "is there already")
                    try await refused(["--to", last, "--into", "x.duckdb", "--discard"], 2, "exclude each other")
                    try await refused(["--to", "30000000"], 78, "beyond the head")
                    try await refused([], 2, "--from and --to")
                }
            }
        }

        @Test("top needs a terminal, or --once")
        func top() async throws {
            try await Sandbox.run { box in
                let place = Workplace(box, "main", port: 1)
                try place.write()
                let child = try box.start(["top", "-c", "main.yaml"])
                #expect(try await child.wait() == .exited(2) && child.errors.contains("--once"), "\(child.errors)")
            }
        }
    }
}
