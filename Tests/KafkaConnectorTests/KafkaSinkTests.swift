import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

// One behind the other: some of them stop the broker for a while.
@Suite(.serialized, .kafka, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// What stands of the chain's first blocks: from 1 to `last`, on a fork from some block on.
    private func expectBlocks(_ cluster: Cluster, upTo last: UInt64, fork: UInt8 = 0, from: UInt64 = .max) async throws {
        let blocks = try await cluster.rows("blocks")
        #expect(blocks.faults == [])
        let found = blocks.sorted(by: "number").map { row in
            ["number", "hash", "base_fee", "timestamp"].map { row.value[$0] ?? nil }
        }
        let expected = (last == 0 ? [] : Array(1...last)).map { number -> [String?] in
            let hash = SmallChain.hash(number, fork: number >= from ? fork : 0)
            return [
                "\(number)", hash.description, number % 2 == 0 ? UInt256.max.description : nil,
                "\((1_700_000_000 + number * 12) * 1_000_000)",
            ]
        }
        #expect(found == expected)
        let logs = try await cluster.rows("logs")
        #expect(logs.faults == [])
        #expect(logs.rows.count == (last == 0 ? [] : Array(1...last)).reduce(0) { $0 + Int($1 % 3) })
        for row in logs.rows {
            #expect(row.headers["block_number"] == row.value["block_number"] ?? nil)
            #expect(row.headers["block_hash"] == row.value["block_hash"] ?? nil)
        }
    }

    @Test("rows and position land together, and a new sink goes on from there", arguments: Broker.available)
    func positionAndRows(_ broker: Broker) async throws {
        let cluster = try Cluster("positions", on: broker)
        let sink = cluster.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        #expect(try await stream.coverage() == [])
        #expect(try await stream.write(SmallChain.batch(1...10)) == nil)
        #expect(try await stream.flush() == SmallChain.position(10))
        #expect(try await stream.write(SmallChain.batch(11...15)) == nil)
        await sink.close()
        // What was not flushed is gone, with its position.
        try await expectBlocks(cluster, upTo: 10)
        let again = cluster.sink()
        let resumed = try await again.open(id, tables: SmallChain.schemas)
        #expect(try await resumed.coverage() == [SmallChain.segment(1...10)])
        _ = try await resumed.write(SmallChain.batch(11...20))
        #expect(try await resumed.finish() == SmallChain.position(20))
        await again.close()
        try await expectBlocks(cluster, upTo: 20)
        let row = try #require(try await cluster.rows("logs").rows.first { $0.headers["block_number"] == "14" })
        let hash = SmallChain.hash(14)
        #expect(row.key == "[1,\"\(hash)\",\((row.value["log_index"] ?? nil) ?? "")]")
        #expect(
            row.headers == [
                "op": "insert", "table": "logs", "producer": "sluice/p", "chain_id": "1", "block_number": "14", "block_hash": "\(hash)",
                "timestamp": "\(1_700_000_000 + 14 * 12)",
            ])
    }

    @Test("a full transaction is committed and reported once; blocks that are there, or do not fit, are refused")
    func thresholds() async throws {
        let cluster = try Cluster("thresholds")
        let stream = try await cluster.sink { $0.commitRows = 20 }.open(id, tables: SmallChain.schemas)
        #expect(try await stream.write(SmallChain.batch(1...6)) == nil)
        #expect(try await stream.write(SmallChain.batch(7...12)) == SmallChain.position(12))
        for bad in [SmallChain.batch(12...13), SmallChain.batch(13...14, fork: 1)] {
            await #expect { _ = try await stream.write(bad) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
        }
        #expect(try await stream.write(SmallChain.batch(13...13)) == nil)
        try await expectBlocks(cluster, upTo: 12)
    }

    @Test(
        "what is orphaned is taken back in one step with the position, held or stored, also by another process", arguments: Broker.available
    )
    func rollback(_ broker: Broker) async throws {
        let cluster = try Cluster("orphans", on: broker)
        let sink = cluster.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...14))
        try await stream.rollback(to: SmallChain.position(12))
        #expect(try await stream.coverage() == [SmallChain.segment(1...12)])
        try await expectBlocks(cluster, upTo: 12)
        #expect(try await cluster.rows("blocks").undos == 0)
        try await stream.rollback(to: SmallChain.position(6))
        _ = try await stream.write(SmallChain.batch(7...9, fork: 1, parentFork: 0))
        #expect(try await stream.flush() == SmallChain.position(9, fork: 1))
        try await expectBlocks(cluster, upTo: 9, fork: 1, from: 7)
        #expect(try await cluster.rows("blocks").undos == 6)
        await sink.close()
        // Back to the branch that was left: its rows come under keys that were taken back before.
        let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [Segment(first: 1, last: SmallChain.position(9, fork: 1))])
        try await again.rollback(to: SmallChain.position(6))
        _ = try await again.write(SmallChain.batch(7...40))
        _ = try await again.flush()
        try await expectBlocks(cluster, upTo: 40)
        _ = try await again.write(SmallChain.batch(41...80))
        _ = try await again.flush()
        try await again.finalized(50)
        _ = try await again.write(SmallChain.batch(81...90))
        _ = try await again.flush()
        try await again.rollback(to: SmallChain.position(66))
        try await expectBlocks(cluster, upTo: 66)
        try await again.rollback(to: SmallChain.position(0))
        #expect(try await again.coverage() == [])
        try await expectBlocks(cluster, upTo: 0)
    }

    @Test("by option a tombstone takes back a row")
    func tombstones() async throws {
        let cluster = try Cluster("tombstones")
        let stream = try await cluster.sink { $0.undo = .tombstone }.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        try await stream.rollback(to: SmallChain.position(4))
        try await expectBlocks(cluster, upTo: 4)
        #expect(try await cluster.rows("blocks").undos == 6)
    }

    @Test("a backfill below what is there is a segment of its own, and becomes one with what it meets; a rollback leaves it alone")
    func segments() async throws {
        let cluster = try Cluster("segments")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(60...80))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(1...20))
        _ = try await stream.flush()
        #expect(try await stream.coverage() == [SmallChain.segment(1...20), SmallChain.segment(60...80)])
        try await stream.rollback(to: SmallChain.position(70))
        #expect(try await stream.coverage() == [SmallChain.segment(1...20), SmallChain.segment(60...70)])
        _ = try await stream.write(SmallChain.batch(21...59))
        _ = try await stream.flush()
        #expect(try await stream.coverage() == [SmallChain.segment(1...70)])
        try await expectBlocks(cluster, upTo: 70)
        try await stream.rollback(to: SmallChain.position(30))
        try await expectBlocks(cluster, upTo: 30)
    }

    @Test("a process that another has taken over from may not write any more, and does not take over in turn", arguments: Broker.available)
    func fenced(_ broker: Broker) async throws {
        let cluster = try Cluster("fenced", on: broker)
        let old = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(1...5))
        _ = try await old.flush()
        let new = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(6...9))
        for _ in 1...2 {
            await #expect { _ = try await old.flush() } throws: {
                ($0 as? SluiceError)?.code == .kafkaFenced && ($0 as? SluiceError)?.class == .config
            }
            await #expect { _ = try await old.coverage() } throws: { ($0 as? SluiceError)?.code == .kafkaFenced }
        }
        _ = try await new.write(SmallChain.batch(6...7))
        #expect(try await new.flush() == SmallChain.position(7))
        try await expectBlocks(cluster, upTo: 7)
    }

    @Test("a position that stands behind what another has not committed yet is waited for: an older one would have rows come twice")
    func openTransaction() async throws {
        let cluster = try Cluster("open")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        let other = try KafkaProducer(cluster.options, transactionalID: "another")
        try other.claim()
        try other.use([cluster.options.positionsTopic])
        try other.begin()
        _ = try other.send(0, partition: 0, key: Array("x/y/9".utf8), value: Array("never committed".utf8), headers: KafkaHeaders([]))
        try other.flush()
        _ = try await stream.write(SmallChain.batch(6...8))
        _ = try await stream.flush()
        let again = Task { try await cluster.sink().open(id, tables: SmallChain.schemas).coverage() }
        try await Task.sleep(for: .milliseconds(500))
        other.abort()
        #expect(try await again.value == [SmallChain.segment(1...8)])
    }

    @Test("brokers that go away for longer than a call may take lose nothing that was said to be stored, and nothing comes twice")
    func brokerGoesAway() async throws {
        let cluster = try Cluster("away")
        let stream = try await cluster.sink { $0.timeout = .seconds(1) }.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(6...8))
        try await cluster.tell("down")
        await #expect { _ = try await stream.flush() } throws: { ($0 as? SluiceError)?.class == .retry }
        // What was held is to be sent again, from where the store stands.
        await #expect { _ = try await stream.write(SmallChain.batch(9...9)) } throws: { ($0 as? SluiceError)?.class == .retry }
        await #expect { _ = try await stream.coverage() } throws: {
            ($0 as? SluiceError)?.class == .retry && "\($0)".contains(cluster.options.brokers)
        }
        try await cluster.tell("up")
        #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
        _ = try await stream.write(SmallChain.batch(6...9))
        #expect(try await stream.flush() == SmallChain.position(9))
        try await expectBlocks(cluster, upTo: 9)
    }

    @Test("brokers that come back in time are not noticed")
    func brokerComesBack() async throws {
        let cluster = try Cluster("back")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(6...2000))
        try await cluster.tell("down")
        async let flushed = stream.flush()
        try await Task.sleep(for: .milliseconds(300))
        try await cluster.tell("up")
        #expect(try await flushed == SmallChain.position(2000))
        try await expectBlocks(cluster, upTo: 2000)
    }

    /// Requests by their number in the protocol, and errors by theirs.
    @Test(
        "errors that pass are waited out, those that end a transaction have it sent again: no row is lost, none is there twice",
        arguments: [
            ("0", "6", "3", true), ("0", "7", "2", true), ("24", "51", "2", true), ("26", "14", "2", true), ("24", "3", "1", nil),
            ("0", "48", "1", false),
            ("26", "48", "1", false), ("0", "2", "1", nil),
        ] as [(String, String, String, Bool?)])
    func requestErrors(_ api: String, _ code: String, _ count: String, _ passes: Bool?) async throws {
        let cluster = try Cluster("errors")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...5))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(6...9))
        try await cluster.tell("fail", api, code, count)
        do {
            #expect(try await stream.flush() == SmallChain.position(9))
            #expect(passes != false)
        } catch let error as SluiceError {
            #expect(passes != true, "\(error)")
            #expect([.retry, .pause].contains(error.class), "\(error)")
            try await cluster.tell("fail", api, "0", "0")
            #expect(try await stream.coverage() == [SmallChain.segment(1...5)])
            _ = try await stream.write(SmallChain.batch(6...9))
            #expect(try await stream.flush() == SmallChain.position(9))
        }
        try await cluster.tell("fail", api, "0", "0")
        try await expectBlocks(cluster, upTo: 9)
    }

    /// 0 is Produce, 22 InitProducerId, 24 AddPartitionsToTxn, 26 EndTxn.
    @Test(
        "a connection that is cut behind a request that was done, before its answer: no row is lost, none is there twice",
        arguments: ["0", "22", "24", "26"], ["1", "2"])
    func cut(_ api: String, _ count: String) async throws {
        let cluster = try Cluster("cut")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...50))
        _ = try await stream.flush()
        try await cluster.tell("cut", api, count)
        if api == "22" {
            let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
            #expect(try await again.coverage() == [SmallChain.segment(1...50)])
            _ = try await again.write(SmallChain.batch(51...90))
            #expect(try await again.flush() == SmallChain.position(90))
        } else {
            _ = try await stream.write(SmallChain.batch(51...90))
            do { #expect(try await stream.flush() == SmallChain.position(90)) } catch let error as SluiceError {
                #expect(error.class == .retry, "\(error)")
                try await cluster.tell("cut", api, "0")
                // It may have happened all the same.
                if try await stream.coverage() == [SmallChain.segment(1...50)] {
                    _ = try await stream.write(SmallChain.batch(51...90))
                    #expect(try await stream.flush() == SmallChain.position(90))
                }
            }
            #expect(try await stream.coverage() == [SmallChain.segment(1...90)])
        }
        try await cluster.tell("cut", api, "0")
        try await expectBlocks(cluster, upTo: 90)
    }
}
