import SluiceChain
import SluiceCore
import Testing

/// The worked examples of the Solidity ABI specification, word by word.
@Suite struct ABISpecificationTests {
    struct Example: CustomTestStringConvertible {
        let signature: String
        let selector: String
        let values: [ABIValue]
        /// Each as its first or last digits; zeros fill it to a word.
        let words: [String]

        var testDescription: String { signature }

        var data: [UInt8] {
            words.flatMap { word -> [UInt8] in
                let digits = word.filter { $0 != " " }
                let zeros = String(repeating: "0", count: 64 - digits.count)
                return Hex.bytes("0x" + (word.hasSuffix(" ") ? digits + zeros : zeros + digits)) ?? []
            }
        }
    }

    private static func uint(_ value: UInt64) -> ABIValue { .uint(UInt256(value)) }
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    static let examples: [Example] = [
        Example(signature: "baz(uint32,bool)", selector: "cdcd77c0", values: [uint(69), .bool(true)], words: ["45", "1"]),
        Example(
            signature: "bar(bytes3[2])", selector: "fce353f6",
            values: [.array([.fixedBytes(text("abc")), .fixedBytes(text("def"))])], words: ["616263 ", "646566 "]),
        Example(
            signature: "sam(bytes,bool,uint256[])", selector: "a5643bf2",
            values: [.bytes(text("dave")), .bool(true), .array([uint(1), uint(2), uint(3)])],
            words: ["60", "1", "a0", "4", "64617665 ", "3", "1", "2", "3"]),
        Example(
            signature: "f(uint256,uint32[],bytes10,bytes)", selector: "8be65246",
            values: [
                uint(0x123), .array([uint(0x456), uint(0x789)]), .fixedBytes(text("1234567890")), .bytes(text("Hello, world!")),
            ],
            words: ["123", "80", "31323334353637383930 ", "e0", "2", "456", "789", "d", "48656c6c6f2c20776f726c6421 "]),
        Example(
            signature: "g(uint256[][],string[])", selector: "2289b18c",
            values: [
                .array([.array([uint(1), uint(2)]), .array([uint(3)])]), .array([.string("one"), .string("two"), .string("three")]),
            ],
            words: [
                "40", "140", "2", "40", "a0", "2", "1", "2", "1", "3", "3", "60", "a0", "e0", "3", "6f6e65 ", "3", "74776f ", "5",
                "7468726565 ",
            ]),
    ]

    @Test("examples are encoded and decoded word by word", arguments: examples)
    func example(_ example: Example) throws {
        // Bare, because these are functions: what an event reads is the same.
        let event = try ABIEvent(example.signature)
        #expect(event.signature == example.signature)
        #expect(event.topic0.description.hasPrefix("0x" + example.selector))
        let components = event.inputs.map(\.component)
        #expect(Hex.text(try ABIEncoder.encode(example.values, as: components)) == Hex.text(example.data))
        #expect(try ABIDecoder.decode(components, example.data) == example.values)
    }

    @Test("numbers of both signs stand as the specification says")
    func numbers() throws {
        let minusOne = [UInt8](repeating: 0xff, count: 32)
        for bits in [8, 64, 128, 256] {
            #expect(try ABIDecoder.decode([ABIComponent(.int(bits))], minusOne) == [.int(Int256(-1))])
            #expect(throws: SluiceError.self, "uint\(bits)") {
                if bits == 256 { throw SluiceError(.abiMalformed, .data, "all bits fit") }
                _ = try ABIDecoder.decode([ABIComponent(.uint(bits))], minusOne)
            }
        }
        #expect(Int256(-1).description == "-1" && Int256(Int64.min).description == String(Int64.min) && Int256(5).description == "5")
        #expect(Int256.min.description == "-57896044618658097711785492504343953926634992332820282019728792003956564819968")
        #expect(Int256.max.description == "57896044618658097711785492504343953926634992332820282019728792003956564819967")
        #expect(Int256.min < Int256(-1) && Int256(-1) < Int256(0) && Int256(0) < Int256.max)
    }

    @Test(
        "events have the first topics that the chain knows them by",
        arguments: [
            (
                "event Transfer(address indexed from, address indexed to, uint256 value)",
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
            ),
            ("Approval(address,address,uint)", "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"),
            (
                "event PairCreated(address indexed token0, address indexed token1, address pair, uint)",
                "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
            ),
            (
                "Swap(address indexed sender, uint a, uint b, uint c, uint d, address indexed to)",
                "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
            ),
            (
                "event TransferBatch(address indexed, address indexed, address indexed, uint256[] ids, uint256[] values);",
                "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
            ),
            (
                """
                event OrderFulfilled(bytes32 orderHash, address indexed offerer, address indexed zone, address recipient,
                    (uint8 itemType, address token, uint256 identifier, uint256 amount)[] offer,
                    tuple(uint8 itemType, address token, uint256 identifier, uint256 amount, address recipient)[] consideration)
                """, "0x9d9af8e38d66c62e2c12f0225249fd9d721c54b83f48d9352c97c6cacdcb6f31"
            ),
        ])
    func topics(text: String, topic: String) throws { #expect(try ABIEvent(text).topic0.description == topic) }
}
