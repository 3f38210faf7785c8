import SluiceCore
import SluiceTestKit
import Testing

@Suite struct AmendmentTests {
    /// The logs of a batch as (block, place, note).
    private func logs(_ batch: Batch?) -> [String] {
        guard let table = batch?.table("logs"), let numbers = table.column("block_number"), let places = table.column("log_index"),
            let notes = table.column("note")
        else { return [] }
        return (0..<table.rowCount).map { row in
            let note = notes.isNull(row) ? "-" : String(decoding: notes.bytes(row), as: UTF8.self)
            return "\(numbers.load(row, as: UInt64.self)).\(places.load(row, as: UInt64.self)) \(note)"
        }
    }

    /// Blocks 4 to 8 have 1, 2, 0, 1 and 2 logs.
    private let batch = SmallChain.batch(4...8)

    @Test(
        "rows take the place of what is there, in the order of blocks and places, and nothing else changes",
        arguments: [
            (5, [0], [0], ["4.0 -", "5.0 new", "5.1 -", "7.0 -", "8.0 -", "8.1 -"]),
            (5, [1, 4], [1, 4], ["4.0 -", "5.0 -", "5.1 new", "5.4 new", "7.0 -", "8.0 -", "8.1 -"]),
            (5, [0, 1], [], ["4.0 -", "7.0 -", "8.0 -", "8.1 -"]),
            (6, [3], [3], ["4.0 -", "5.0 -", "5.1 -", "6.3 new", "7.0 -", "8.0 -", "8.1 -"]),
            (4, [0], [0], ["4.0 new", "5.0 -", "5.1 -", "7.0 -", "8.0 -", "8.1 -"]),
            (8, [0, 1, 2], [1, 2], ["4.0 -", "5.0 -", "5.1 -", "7.0 -", "8.1 new", "8.2 new"]),
        ] as [(UInt64, Set<UInt64>, Set<UInt64>, [String])])
    func rows(_ number: UInt64, _ places: Set<UInt64>, _ rows: Set<UInt64>, _ expected: [String]) {
        let amendment = SmallChain.amendment(number, places: places, rows: rows)
        let once = batch.amended(by: amendment)
        #expect(logs(once) == expected)
        #expect(logs(once?.amended(by: amendment)) == expected)
        #expect(once?.span == batch.span)
        #expect(once?.table("blocks")?.rowCount == 5)
        // Cut in two it is the same: rows stay in the order of blocks.
        if number < 8 { #expect(logs(once?.through(block: number)) + logs(once?.behind(block: number)) == expected) }
    }

    @Test("a batch that does not hold that very block is left alone; a table that it does not carry is added")
    func other() {
        for number in [3, 9] as [UInt64] { #expect(batch.amended(by: SmallChain.amendment(number, places: [0])) == nil) }
        #expect(batch.amended(by: SmallChain.amendment(5, places: [0], fork: 1)) == nil)
        let bare = Batch(chainID: 1, span: batch.span, tables: [batch.tables[0]])
        #expect(logs(bare.amended(by: SmallChain.amendment(5, places: [0, 1]))) == ["5.0 new", "5.1 new"])
    }

    @Test("the hash of a row's own block is told by the column that goes with its number")
    func hash() {
        func schema(_ fields: (String, LogicalType)...) -> Schema {
            Schema(name: "t", key: [], doc: "", fields: fields.map { Field($0.0, $0.1, "") })
        }
        #expect(SmallChain.blocks.blockHashField == "hash" && SmallChain.logs.blockHashField == "block_hash")
        #expect(schema(("block_number", .int64), ("hash", .fixedBytes(32))).blockHashField == nil)
        #expect(schema(("block_number", .int64), ("block_hash", .string)).blockHashField == nil)
        #expect(schema(("number", .int64), ("block_hash", .fixedBytes(32))).blockHashField == nil)
    }

    @Test("coverage tells whether a block is held, and of the last of a segment which")
    func held() {
        let coverage = Coverage([SmallChain.segment(10...20), SmallChain.segment(30...40)])
        func code(_ number: UInt64, fork: UInt8 = 0) -> SluiceError.Code? {
            do throws(SluiceError) {
                try coverage.require(SmallChain.position(number, fork: fork), in: "x.duckdb")
                return nil
            } catch {
                #expect(error.class == .data && error.message.contains("x.duckdb") && error.message.contains("\(number)"))
                return error.code
            }
        }
        #expect([10, 15, 20, 30, 40].allSatisfy { code($0) == nil })
        #expect([9, 21, 25, 29, 41].allSatisfy { code($0) == .blockNotHeld })
        #expect(code(20, fork: 1) == .blockDiffers && code(40, fork: 1) == .blockDiffers)
        // Deeper down numbers are all that is known.
        #expect(code(15, fork: 1) == nil)
    }
}
