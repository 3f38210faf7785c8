import SluiceCore
import SluiceFormats
import Testing

/// Text of values, by what the library of the language says of the same.
@Suite struct TextRowsTests {
    @Test("bytes of every value and of every length are their digits")
    func hex() {
        let digits = Array("0123456789abcdef")
        for count in 0...80 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count &* 11) }
            var column = ColumnBuilder(.bytes)
            column.append(bytes: bytes)
            let schema = Schema(name: "t", key: [], doc: "", fields: [Field("b", .bytes, "")])
            var text = TextRows(.csv)
            text.append(Table(schema: schema, columns: [column.finish()], rowCount: 1), rows: 0..<1)
            let expected = "0x" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "\n"
            #expect(text.take { String(decoding: $0, as: UTF8.self) } == expected)
        }
    }

    @Test("numbers around every power of ten are their digits")
    func numbers() {
        var text = TextRows(.csv)
        var power: [UInt64] = [0, 9, UInt64.max, UInt64.max - 1]
        var next: UInt64 = 1
        for _ in 0..<20 {
            power += [next &- 1, next, next &+ 1]
            next = next &* 10
        }
        for number in power {
            text.number(number)
            #expect(text.take { String(decoding: $0, as: UTF8.self) } == "\(number)")
        }
    }
}
