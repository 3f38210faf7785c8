import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// What is pure: names of topics, positions as text, and the marks in them.
@Suite struct PositionRecordTests {
    @Test("topics are named as those of the first users were")
    func topics() throws {
        let stream = StreamID(pipeline: "main", chainID: 43_114)
        let standard = KafkaSinkOptions(brokers: "").topic
        for (table, name) in [
            ("blocks", "avalanche.blocks.43114"), ("transactions", "avalanche.transactions.43114"), ("logs", "avalanche.logs.43114"),
            ("erc20_transfers", "avalanche.erc20.43114"), ("erc1155_transfers", "avalanche.erc1155.43114"),
            ("_transfers", "avalanche._transfers.43114"),
        ] { #expect(try TopicName.make(standard, table: table, stream: stream) == name) }
        #expect(try TopicName.make("{pipeline}-{table}", table: "logs", stream: StreamID(pipeline: "p", chainID: 1)) == "p-logs")
        for bad in ["", "{table", "{Table}", "a/{table}", "..", String(repeating: "a", count: 250), "{table}\u{0}", "ü"] {
            #expect(throws: SluiceError.self) { try TopicName.make(bad, table: "", stream: stream) }
        }
    }

    @Test("a record comes out of its text as it went in; anything else is refused")
    func text() throws {
        var record = PositionRecord(chainID: .max)
        #expect(try PositionRecord(record.text, at: "here") == record)
        record.coverage = Coverage([SmallChain.segment(1...5), SmallChain.segment(9...(1 << 60))])
        record.tables = ["a\"b", "ü"]
        record.topics = ["x.y"]
        record.mark(1 << 61, offsets: ["x.y": [0, 1, .max], "z": []])
        #expect(try PositionRecord(record.text, at: "here") == record)
        for bad in [
            "", "{}", "nothing", record.text + "x", "{\"version\":2" + record.text.dropFirst("{\"version\":1".count),
            String(record.text.dropLast(3)),
        ] {
            #expect { try PositionRecord(bad, at: "here") } throws: {
                ($0 as? SluiceError)?.code == .kafkaPosition && ($0 as? SluiceError)?.class == .pause
            }
        }
    }

    /// The rule by which rows are found again: none of a block, or of one behind it, stands before the offset that is told for that block.
    @Test(
        "whatever is written, rolled back and final, no row stands before the offsets that are told for its block",
        arguments: 1...40 as ClosedRange<UInt64>)
    func marks(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var record = PositionRecord(chainID: 1)
        var rows: [UInt64: Int64] = [:]
        var end: Int64 = 0
        var (final, next) = (UInt64(0), UInt64(1000))
        for step in 0..<400 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<7:
                let last = next + UInt64.random(in: 0...30, using: &random)
                record.mark(next, offsets: ["t": [end]])
                for block in next...last {
                    rows[block] = end
                    end += 1
                }
                next = last + 1
            case 7:
                final = max(final, next > 40 ? next - 40 : 0)
            default:
                let to = UInt64.random(in: max(final, 1000, next - min(next, 30))...max(final, 1000, next - 1), using: &random)
                for block in rows.keys where block > to { rows[block] = nil }
                next = to + 1
            }
            // A part further down is filled for once, when there is much above it.
            if step == 200 { for block in UInt64(1)...50 { rows[block] = end } }
            record.coverage = Coverage([SmallChain.segment(1000...max(1000, next - 1))])
            #expect(record.marks.count <= PositionRecord.mostMarks)
            guard step % 10 == 0 else { continue }
            var least = Int64.max
            for (block, offset) in rows.sorted(by: { $0.key > $1.key }) {
                least = min(least, offset)
                let told = record.offsets(from: block)["t"]?.first ?? 0
                #expect(told <= least, "block \(block): told \(told), but a row stands at \(least)")
            }
        }
        #expect(record.marks.count > 1)
    }
}
