import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// Rows that cannot be records, or that brokers do not take: they are told, and everything else lands.
@Suite(.serialized, .kafka, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaRefusalTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    private static let large = Array(String(repeating: "x", count: 3000).utf8)
    private static let cursed = Array("cursed".utf8)

    /// What makes rows bad: the name of it, what is done to the broker, the text, and the code that is told.
    enum Poison: String, CaseIterable, CustomTestStringConvertible {
        case tooLargeForUs, tooLargeForTopic, refusedByTopic, noText

        var testDescription: String { rawValue }
        var note: [UInt8] {
            switch self {
            case .tooLargeForUs, .tooLargeForTopic: large
            case .refusedByTopic: cursed
            case .noText: [0x61, 0xFF, 0x62]
            }
        }
        var code: SluiceError.Code {
            switch self {
            case .tooLargeForUs, .tooLargeForTopic: .kafkaTooLarge
            case .refusedByTopic, .noText: .kafkaRow
            }
        }
        var words: String {
            switch self {
            case .tooLargeForUs, .tooLargeForTopic: "msg_size_too_large"
            case .refusedByTopic: "invalid_record"
            case .noText: "note is not UTF-8"
            }
        }
    }

    /// Blocks whose logs have notes, some of them bad: by their place among the batch's.
    private func batch(_ range: ClosedRange<UInt64>, bad: [Int], _ note: [UInt8]) -> Batch {
        let good = SmallChain.batch(range)
        var columns = good.tables[1].columns
        var notes = ColumnBuilder(.string)
        for row in 0..<good.tables[1].rowCount { bad.contains(row) ? notes.append(bytes: note) : notes.append("fine") }
        columns[6] = notes.finish()
        return Batch(
            chainID: 1, span: good.span,
            tables: [good.tables[0], Table(schema: SmallChain.logs, columns: columns, rowCount: good.tables[1].rowCount)])
    }

    /// Block and name of the logs of some blocks, in order.
    private func names(_ range: ClosedRange<UInt64>) -> [String] { range.flatMap { block in (0..<block % 3).map { "\(block) log \($0)" } } }

    private func standing(_ cluster: Cluster) async throws -> Set<String> {
        let found = try await cluster.rows("logs")
        #expect(found.faults == [])
        for row in found.rows { #expect(row.value["note"] == "fine") }
        return Set(found.rows.map { row in "\((row.value["block_number"] ?? nil) ?? "") log \((row.value["log_index"] ?? nil) ?? "")" })
    }

    private func sink(_ cluster: Cluster, _ poison: Poison, _ adjust: (inout KafkaSinkOptions) -> Void = { _ in }) -> KafkaSink {
        cluster.sink { options in
            options.compression = "none"
            if poison == .tooLargeForUs { options.messageBytes = 2000 }
            adjust(&options)
        }
    }

    private func prepare(_ cluster: Cluster, _ poison: Poison) async throws {
        switch poison {
        case .tooLargeForTopic: try await cluster.tell("limit", cluster.topic("logs"), "2000")
        case .refusedByTopic: try await cluster.tell("refuse", cluster.topic("logs"), "cursed")
        case .tooLargeForUs, .noText: break
        }
    }

    /// Flushes until nothing is refused any more; returns what was, in the order in which it was told.
    private func flushed(_ stream: any SinkStream, _ position: Position?) async throws -> [RefusedRow] {
        var refused: [RefusedRow] = []
        for _ in 0..<30 {
            do {
                #expect(try await stream.flush() == position)
                return refused
            } catch let refusal as RowsRefused { refused += refusal.rows }
        }
        Issue.record("there is no end of refusals")
        return refused
    }

    @Test(
        "bad rows at the first, a middle and the last place, and several at once, are told with the reason; the others and the position land",
        arguments: Poison.allCases, [[0], [9], [20], [0, 9, 10, 20]])
    func places(_ poison: Poison, _ bad: [Int]) async throws {
        let cluster = try Cluster("poison")
        let sink = sink(cluster, poison)
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        try await prepare(cluster, poison)
        let names = names(1...20)
        #expect(names.count == 21)
        _ = try await stream.write(batch(1...20, bad: bad, poison.note))
        var refused: [RefusedRow] = []
        do {
            _ = try await stream.flush()
            Issue.record("nothing was refused")
        } catch let refusal as RowsRefused { refused = refusal.rows }
        // Nothing is there before they are kept.
        #expect(try await standing(cluster).isEmpty)
        #expect(try await cluster.rows("blocks").rows.isEmpty)
        // What was taken is held, without those.
        #expect(try await stream.coverage() == [SmallChain.segment(1...20)])
        refused += try await flushed(stream, SmallChain.position(20))
        #expect(Set(refused.map { "\($0.block.number) \($0.row)" }) == Set(bad.map { names[$0] }) && refused.count == bad.count)
        for row in refused {
            #expect(row.table == "logs" && row.reason == poison.code.rawValue && row.block.hash == SmallChain.hash(row.block.number))
            #expect(row.message.contains(poison.words) && row.message.contains("logs, of block \(row.block.number)"), "\(row.message)")
            #expect(row.payload.contains("\"note\":\""))
        }
        #expect(try await stream.coverage() == [SmallChain.segment(1...20)])
        #expect(try await standing(cluster) == Set(names).subtracting(bad.map { names[$0] }))
        #expect(try await cluster.rows("blocks").rows.count == 20)
        // It goes on.
        _ = try await stream.write(batch(21...22, bad: [], []))
        #expect(try await stream.flush() == SmallChain.position(22))
        await sink.close()
        let again = try await cluster.sink().open(id, tables: SmallChain.schemas)
        #expect(try await again.coverage() == [SmallChain.segment(1...22)])
    }

    @Test("out of write, which has taken its batch, too")
    func write() async throws {
        let cluster = try Cluster("poison-write")
        let stream = try await sink(cluster, .noText) { $0.commitRows = 20 }.open(id, tables: SmallChain.schemas)
        await #expect(throws: RowsRefused.self) { try await stream.write(batch(1...20, bad: [3], Poison.noText.note)) }
        #expect(try await stream.flush() == SmallChain.position(20))
        let names = names(1...20)
        #expect(try await standing(cluster) == Set(names).subtracting([names[3]]))
    }

    @Test("a topic that takes less in one batch than we send gets smaller batches: no row is refused for the company that it is in")
    func company() async throws {
        let cluster = try Cluster("poison-company")
        let stream = try await sink(cluster, .noText).open(id, tables: SmallChain.schemas)
        try await cluster.tell("limit", cluster.topic("logs"), "4000")
        _ = try await stream.write(batch(1...200, bad: [], []))
        #expect(try await stream.flush() == SmallChain.position(200))
        _ = try await stream.write(batch(201...300, bad: [20], Self.large + Self.large))
        let refused = try await flushed(stream, SmallChain.position(300))
        let names = names(201...300)
        #expect(refused.map { "\($0.block.number) \($0.row)" } == [names[20]])
        #expect(try await standing(cluster) == Set(self.names(1...300)).subtracting([names[20]]))
    }

    @Test("what is held is told out of a rollback, before anything is taken back; then the rollback happens")
    func rollback() async throws {
        let cluster = try Cluster("poison-rollback")
        let stream = try await sink(cluster, .noText).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(batch(101...110, bad: [], []))
        _ = try await stream.flush()
        // Held: a part below, and one that goes with the rollback.
        _ = try await stream.write(batch(1...10, bad: [2], Poison.noText.note))
        _ = try await stream.write(batch(111...115, bad: [1], Poison.noText.note))
        await #expect(throws: RowsRefused.self) { try await stream.rollback(to: SmallChain.position(105)) }
        #expect(try await standing(cluster) == Set(names(101...110)))
        try await stream.rollback(to: SmallChain.position(105))
        #expect(try await stream.coverage() == [SmallChain.segment(1...10), SmallChain.segment(101...105)])
        #expect(try await standing(cluster) == Set(names(1...10) + names(101...105)).subtracting([names(1...10)[2]]))
    }

    @Test("rows of an amendment are told, and nothing is changed; without them it is made", arguments: Poison.allCases)
    func amendment(_ poison: Poison) async throws {
        let cluster = try Cluster("poison-amend")
        let stream = try await sink(cluster, poison).open(id, tables: SmallChain.schemas)
        _ = try await stream.write(batch(1...9, bad: [], []))
        _ = try await stream.flush()
        try await prepare(cluster, poison)
        let good = SmallChain.amendment(5, places: [0, 4, 7], note: "fine")
        var columns = good.rows.columns
        var notes = ColumnBuilder(.string)
        for row in 0..<3 { row == 1 ? notes.append(bytes: poison.note) : notes.append("fine") }
        columns[6] = notes.finish()
        let bad = Amendment(
            chainID: 1, block: good.block, timestamp: good.timestamp, column: good.column, places: good.places,
            rows: Table(schema: SmallChain.logs, columns: columns, rowCount: 3))
        var refused: [RefusedRow] = []
        do { try await stream.amend([bad]) } catch let refusal as RowsRefused { refused = refusal.rows }
        #expect(refused.map(\.row) == ["log 4"] && refused.map(\.block) == [SmallChain.position(5)])
        #expect(try await standing(cluster) == Set(names(1...9)))
        try await stream.amend([bad.without(refused)])
        #expect(try await standing(cluster) == Set(names(1...9) + ["5 log 7"]))
        _ = try await stream.write(batch(10...10, bad: [], []))
        #expect(try await stream.flush() == SmallChain.position(10))
    }

    @Test("what JSON or Avro cannot hold is told by field", arguments: ["json", "avro"])
    func formats(_ format: String) async throws {
        try await Script.serving("registry") { registry in
            let cluster = try Cluster("poison-\(format)")
            let schema = Schema(
                name: "t", key: ["chain_id", "number"], doc: "",
                fields: [
                    Field("chain_id", .int64, ""), Field("number", .int64, ""), Field("text", .string, ""), Field("sum", .decimal, ""),
                    Field("extra", .json, ""),
                ])
            let stream = try await cluster.sink { options in
                (options.format, options.registry) = (format == "avro" ? .avro : .json, Secret(registry))
            }.open(id, tables: [schema])
            var columns = schema.fields.map { ColumnBuilder($0.type) }
            let rows: [(text: [UInt8], sum: Int128, extra: String)] = [
                ([0xC3], 1, "{}"), (Array("good".utf8), -1, "[1]"), (Array("sum".utf8), .max, "{}"), (Array("extra".utf8), 1, "{\"a\":}"),
                (Array("good".utf8), .min / 10, "null"),
            ]
            for (number, row) in rows.enumerated() {
                columns[0].append(Int64(1))
                columns[1].append(Int64(number))
                columns[2].append(bytes: row.text)
                columns[3].append(row.sum)
                columns[4].append(row.extra)
            }
            let span = Span(
                first: 0, parentHash: .zero, blocks: (0..<5).map { BlockStamp(hash: SmallChain.hash($0), timestamp: 1) })
            _ = try await stream.write(
                Batch(chainID: 1, span: span, tables: [Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: rows.count)]))
            let refused = try await flushed(stream, span.last)
            // JSON writes numbers of any length, Avro texts of any kind.
            let faults =
                format == "json"
                ? [(0, "text is not UTF-8"), (3, "extra is not JSON")] : [(0, "text is not UTF-8"), (2, "sum has more than 38 digits")]
            #expect(refused.map(\.block.number) == faults.map { UInt64($0.0) })
            for (row, fault) in zip(refused, faults) { #expect(row.message.contains(fault.1), "\(row.message)") }
            let standing = try await cluster.rows("t", registry: format == "avro" ? registry : nil)
            #expect(
                Set(standing.rows.compactMap { $0.value["number"] ?? nil })
                    == Set(["0", "1", "2", "3", "4"]).subtracting(faults.map { "\($0.0)" }))
        }
    }
}
