import Foundation
import Glibc
import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// Rows that come to blocks which are there already.
@Suite(.serialized, .kafka, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaAmendTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// The logs that stand, a line a row: block, place, note.
    private func logs(_ cluster: Cluster, registry: String? = nil, chain: String = "1") async throws -> [String] {
        let found = try await cluster.rows("logs", registry: registry)
        #expect(found.faults == [])
        return found.rows.filter { $0.headers["chain_id"] == chain }.map { row in
            ["block_number", "log_index", "note"].compactMap { row.value[$0] ?? nil }.joined(separator: " ")
        }.sorted { Self.order($0) < Self.order($1) }
    }

    private static func order(_ line: String) -> Int {
        let words = line.split(separator: " ").compactMap { Int($0) }
        return words[0] * 10_000 + words[1]
    }

    /// The same of blocks as they are read, with others in the place of some.
    private func expected(_ range: ClosedRange<UInt64>, _ instead: [UInt64: [String]]) -> [String] {
        range.flatMap { number in instead[number] ?? (0..<number % 3).map { "\(number) \($0)" } }
    }

    @Test("rows take the place of those at their places, wherever the block is by then, and no position moves", arguments: Broker.available)
    func amended(_ broker: Broker) async throws {
        let cluster = try Cluster("amended", on: broker)
        let sink = cluster.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...20))
        _ = try await stream.flush()
        // Some that wait.
        _ = try await stream.write(SmallChain.batch(21...22))
        let all = [
            SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3]), SmallChain.amendment(14, places: [1]),
            SmallChain.amendment(22, places: [0]), SmallChain.amendment(8, places: [0, 1], rows: []),
        ]
        try await stream.amend(all)
        #expect(try await stream.coverage() == [SmallChain.segment(1...22)])
        #expect(try await stream.flush() == SmallChain.position(22))
        #expect(try await stream.flush() == nil)
        let now = expected(
            1...22, [5: ["5 0 new", "5 1", "5 7 new"], 6: ["6 3 new"], 14: ["14 0", "14 1 new"], 22: ["22 0 new"], 8: []])
        #expect(try await logs(cluster) == now)
        // Done twice it is done once, and nothing is sent for it.
        let before = try await cluster.rows("logs")
        #expect(before.undos == 4)
        try await stream.amend(all)
        let after = try await cluster.rows("logs")
        #expect(after.inserts == before.inserts && after.undos == before.undos)
        _ = try await stream.write(SmallChain.batch(23...23))
        #expect(try await stream.flush() == SmallChain.position(23))
        await sink.close()
        // By another process, and by other rows it is replaced.
        let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [SmallChain.segment(1...23)])
        try await again.amend([SmallChain.amendment(5, places: [0, 7], rows: [7], note: "other")])
        #expect(try await logs(cluster).filter { $0.hasPrefix("5 ") } == ["5 1", "5 7 other"])
        #expect(try await cluster.rows("blocks").undos == 0)
    }

    @Test("so it is as Avro, and with tombstones")
    func formats() async throws {
        try await Script.serving("registry") { registry in
            let cluster = try Cluster("amended-avro")
            let sink = cluster.sink { options in
                (options.format, options.registry, options.undo) = (.avro, .init(registry), .tombstone)
            }
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            for _ in 1...2 { try await stream.amend([SmallChain.amendment(5, places: [0, 7])]) }
            #expect(try await logs(cluster, registry: registry) == expected(1...10, [5: ["5 0 new", "5 1", "5 7 new"]]))
            let counts = try await cluster.rows("logs", registry: registry)
            #expect(counts.undos == 1 && counts.inserts == 12)
        }
    }

    @Test("a block that is not held, or another of its number, is refused, and nothing is changed or lost by it")
    func refused() async throws {
        let cluster = try Cluster("amend-refused")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        // Another chain in the same topics.
        let other = try await cluster.sink().open(StreamID(pipeline: "p", chainID: 5), tables: SmallChain.schemas)
        _ = try await other.write(SmallChain.batch(1...5, chainID: 5))
        _ = try await other.flush()
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...12))
        let good = SmallChain.amendment(5, places: [0])
        let cases: [(Amendment, SluiceError.Code)] = [
            (SmallChain.amendment(13, places: [0]), .blockNotHeld), (SmallChain.amendment(0, places: [0]), .blockNotHeld),
            // The last of those that wait, one with rows of its own, one without in this table, and one that only waits.
            (SmallChain.amendment(12, places: [0], fork: 1), .blockDiffers), (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
            (SmallChain.amendment(9, places: [0], fork: 1), .blockDiffers), (SmallChain.amendment(11, places: [0], fork: 1), .blockDiffers),
            (SmallChain.amendment(5, places: [0], chainID: 5), .sinkOrder),
        ]
        for (wrong, code) in cases {
            let error = await #expect(throws: SluiceError.self) { try await stream.amend([good, wrong]) }
            #expect(error?.code == code, "\(wrong.block.number): \(String(describing: error))")
            if code != .sinkOrder { #expect(error?.class == .data && error?.message.contains(cluster.topic("logs")) == true) }
        }
        _ = try await stream.write(SmallChain.batch(13...13))
        #expect(try await stream.flush() == SmallChain.position(13))
        try await stream.amend([good])
        #expect(try await logs(cluster) == expected(1...13, [5: ["5 0 new", "5 1"]]))
        #expect(try await logs(cluster, chain: "5") == expected(1...5, [:]))
    }

    @Test("a rollback takes away what was added with its block")
    func rollback() async throws {
        let cluster = try Cluster("amend-rollback")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        try await stream.amend([SmallChain.amendment(6, places: [4]), SmallChain.amendment(9, places: [4])])
        try await stream.rollback(to: SmallChain.position(7))
        #expect(try await logs(cluster) == expected(1...7, [6: ["6 4 new"]]))
        _ = try await stream.write(SmallChain.batch(8...9))
        _ = try await stream.flush()
        #expect(try await logs(cluster) == expected(1...9, [6: ["6 4 new"]]))
    }

    @Test("rows whose records may be deleted already are refused, and those behind them are not")
    func deleted() async throws {
        let cluster = try Cluster("amend-deleted")
        let sink = cluster.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...20))
        _ = try await stream.flush()
        try await cluster.tell("trim", cluster.topic("logs"))
        _ = try await stream.write(SmallChain.batch(21...60))
        _ = try await stream.flush()
        await #expect { try await stream.amend([SmallChain.amendment(5, places: [0])]) } throws: {
            ($0 as? SluiceError)?.code == .kafkaDeleted && ($0 as? SluiceError)?.class == .data && "\($0)".contains(cluster.topic("logs"))
        }
        try await stream.amend([SmallChain.amendment(23, places: [0])])
        let rows = try await logs(cluster)
        #expect(rows == expected(21...60, [23: ["23 0 new", "23 1"]]))
        await sink.close()
        // That is known in another process, too, and when all is final.
        let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
        try await again.finalized(60)
        _ = try await again.write(SmallChain.batch(61...61))
        _ = try await again.flush()
        try await again.amend([SmallChain.amendment(23, places: [0], note: "newer")])
        #expect(try await logs(cluster) == expected(21...61, [23: ["23 0 newer", "23 1"]]))
    }

    /// By what the broker does with requests of a kind: 0 is Produce, 26 EndTxn.
    @Test(
        "an answer that is lost, an error or a broker that goes leaves what was amended, or what was there; done again it is amended",
        arguments: [["cut", "26", "1"], ["cut", "0", "1"], ["fail", "26", "48", "1"], ["fail", "0", "48", "1"], ["down"]])
    func broken(_ told: [String]) async throws {
        let cluster = try Cluster("amend-broken")
        let stream = try await cluster.sink { $0.timeout = .seconds(told == ["down"] ? 1 : 10) }.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...9))
        _ = try await stream.flush()
        let amendment = SmallChain.amendment(5, places: [0, 3])
        let now = expected(1...9, [5: ["5 0 new", "5 1", "5 3 new"]])
        try await cluster.tell(told)
        do { try await stream.amend([amendment]) } catch {
            if told == ["down"] { try await cluster.tell(["up"]) }
            if let own = (error as? SluiceError) { #expect([.retry, .pause].contains(own.class), "\(own)") }
            let between = try await logs(cluster)
            #expect(between == now || between == expected(1...9, [:]))
            #expect(try await stream.coverage() == [SmallChain.segment(1...9)])
            try await stream.amend([amendment])
        }
        #expect(try await logs(cluster) == now)
        try await stream.amend([amendment])
        #expect(try await cluster.rows("logs").undos == 1)
    }

    @Test("a process that is killed leaves what was amended, or what was there")
    func killed() async throws {
        let cluster = try Cluster("amend-killed")
        let sink = cluster.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...90))
        _ = try await stream.flush()
        await sink.close()
        await #expect(processExitsWith: .signal(SIGKILL)) { [options = cluster.words as [String]] in
            let sink = KafkaSink(Cluster.options(of: options), name: "k")
            let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
            try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "first") })
            // Somewhere in the middle of one of those that follow it ends.
            Thread.detachNewThread {
                usleep(60_000)
                kill(getpid(), SIGKILL)
            }
            for round in 0... { try await stream.amend((10...60).map { SmallChain.amendment($0, places: [0, 1, 2], note: "\(round)") }) }
        }
        // What it has left open is ended by whoever opens the stream next.
        let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [SmallChain.segment(1...90)])
        let rows = try await logs(cluster)
        // All of one round.
        let notes = Set(rows.map { $0.split(separator: " ").dropFirst(2).joined() }).subtracting([""])
        let note = try #require(notes.first)
        let instead = (UInt64(10)...60).map { number in (number, (0..<3).map { "\(number) \($0) \(note)" }) }
        #expect(rows == expected(1...90, Dictionary(uniqueKeysWithValues: instead)), "\(notes)")
    }
}
