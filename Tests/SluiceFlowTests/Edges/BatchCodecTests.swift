import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct BatchCodecTests {
    private func decode(_ bytes: [UInt8], with codec: inout BatchCodec) throws(SluiceError) -> Transit {
        let buffer = Buffer(copying: bytes)
        return try codec.decode(buffer.bytes)
    }

    @Test("what is decoded is what was encoded, to the bit, in tables of every type and layout", arguments: 0..<300 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var tables = RandomTables(seed: seed)
        // One codec for all, as an edge has: what it remembers of one batch must not show in another.
        var (encoder, decoder) = (BatchCodec(), BatchCodec())
        for _ in 0..<5 {
            let transit = tables.transit()
            let bytes = encoder.encode(transit)
            let back = try decode(bytes, with: &decoder)
            #expect(facts(back) == facts(transit))
            var fresh = BatchCodec()
            #expect(fresh.encode(back) == bytes, "the same bytes again, from what was decoded")
        }
    }

    @Test("each type, empty, with nulls, constant", arguments: RandomTables.types)
    func types(type: LogicalType) throws {
        var tables = RandomTables(seed: 7)
        var codec = BatchCodec()
        for rows in [0, 1, 7, 8, 9, 64, 65] {
            var columns = (0..<12).map { _ in tables.column(type, rows: rows) } + [.nulls(type, count: rows)]
            if type.width == 8 { columns.append(.constant(-1 as Int64, type: type, count: rows)) }
            if type.width == 32 { columns.append(.constant(UInt256.max, type: type, count: rows)) }
            let fields = columns.indices.map { Field("f\($0)", type, nullable: true, "") }
            let table = Table(schema: Schema(name: "t", key: ["f0"], doc: "", fields: fields), columns: columns, rowCount: rows)
            let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: tables.hash(), timestamp: 5)])
            let transit = Transit.batch(Batch(chainID: 1, span: span, tables: [table]))
            #expect(facts(try decode(codec.encode(transit), with: &codec)) == facts(transit))
        }
    }

    @Test("a schema that changes under its name is the one that comes out")
    func schemaChanges() throws {
        var codec = BatchCodec()
        for doc in ["one", "two", "one"] {
            let schema = Schema(name: "t", key: [], doc: doc, fields: [Field("f", .int64, doc)])
            let table = Table(schema: schema, columns: [.nulls(.int64, count: 2)], rowCount: 2)
            let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: .zero, timestamp: 0)])
            let bytes = codec.encode(.batch(Batch(chainID: 1, span: span, tables: [table])))
            guard case .batch(let back) = try decode(bytes, with: &codec) else {
                Issue.record("no batch")
                return
            }
            #expect(back.tables[0].schema == schema)
        }
    }

    @Test("bytes that end early are refused at every length, and bytes too many")
    func truncated() throws {
        var tables = RandomTables(seed: 11)
        for _ in 0..<10 {
            var codec = BatchCodec()
            let bytes = codec.encode(.batch(tables.batch()))
            for length in 0..<bytes.count {
                var codec = BatchCodec()
                let error = #expect(throws: SluiceError.self) { try decode(Array(bytes[..<length]), with: &codec) }
                #expect(error?.code == .batchMalformed)
            }
            #expect(throws: SluiceError.self) { try decode(bytes + [0], with: &codec) }
        }
    }

    @Test("changed bytes never bring the process down", arguments: 0..<40 as Range<UInt64>)
    func mutated(seed: UInt64) {
        var tables = RandomTables(seed: seed)
        var codec = BatchCodec()
        let bytes = codec.encode(.batch(tables.batch()))
        for _ in 0..<400 {
            var changed = bytes
            for _ in 0..<tables.number(1...4) { changed[tables.number(0...bytes.count - 1)] = UInt8(tables.number(0...255)) }
            // Counts and lengths are where it hurts: all ones in eight bytes somewhere.
            if tables.number(0...3) == 0 {
                let at = tables.number(0...bytes.count - 1)
                for index in at..<min(at + 8, bytes.count) { changed[index] = 0xFF }
            }
            var codec = BatchCodec()
            // Values may change unnoticed here; what comes out must be whole all the same.
            if let transit = try? decode(changed, with: &codec) { #expect(!facts(transit).isEmpty) }
        }
    }

    @Test("another version is refused by name")
    func version() {
        var codec = BatchCodec()
        var bytes = codec.encode(.finalized(1))
        bytes[0] = 2
        let error = #expect(throws: SluiceError.self) { try decode(bytes, with: &codec) }
        #expect(error?.message == "decoding a batch: byte 0: version 2, not 1")
        bytes[0...1] = [1, 9]
        #expect(throws: SluiceError.self) { try decode(bytes, with: &codec) }
    }

    @Test("the checksum is CRC-32C")
    func checksum() {
        func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { CRC32C.checksum($0) } }
        #expect(checksum([]) == 0)
        #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
        // RFC 3720, appendix B.4.
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(checksum(Array(0..<32)) == 0x46DD_794E)
        #expect(checksum((0..<32).reversed()) == 0x113F_DB5C)
    }
}
