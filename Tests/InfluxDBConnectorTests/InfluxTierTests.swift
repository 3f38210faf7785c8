import Glibc
import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import InfluxDBConnector

/// Sums of rows that are kept longer than those.
@Suite(.influxdb, .enabled(if: TestServices.hasInfluxDB, "InfluxDB is not installed")) struct InfluxTierTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    private let tiers = [
        InfluxTier(name: "warm", retention: .seconds(365 * 86_400), every: .seconds(300)),
        InfluxTier(name: "cold", retention: .seconds(1825 * 86_400), every: .seconds(3600), functions: [.mean, .count]),
    ]
    /// An hour that began three days ago.
    private static let hour: UInt64 = {
        var spec = timespec()
        clock_gettime(CLOCK_REALTIME, &spec)
        return (UInt64(spec.tv_sec) - 3 * 86_400) / 3600 * 3600
    }()

    private func adjust(_ options: inout InfluxSinkOptions) {
        options.interface = .database(options.shown, retentionPolicy: "hot")
        options.retention = .seconds(30 * 86_400)
        options.tiers = tiers
        options.addsFloats = true
        options.tables = ["blocks": InfluxTableOptions(rollup: ["number", "base_fee"]), "logs": InfluxTableOptions(rollup: ["log_index"])]
    }

    private func sink(_ server: Server, _ more: (inout InfluxSinkOptions) -> Void = { _ in }) -> InfluxSink {
        server.sink {
            $0.shown = server.database
            adjust(&$0)
            more(&$0)
        }
    }

    /// Block n is 12 n seconds behind the hour.
    private func batch(_ range: ClosedRange<UInt64>, fork: UInt8 = 0, parentFork: UInt8? = nil) -> Batch {
        SmallChain.batch(range, fork: fork, parentFork: parentFork, start: Self.hour)
    }

    /// What the sums of block numbers are to be, window by window.
    private func expect(_ server: Server, _ blocks: [UInt64], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for (name, seconds) in [("warm", UInt64(300)), ("cold", 3600)] {
            let columns = name == "warm" ? "number_mean, number_min, number_max, number_last" : "number_mean, number_count"
            let rows = try await server.ask("SELECT \(columns) FROM \(name).blocks_\(name) WHERE chain_id = '1'")
            let found = rows.map { row in
                [row["time"] as? Int64 ?? -1]
                    + columns.split(separator: ", ").map { name in
                        (row["\(name)"] as? Double).map { Int64($0 * 1000) } ?? (row["\(name)"] as? Int64 ?? -1) * 1000
                    }
            }
            let windows = Dictionary(grouping: blocks) { (Self.hour + $0 * 12) / seconds * seconds }.sorted { $0.key < $1.key }
            let expected = windows.map { start, own -> [Int64] in
                let mean = Int64(own.reduce(0, +) * 1000 / UInt64(own.count))
                let rest = name == "warm" ? [own.min() ?? 0, own.max() ?? 0, own.max() ?? 0] : [UInt64(own.count)]
                return [Int64(start) * 1_000_000_000, mean] + rest.map { Int64($0) * 1000 }
            }
            #expect(found == expected, "\(name)", sourceLocation: sourceLocation)
        }
    }

    private func durations(_ server: Server) async throws -> [String] {
        try await server.ask("SHOW RETENTION POLICIES ON \(server.database)").map { "\($0["name"] ?? "") \($0["duration"] ?? "")" }.sorted()
    }

    private func queries(_ server: Server) async throws -> [String: String] {
        let found = try await server.ask("SHOW CONTINUOUS QUERIES").filter { "\($0["query"] ?? "")".contains(" ON \(server.database) ") }
        return Dictionary(found.map { ("\($0["name"] ?? "")", "\($0["query"] ?? "")") }, uniquingKeysWith: { first, _ in first })
    }

    @Test("policies and continuous queries are made once, changed when the configuration is, and read back from the server")
    func prepared() async throws {
        let server = try Server("tiers_prepared")
        _ = try await sink(server).open(id, tables: SmallChain.schemas)
        #expect(try await durations(server) == ["autogen 0s", "cold 43800h0m0s", "hot 720h0m0s", "warm 8760h0m0s"])
        let made = try await queries(server)
        #expect(made.keys.sorted() == ["sluice_blocks_cold", "sluice_blocks_warm", "sluice_logs_cold", "sluice_logs_warm"])
        #expect(
            made["sluice_blocks_cold"]
                == "CREATE CONTINUOUS QUERY sluice_blocks_cold ON tiers_prepared RESAMPLE FOR 2h BEGIN SELECT mean(number) AS number_mean, "
                + "count(number) AS number_count, mean(base_fee_float) AS base_fee_float_mean, count(base_fee_float) AS base_fee_float_count "
                + "INTO tiers_prepared.cold.blocks_cold FROM tiers_prepared.hot.blocks GROUP BY time(1h), * END")
        // Again: what is as it should be is known as such by the server's own words.
        for tier in tiers {
            for (table, fields) in [("blocks", ["number", "base_fee_float"]), ("logs", ["log_index"])] {
                let wanted = InfluxRollup(tier: tier, measurement: table, fields: fields).continuousQuery("tiers_prepared", "hot")
                #expect(InfluxRollup.isSame(try #require(made[wanted.name]), wanted.statement))
            }
        }
        _ = try await sink(server).open(id, tables: SmallChain.schemas)
        #expect(try await queries(server) == made)
        // Changed.
        _ = try await sink(server) {
            $0.retention = .seconds(40 * 86_400)
            $0.tiers[0].every = .seconds(600)
        }.open(id, tables: SmallChain.schemas)
        #expect(try await durations(server).contains("hot 960h0m0s"))
        let changed = try await queries(server)
        #expect(changed.count == 4 && changed["sluice_blocks_warm"]?.contains("time(10m)") == true)
        #expect(changed["sluice_blocks_cold"] == made["sluice_blocks_cold"])
    }

    @Test("sums of the past are made by the sink, window by window as they become whole, and at the end of a run as they are")
    func history() async throws {
        let server = try Server("tiers_history")
        let stream = try await sink(server).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(batch(1...60))
        _ = try await stream.flush()
        // Two windows are whole; block 60 is 720 seconds in. The hour is not.
        let early = try await server.ask("SELECT number_max FROM warm.blocks_warm")
        #expect(early.compactMap { $0["number_max"] as? Int64 } == [24, 49])
        #expect(try await server.ask("SELECT * FROM cold.blocks_cold").isEmpty)
        // Another process goes on: the window that was not whole gets the rows of both.
        let again = try await sink(server).open(id, tables: SmallChain.schemas)
        _ = try await again.write(batch(61...401))
        _ = try await again.flush()
        #expect(try await again.finish() == nil)
        try await expect(server, Array(1...401))
        let fees = try await server.ask("SELECT base_fee_float_count FROM cold.blocks_cold")
        #expect(fees.compactMap { $0["base_fee_float_count"] as? Int64 } == [149, 51])
        let logs = try await server.ask("SELECT log_index_max FROM warm.logs_warm")
        #expect(logs.count == 17 && logs.allSatisfy { $0["log_index_max"] as? Int64 == 1 })
    }

    @Test("after a rollback, and after an amendment, the sums are those of the rows that are there")
    func undone() async throws {
        let server = try Server("tiers_undone")
        let stream = try await sink(server).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(batch(1...100))
        _ = try await stream.finish()
        try await expect(server, Array(1...100))
        try await stream.rollback(to: SmallChain.position(60))
        try await expect(server, Array(1...60))
        _ = try await stream.write(batch(61...80, fork: 1, parentFork: 0))
        _ = try await stream.finish()
        try await expect(server, Array(1...80))
        try await stream.amend([SmallChain.amendment(5, places: [9], start: Self.hour)])
        let logs = try await server.ask("SELECT log_index_max FROM warm.logs_warm")
        #expect(logs.compactMap { $0["log_index_max"] as? Int64 } == [9, 1, 1, 1])
    }

    @Test("what cannot be summed up is one clear error each")
    func refusals() async throws {
        let server = try Server("tiers_refused")
        let cases: [([String], Bool, String)] = [
            (["nothing"], true, "rollup of table blocks names nothing, which is no field of it"),
            (["base_fee"], false, "which is stored as text so that no digit is lost (set float_fields: true"),
            (["hash"], true, "names hash, which is a bytes(32), no number"),
        ]
        for (names, addsFloats, said) in cases {
            let sink = sink(server) {
                $0.tables["blocks"] = InfluxTableOptions(rollup: names)
                $0.addsFloats = addsFloats
            }
            await #expect { _ = try await sink.open(id, tables: SmallChain.schemas) } throws: {
                ($0 as? SluiceError)?.class == .config && "\($0)".contains(said)
            }
        }
    }
}

