import SluiceCore
import SluiceFormats
import Testing

/// Blocks in ClickHouse's format Native, byte by byte.
@Suite struct NativeBlockTests {
    private static let schema = Schema(
        name: "t", key: [], doc: "",
        fields: [Field("n", .uint64, ""), Field("s", .string, nullable: true, ""), Field("w", .uint256, "")])

    private func table(_ rows: [(UInt64, String?, UInt256)]) -> Table {
        var columns = Self.schema.fields.map { ColumnBuilder($0.type) }
        for (number, text, wide) in rows {
            columns[0].append(number)
            if let text { columns[1].append(text) } else { columns[1].appendNull() }
            columns[2].append(wide)
        }
        return Table(schema: Self.schema, columns: columns.map { $0.finish() }, rowCount: rows.count)
    }

    private let targets = [
        NativeBlock.Target(field: 1, name: "s", type: "String", isNullable: true, encoding: .string),
        NativeBlock.Target(field: 0, name: "n", type: "UInt64", isNullable: false, encoding: .plain),
    ]

    @Test("several tables are one block, each column in a piece, in the order of the targets")
    func block() {
        let bytes = NativeBlock.encode(
            [table([(1, "ab", .zero)]), table([]), table([(258, nil, .zero), (3, "", .zero)])], as: targets,
            constants: [.uint8("d", 1), .uint64("v", 515)])
        var expected: [UInt8] = [4, 3, 1] + Array("s".utf8) + [16] + Array("Nullable(String)".utf8)
        expected += [0, 1, 0, 2] + Array("ab".utf8) + [0, 0]
        expected +=
            [1] + Array("n".utf8) + [6] + Array("UInt64".utf8) + [1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
        expected += [1] + Array("d".utf8) + [5] + Array("UInt8".utf8) + [1, 1, 1]
        expected += [1] + Array("v".utf8) + [6] + Array("UInt64".utf8)
        for _ in 0..<3 { expected += [3, 2, 0, 0, 0, 0, 0, 0] }
        #expect(bytes == expected)
    }

    @Test("a block ends behind the table by which it has rows enough")
    func blocks() {
        let number = [targets[1]]
        let (one, two, three) = (table([(1, "a", .zero)]), table([(2, nil, .zero), (3, "", .zero)]), table([(4, "b", .zero)]))
        let apart = NativeBlock.encode([one, table([]), two], as: number) + NativeBlock.encode([three], as: number)
        #expect(NativeBlock.encode([one, table([]), two, three], as: number, rowsPerBlock: 3) == apart)
        let each = [one, two, three].flatMap { NativeBlock.encode([$0], as: number) }
        #expect(NativeBlock.encode([table([]), one, two, table([]), three, table([])], as: number, rowsPerBlock: 1) == each)
    }

    @Test("nothing is no block; a slice begins where it begins; lengths of more than a byte; numbers the other way round")
    func edges() {
        #expect(NativeBlock.encode([], as: targets) == [])
        #expect(NativeBlock.encode([table([])], as: targets) == [])
        let long = String(repeating: "x", count: 300)
        let whole = table([(1, "first", .zero), (2, long, .max), (3, "", UInt256(high: 1, low: 2))])
        let tail = Table(schema: Self.schema, columns: whole.columns.map { $0.slice(1..<3) }, rowCount: 2)
        let text = NativeBlock.encode([tail], as: [targets[0]])
        let head: [UInt8] = [1, 2, 1] + Array("s".utf8) + [16] + Array("Nullable(String)".utf8)
        #expect(text == head + [0, 0, 0xAC, 0x02] + Array(long.utf8) + [0])
        let wide = NativeBlock.encode(
            [tail], as: [NativeBlock.Target(field: 2, name: "w", type: "FixedString(32)", isNullable: false, encoding: .bigEndian)])
        #expect(Array(wide.suffix(64)) == UInt256.max.bigEndianBytes + UInt256(high: 1, low: 2).bigEndianBytes)
    }
}
