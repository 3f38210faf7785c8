import SluiceChain
import SluiceCore
import Testing

@Suite struct RLPTests {
    private func encoded(_ body: (inout RLP) -> Void) -> String {
        var rlp = RLP()
        body(&rlp)
        return Hex.text(rlp.bytes)
    }

    @Test(
        "strings take the shortest prefix",
        arguments: [
            ("", "0x80"), ("\0", "0x00"), ("\u{7f}", "0x7f"), ("dog", "0x83646f67"),
            (
                "Lorem ipsum dolor sit amet, consectetur adipisicing elit",
                "0xb8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c6974"
            ),
        ])
    func strings(text: String, expected: String) {
        #expect(encoded { $0.append(bytes: Array(text.utf8)) } == expected)
    }

    @Test("a byte of 0x80 or more is not its own encoding")
    func highByte() {
        #expect(encoded { $0.append(bytes: [0x80]) } == "0x8180")
        #expect(encoded { $0.append(bytes: [0xff]) } == "0x81ff")
    }

    @Test(
        "integers have no leading zeros",
        arguments: [
            (UInt64(0), "0x80"), (1, "0x01"), (127, "0x7f"), (128, "0x8180"), (256, "0x820100"), (1024, "0x820400"),
            (0xFF_FFFF, "0x83ffffff"), (.max, "0x88ffffffffffffffff"),
        ])
    func integers(value: UInt64, expected: String) {
        #expect(encoded { $0.append(integer: value) } == expected)
        #expect(encoded { $0.append(integer: UInt128(value)) } == expected)
        #expect(encoded { $0.append(integer: UInt256(value)) } == expected)
        #expect(encoded { $0.append(bigEndian: UInt256(value).bigEndianBytes) } == expected)
    }

    @Test("integers of more than 64 bits keep every byte")
    func wide() {
        #expect(encoded { $0.append(integer: UInt128(1) << 64) } == "0x89010000000000000000")
        #expect(encoded { $0.append(integer: UInt256(high: 1, low: 2)) } == "0x9101" + String(repeating: "00", count: 15) + "02")
        #expect(encoded { $0.append(integer: UInt256.max) } == "0xa0" + String(repeating: "ff", count: 32))
    }

    @Test("lists nest")
    func lists() {
        #expect(encoded { $0.list { _ in } } == "0xc0")
        #expect(
            encoded {
                $0.list {
                    $0.append(bytes: Array("cat".utf8)); $0.append(bytes: Array("dog".utf8))
                }
            } == "0xc88363617483646f67")
        // The set-theoretic three: [ [], [[]], [ [], [[]] ] ].
        #expect(
            encoded {
                $0.list {
                    $0.list { _ in }
                    $0.list { $0.list { _ in } }
                    $0.list {
                        $0.list { _ in }; $0.list { $0.list { _ in } }
                    }
                }
            } == "0xc7c0c1c0c3c0c1c0")
    }

    @Test(
        "the prefix grows with the length of what it covers",
        arguments: [
            (55, "b7", "f7"), (56, "b838", "f838"), (255, "b8ff", "f8ff"), (256, "b90100", "f90100"), (65_535, "b9ffff", "f9ffff"),
            (65_536, "ba010000", "fa010000"),
        ])
    func longPrefixes(count: Int, string: String, list: String) {
        let payload = [UInt8](repeating: 0x2a, count: count)
        let body = String(repeating: "2a", count: count)
        #expect(encoded { $0.append(bytes: payload) } == "0x" + string + body)
        #expect(encoded { rlp in rlp.list { list in payload.forEach { list.append(integer: UInt64($0)) } } } == "0x" + list + body)
    }

    @Test("what stands before a list stays in front of it, and the builder can be used again")
    func typedAndReused() {
        var rlp = RLP(capacity: 64)
        rlp.append(encoded: [0x02])
        rlp.list { $0.append(hash: .zero) }
        #expect(Hex.text(rlp.bytes) == "0x02e1a0" + String(repeating: "00", count: 32))
        rlp.removeAll()
        rlp.appendEmpty()
        #expect(rlp.bytes == [0x80])
    }
}
