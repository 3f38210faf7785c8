import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// What is made at brokers, and what is refused before anything is written.
@Suite(.kafka, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaTopicTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    @Test("topics are made as the options say, and left as they are when they are there")
    func made() async throws {
        let cluster = try Cluster("made")
        let sink = cluster.sink { options in
            options.partitions = 5
            options.retention = .seconds(3600)
            options.cleanup = .both
            options.messageBytes = 2_000_000
        }
        _ = try await sink.open(id, tables: SmallChain.schemas)
        #expect(
            try await cluster.tell("settings", cluster.topic("logs"))
                == "(5, [('cleanup.policy', 'compact,delete'), ('max.message.bytes', '2000000'), ('retention.ms', '3600000')])\n")
        #expect(try await cluster.tell("settings", cluster.topic("positions")) == "(1, [('cleanup.policy', 'compact')])\n")
        _ = try await cluster.sink { $0.partitions = 7 }.open(id, tables: SmallChain.schemas)
        #expect(try await cluster.tell("settings", cluster.topic("logs")).hasPrefix("(5,"))
        await #expect {
            _ = try await cluster.sink {
                $0.topic = "other.{table}"; $0.replication = 3
            }.open(id, tables: SmallChain.schemas)
        } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("there is one broker")
        }
    }

    @Test("a table that joins or leaves, a topic that changes, and a second stream of the same rows are refused")
    func refused() async throws {
        let cluster = try Cluster("shared")
        let stream = try await cluster.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...3))
        _ = try await stream.flush()
        let cases: [(KafkaSink, StreamID, [Schema], String)] = [
            (cluster.sink(), id, [SmallChain.blocks], "no longer asks for table logs"),
            (cluster.sink { $0.topic += ".v2" }, id, SmallChain.schemas, "which topic and topics do not name any more"),
            (cluster.sink(), StreamID(pipeline: "q", chainID: 1), SmallChain.schemas, "as k/p/1 wrote it"),
            (cluster.sink("other"), id, SmallChain.schemas, "as k/p/1 wrote it"),
        ]
        for (sink, id, tables, said) in cases {
            await #expect { _ = try await sink.open(id, tables: tables) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains(said)
            }
        }
        // Another chain may share the topics, and a table may get a column.
        let wider = Schema(
            name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [Field("extra", .json, nullable: true, "")])
        let other = try await cluster.sink().open(StreamID(pipeline: "p", chainID: 2), tables: [SmallChain.blocks, wider])
        _ = try await other.write(SmallChain.batch(1...3, logs: wider, chainID: 2))
        _ = try await other.flush()
        #expect(try await cluster.rows("blocks").rows.count == 6)
        try await other.rollback(to: SmallChain.position(1))
        #expect(try await cluster.rows("blocks").rows.count == 4)
    }

    @Test("what cannot work is one clear error each, without secrets")
    func options() async throws {
        let cluster = try Cluster("options")
        let cases: [((inout KafkaSinkOptions) -> Void, SluiceError.Class, String)] = [
            ({ $0.topic = "all" }, .config, "would share topic all"), ({ $0.topic = "{tabel}" }, .config, "{tabel} is not known"),
            ({ $0.topic = "a b {table}" }, .config, "cannot name a topic"), ({ $0.positionsTopic = "a/b" }, .config, "positions_topic"),
            ({ $0.format = .avro }, .config, "needs a schema_registry"),
            ({ $0.properties = ["no.such.thing": Secret("hunter2")] }, .config, "no.such.thing"),
            ({ $0.properties = ["ssl.key.password": Secret("hunter2"), "linger": Secret("hunter2")] }, .config, "linger"),
            (
                {
                    $0.brokers = "127.0.0.1:1"; $0.timeout = .seconds(1)
                }, .retry, "127.0.0.1:1"
            ),
            (
                {
                    $0.security = "sasl_plaintext"
                    $0.mechanism = "PLAIN"
                    $0.user = "somebody"
                    $0.password = Secret("hunter2")
                    $0.timeout = .seconds(2)
                }, .config, "SASL"
            ),
        ]
        for (adjust, kind, said) in cases {
            await #expect { _ = try await cluster.sink("k", adjust).open(id, tables: SmallChain.schemas) } throws: { error in
                if (error as? SluiceError)?.class != kind || !"\(error)".contains(said) || "\(error)".contains("hunter2") {
                    print("got \(error)")
                }
                return (error as? SluiceError)?.class == kind && "\(error)".contains(said) && !"\(error)".contains("hunter2")
            }
        }
    }

    @Test(
        "names of pipelines, sinks and fields are names, whatever they hold",
        arguments: ["a\"b", "x'; --", "ünï", "a b", "\\", "a/b/c", ","])
    func hostile(_ name: String) async throws {
        let cluster = try Cluster("hostile")
        let id = StreamID(pipeline: name, chainID: .max)
        let table = Schema(
            name: "t", key: ["chain_id", name], doc: "",
            fields: [Field("chain_id", .uint64, ""), Field("block_number", .int64, ""), Field(name, .string, "")])
        let sink = cluster.sink(name)
        let stream = try await sink.open(id, tables: [table])
        var columns = table.fields.map { ColumnBuilder($0.type) }
        columns[0].append(UInt64.max)
        columns[1].append(Int64(1))
        columns[2].append(name)
        let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(1), timestamp: 1)])
        _ = try await stream.write(
            Batch(chainID: .max, span: span, tables: [Table(schema: table, columns: columns.map { $0.finish() }, rowCount: 1)]))
        _ = try await stream.flush()
        await sink.close()
        let again = try await cluster.sink(name).open(id, tables: [table])
        #expect(try await again.coverage() == [Segment(first: 1, last: span.last)])
        #expect(
            try await cluster.text("t") == [
                "[\(UInt64.max),\(name.jsonQuoted)]":
                    "{\"chain_id\":\(UInt64.max),\"block_number\":1,\(name.jsonQuoted):\(name.jsonQuoted)}"
            ])
        try await again.rollback(to: Position(number: 0, hash: .zero))
        #expect(try await again.coverage() == [])
        #expect(try await cluster.text("t") == [:])
    }

    @Test("librdkafka's own mock cluster takes the same records; it makes topics by itself, and knows no isolation")
    func mock() async throws {
        try await Script.serving("mock") { brokers in
            var options = KafkaSinkOptions(brokers: brokers)
            options.topic = "mock.{table}"
            let sink = KafkaSink(options, name: "k")
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...50))
            #expect(try await stream.flush() == SmallChain.position(50))
            try await stream.rollback(to: SmallChain.position(20))
            _ = try await stream.write(SmallChain.batch(21...30, fork: 1, parentFork: 0))
            _ = try await stream.flush()
            await sink.close()
            let again = try await KafkaSink(options, name: "k").open(id, tables: SmallChain.schemas)
            #expect(try await again.coverage() == [Segment(first: 1, last: SmallChain.position(30, fork: 1))])
            let found = try await Script.run(["rows", brokers, "mock.blocks"], as: Standing.self)
            #expect(found.faults == [] && found.undos == 30 && found.inserts == 60)
            let hashes = found.sorted(by: "number").map { $0.value["hash"] ?? nil }
            let expected = (1...30).map { number -> String? in SmallChain.hash(number, fork: number > 20 ? 1 : 0).description }
            #expect(hashes == expected)
        }
    }
}
