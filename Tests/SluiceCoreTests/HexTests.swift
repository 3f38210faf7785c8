import SluiceCore
import Testing

@Suite struct HexTests {
    @Test("quantities of 256 bits are read and written")
    func wide() {
        let values: [(String, UInt256)] = [
            ("0x0", .zero), ("0x1", UInt256(1)), ("0xffffffffffffffff", UInt256(.max)),
            ("0x10000000000000000", UInt256(low: 1 << 64)), ("0x100000000000000000000000000000000", UInt256(high: 1, low: 0)),
            ("0x10000000000000000000000000000000f", UInt256(high: 1, low: 15)), ("0x" + String(repeating: "f", count: 64), .max),
        ]
        for (text, value) in values {
            #expect(Hex.wideQuantity(text) == value)
            #expect(Hex.quantity(value) == text)
        }
        var random = SeededRandom(seed: 4)
        for shift in 0..<128 {
            let value = UInt256(high: (UInt128(random.next()) << 64) >> shift, low: UInt128(random.next()) << 64 | UInt128(random.next()))
            #expect(Hex.wideQuantity(Hex.quantity(value)) == value)
        }
        // Leading zeros are no quantity by the book, but some write them.
        #expect(Hex.wideQuantity("0X00fF") == UInt256(255))
        for text in ["", "0x", "1", "0xg", "0x-1", "0x 1", "x1", "0x" + String(repeating: "0", count: 65)] {
            #expect(Hex.wideQuantity(text) == nil, "\(text)")
        }
    }
}
