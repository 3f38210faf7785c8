import SluiceCore
import Testing

@testable import KafkaConnector

@Suite struct PayloadTests {
    private func isJSON(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { PayloadText.isJSON($0) } }

    @Test(
        "what is JSON by its grammar is found to be",
        arguments: [
            "null", " true ", "0", "-0.5e+10", "12E3", "\"\"", "\"a\\n\\u00e9\\ud83d\\ude00\"", "[]", "[ ]", "{}",
            "{\"a\":1,\"a\":[{\"b\":null}]}",
            "\t[1,\r\n2]", "\"\u{e4}\"",
        ])
    func whole(_ text: String) { #expect(isJSON(text)) }

    @Test(
        "what is not, is not; neither is what a store could not take",
        arguments: [
            "", " ", "nul", "truee", "01", "1.", ".5", "+1", "1e", "-", "\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\u0000\"",
            "\"\\ud83d\"",
            "\"\\ude00\"", "\"\\ud83d\\u0041\"", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "[", "]", "1 2",
            "'a'",
            "NaN", String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
        ])
    func broken(_ text: String) { #expect(!isJSON(text)) }

    @Test("depth is bounded, and bytes that are no UTF-8 or hold a zero are no text")
    func bounds() {
        #expect(isJSON(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)))
        for bytes: [UInt8] in [[0xFF], [0xC3], [0x61, 0], [0xED, 0xA0, 0x80], [0x22, 0xFF, 0x22]] {
            #expect(!bytes.withUnsafeBytes { PayloadText.isText($0) })
            #expect(!bytes.withUnsafeBytes { PayloadText.isJSON($0) })
        }
        #expect([UInt8]().withUnsafeBytes { PayloadText.isText($0) })
    }

    @Test("headers keep their order, doubled names, and what is no text")
    func headers() {
        let text = PayloadText.headers([
            (Array("a".utf8), Array("1".utf8)), (Array("a".utf8), nil), (Array("b\"".utf8), [0xFF, 0]), ([0xFF], []),
        ])
        #expect(
            text
                == "[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"a\",\"value\":null},{\"key\":\"b\\\"\",\"hex\":\"0xff00\"},{\"key\":\"0xff\",\"value\":\"\"}]"
        )
        #expect(isJSON(text))
    }
}

@Suite struct RecordRowsTests {
    private let part = SourcePart(name: "t/3", number: 3, chainID: MadeChain.id(["n", "t", "3"]))

    private func record(_ offset: Int64, time: Int64? = 1_700_000_000_123, value: [UInt8]?, _ rows: inout RecordRows) {
        (value ?? []).withUnsafeBytes { bytes in
            rows.add(
                SourceRecord(
                    offset: offset, time: time, clock: time == nil ? nil : .create, key: nil, value: value == nil ? nil : bytes, headers: []
                ))
        }
    }

    @Test("a batch covers all offsets, whether there are records or not, and its parent is known")
    func holes() throws {
        var rows = RecordRows(part, topic: "t", payload: .json, first: 10)
        record(12, value: Array("{}".utf8), &rows)
        record(15, value: nil, &rows)
        rows.cover(through: 19)
        rows.cover(through: 3)
        #expect(rows.end == 20)
        let batch = try #require(rows.finish())
        #expect(batch.span.first == 10 && batch.span.count == 10 && batch.rowCount == 2)
        #expect(batch.span.parentHash == MadeChain.hash(part.chainID, 9))
        #expect(batch.span.last == BlockRef(number: 19, hash: MadeChain.hash(part.chainID, 19)))
        #expect(batch.span.lastTimestamp == 1_700_000_000)
        let table = try #require(batch.table("kafka_records"))
        #expect(table.unexpectedNull == nil)
        #expect(table.schema.blockNumberField == "record_offset")
        #expect(table.column("record_offset")?.load(1, as: Int64.self) == 15)
        #expect(table.column("timestamp")?.load(0, as: Int64.self) == 1_700_000_000_123_000)
        #expect(table.column("value")?.isNull(1) == true && table.column("value")?.isNull(0) == false)
        // Cut between any two, it is two batches that follow each other.
        #expect(batch.behind(block: 12).span.parentHash == batch.through(block: 12).span.last.hash)
        #expect(batch.behind(block: 12).rowCount == 1)
    }

    @Test("a batch of no record at offset 0, and one of nothing")
    func edges() throws {
        var rows = RecordRows(part, topic: "t", payload: .json, first: 0)
        rows.cover(through: 0)
        let batch = try #require(rows.finish())
        #expect(batch.span.parentHash == MadeChain.hash(part.chainID, -1) && batch.rowCount == 0)
        #expect(RecordRows(part, topic: "t", payload: .json, first: 0).finish() == nil)
    }

    @Test("values go where they are asked for", arguments: [KafkaSourceOptions.Payload.bytes, .text, .json])
    func payloads(_ payload: KafkaSourceOptions.Payload) throws {
        var rows = RecordRows(part, topic: "t", payload: payload, first: 0)
        for (offset, value) in ["{}", "plain"].enumerated() { record(Int64(offset), value: Array(value.utf8), &rows) }
        record(2, value: [0xFF], &rows)
        let table = try #require(rows.finish()?.table("kafka_records"))
        func isThere(_ column: String) -> [Bool] { (0..<3).map { table.column(column)?.isNull($0) == false } }
        #expect(isThere("value") == [true, true, true])
        #expect(
            isThere("value_text")
                == (payload == .bytes ? [false, false, false] : payload == .text ? [true, true, false] : [false, true, false]))
        #expect(isThere("value_json") == (payload == .json ? [true, false, false] : [false, false, false]))
    }

    @Test("times that no store takes are none", arguments: [nil, Int64.max, Int64.min, 253_402_300_800_000])
    func times(_ time: Int64?) throws {
        var rows = RecordRows(part, topic: "t", payload: .bytes, first: 0)
        record(0, time: time, value: [1], &rows)
        let batch = try #require(rows.finish())
        #expect(batch.tables[0].column("timestamp")?.load(0, as: Int64.self) == 0)
        #expect(batch.tables[0].column("timestamp_type")?.isNull(0) == true)
        #expect(batch.span.lastTimestamp == 0)
    }

    @Test("batches end at the same offsets, whoever begins where")
    func borders() {
        #expect(PartitionOracle.border(behind: 0, every: 64) == 63)
        #expect(PartitionOracle.border(behind: 63, every: 64) == 63)
        #expect(PartitionOracle.border(behind: 64, every: 64) == 127)
        #expect(PartitionOracle.border(behind: 5, every: 1) == 5)
        #expect(PartitionOracle.border(behind: .max, every: 64) == .max)
    }
}