/// Windows and statements, without a server; and those of version 2 against one that records what it is asked: there is no InfluxDB 2 to test with.
@Suite struct InfluxTierTextTests {
    @Test("touched windows are whole windows, those that touch become one, and are taken when time has gone on")
    func windows() {
        var windows = InfluxWindows(seconds: 300)
        windows.touch(10...20)
        windows.touch(1000...1300)
        windows.touch(299...300)
        #expect(windows.touched == [0..<600, 900..<1500])
        #expect(windows.take(before: 299) == [])
        #expect(windows.take(before: 1250) == [0..<600, 900..<1200])
        #expect(windows.touched == [1200..<1500])
        #expect(windows.take(before: nil) == [1200..<1500] && windows.touched == [])
        windows.touch(-5...(-1))
        #expect(windows.touched == [-300..<0])
    }

    @Test("durations are shown as InfluxDB shows them, and read back")
    func durations() {
        let shown = [(1, "1s"), (90, "90s"), (300, "5m"), (3600, "1h"), (86_400, "1d"), (604_800, "1w"), (30 * 86_400, "30d")]
        for (seconds, text) in shown { #expect(InfluxRollup.text(seconds: Int64(seconds)) == text) }
        #expect(InfluxServer.seconds("720h0m0s") == 2_592_000 && InfluxServer.seconds("0s") == 0 && InfluxServer.seconds("1h30m5s") == 5405)
        #expect(InfluxServer.seconds("inf") == nil && InfluxServer.seconds("5") == nil)
    }

    @Test("names with quotes, dots and spaces stay names")
    func quoting() {
        let tier = InfluxTier(name: "wa\"rm", retention: .seconds(3600), every: .seconds(60), functions: [.sum])
        let rollup = InfluxRollup(tier: tier, measurement: "p.b", fields: ["a b"])
        #expect(
            rollup.pass("d\"b", nil, [("chain_id", "1'")], 60..<120)
                == #"SELECT sum("a b") AS "a b_sum" INTO "d\"b"."wa\"rm"."p.b_wa\"rm" FROM "d\"b".."p.b" WHERE time >= 60s AND time < 120s AND "chain_id" = '1\'' GROUP BY time(1m), *"#
        )
    }
}
