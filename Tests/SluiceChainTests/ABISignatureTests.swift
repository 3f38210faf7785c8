import SluiceChain
import SluiceCore
import Testing

@Suite struct ABISignatureTests {
    @Test("a declaration says names, types and what is indexed")
    func declaration() throws {
        let event = try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 value)")
        #expect(event.name == "Transfer" && event.signature == "Transfer(address,address,uint256)")
        #expect(
            event.inputs == [
                .init(.address, "from", isIndexed: true), .init(.address, "to", isIndexed: true), .init(.uint(256), "value"),
            ])
        #expect(!event.isAnonymous && event.statesIndexed)
        #expect(event.takes(topics: 3) && !event.takes(topics: 4) && !event.takes(topics: 1))
    }

    @Test("white space, missing names, the missing word and a semicolon change nothing")
    func loose() throws {
        let event = try ABIEvent("event E(uint256[2][] indexed, (address a, bytes32[]) , int256 x) anonymous")
        for text in [
            "  event\tE ( uint [ 2 ] [] indexed ,( address   a,bytes32 []), int x )\nanonymous ;",
            "E(uint[2][] indexed,tuple(address a,bytes32[]),int x)anonymous",
        ] { #expect(try ABIEvent(text) == event) }
        #expect(event.isAnonymous && event.signature == "E(uint256[2][],(address,bytes32[]),int256)")
        #expect(event.takes(topics: 1) && !event.takes(topics: 2))
        #expect(try ABIEvent("event Nothing()").signature == "Nothing()")
        #expect(try ABIEvent("event event(address event)").signature == "event(address)")
        #expect(try ABIEvent("event(address)").name == "event")
    }

    @Test("the text of an event reads as the same event", arguments: 0..<200 as Range<UInt64>)
    func text(seed: UInt64) throws {
        var random = ABIRandom(seed: seed)
        let inputs = (0..<random.below(6)).map { index in
            ABIEvent.Input(random.type(), random.below(3) == 0 ? "" : "a\(index)", isIndexed: index < 3 && random.below(2) == 0)
        }
        let event = try ABIEvent(
            name: ["E", "_1$", "event", "anonymous"][random.below(4)], inputs: inputs, isAnonymous: random.below(4) == 0)
        #expect(try ABIEvent(event.declaration) == event, "\(event.declaration)")
        let bare = try ABIEvent(event.signature)
        #expect(try ABIEvent(bare.declaration) == bare && bare.declaration == event.signature.replacing(",", with: ", "))
    }

    @Test("however it is written, the text of an event is one")
    func oneText() throws {
        for text in [
            "event Transfer(address indexed from, address indexed to, uint256 value)",
            " Transfer ( address indexed from,address indexed to,uint value ) ;",
        ] {
            #expect(
                try ABIEvent(text).declaration == "event Transfer(address indexed from, address indexed to, uint256 value)")
        }
        #expect(try ABIEvent("event E(tuple(uint a, int[2])[] x) anonymous").declaration == "event E((uint256 a, int256[2])[] x) anonymous")
    }

    @Test("a bare signature does not tell what is indexed")
    func bare() throws {
        let event = try ABIEvent("Transfer(address,address,uint256)")
        let declared = try ABIEvent("event Transfer(address,address,uint256)")
        #expect(!event.statesIndexed && declared.statesIndexed && event.topic0 == declared.topic0)
        #expect((0...5).filter { event.takes(topics: $0) } == [1, 2, 3, 4])
        let words = (1...3).map { UInt256(UInt64($0)).bigEndianBytes }
        let topics = [event.topic0] + words.compactMap { Hash32($0) }
        let values = (1...3).map { Address([UInt8](repeating: 0, count: 19) + [$0]) ?? .zero }
        let expected: [ABIValue] = [.address(values[0]), .address(values[1]), .uint(UInt256(3))]
        #expect(try event.decode((Array(topics.prefix(1)), words.flatMap { $0 })) == expected)
        #expect(try event.decode((topics, [])) == expected)
        #expect(try event.decode((Array(topics.prefix(3)), words[2])) == nil)
        #expect(throws: SluiceError.self) { try event.decode((topics, [0])) }
    }

    private static let faulty: [(String, Int, String)] = [
        ("", 1, "the name of an event is missing"), ("event ", 7, "the name of an event is missing"), ("event 1(uint)", 7, "the name"),
        ("event E", 8, "'(' is missing"), ("event E(", 9, "a type is missing"), ("event E(uint256", 16, "')' is missing"),
        ("event E(uint256,)", 17, "a type is missing"), ("event E(uint256 a b)", 19, "')' is missing or a comma"),
        ("event E(address from uint256)", 22, "')' is missing or a comma"), ("event E(uint257)", 9, "'uint257' is not a type"),
        ("event E(uint08 a)", 9, "'uint08' is not a type"), ("event E(int0)", 9, "multiples of 8"),
        ("E(address, uint512 x)", 12, "uint512"),
        ("event E(bytes33 x)", 9, "bytes1 to bytes32"), ("event E(bytes0)", 9, "'bytes0'"),
        ("event E(IERC20 token)", 9, "address for a contract"),
        ("event E(fixed128x81 x)", 9, "'fixed128x81' is not a type"), ("event E(ufixed7x1)", 9, "write ufixed128x18"),
        ("event E(fixed128)", 9, "is not a type"), ("event E(ufixed08x1)", 9, "is not a type"), ("event E(fixed8x1x1)", 9, "is not a type"),
        ("event E(uint[0] x)", 14, "cannot have 0 elements"), ("event E(uint[99999999999999999999])", 14, "cannot have"),
        ("event E(uint[-1])", 14, "']' is missing"), ("event E(uint[2)", 15, "']' is missing"),
        ("event E(uint[60000][60000] x)", 9, "larger than any log"), ("event E(())", 10, "a type is missing"),
        ("event E((uint indexed a) b)", 15, "a member of a tuple is indexed"), ("event E(uint) virtual", 15, "only 'anonymous'"),
        ("event E(uint) anonymous x", 25, "stands behind the event"), ("event E(uint); event F()", 16, "one event only"),
        ("event É(uint)", 7, "the name of an event is missing"), ("event E(uint é)", 14, "')' is missing or a comma"),
    ]

    @Test("what cannot be read is named with its column and what mends it", arguments: faulty)
    func faults(text: String, column: Int, problem: String) {
        let error = #expect(throws: SluiceError.self) { try ABIEvent(text) }
        #expect(error?.code == .abiSignature && error?.class == .config && error?.mend != nil)
        #expect(error?.message.contains("column \(column): ") == true, "\(error?.message ?? "")")
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }

    @Test("more indexed arguments than a log holds are refused")
    func tooManyIndexed() throws {
        let four = "event E(uint indexed a, uint indexed b, uint indexed c, uint indexed d)"
        #expect(throws: SluiceError.self) { try ABIEvent(four) }
        #expect(try ABIEvent(four + " anonymous").takes(topics: 4))
        #expect(throws: SluiceError.self) { try ABIEvent(name: "E", inputs: [.init(.uint(7))]) }
        #expect(throws: SluiceError.self) { try ABIEvent(name: "E", inputs: [.init(.fixedArray(.bool, count: -1))]) }
    }

    @Test("texts that nest for ever or never end are refused, and nothing crashes")
    func bombs() throws {
        for text in [
            "event E(" + String(repeating: "(", count: 50_000), "event E(uint" + String(repeating: "[]", count: 30_000) + ")",
            "event E(" + String(repeating: "(uint,", count: 10_000), "event E(uint" + String(repeating: "[9]", count: 30) + ")",
            String(repeating: " ", count: 100_000), String(repeating: "e", count: 70_000),
        ] { #expect(throws: SluiceError.self) { try ABIEvent(text) } }
        #expect(try ABIType(String(repeating: "(", count: 31) + "uint" + String(repeating: ")", count: 31)).name.count == 62 + 7)
    }

    @Test("every cut and every changed character is read or refused, never more")
    func mutations() throws {
        let text = Array("event E(uint256[2][] indexed, tuple(address a, bytes32[]) b, int256 x) anonymous;".utf8)
        var read = 0
        for at in text.indices {
            for byte in [0, 9, 32, 40, 41, 44, 48, 57, 91, 93, 95, 120, 127, 200] as [UInt8] {
                var changed = text
                changed[at] = byte
                if (try? ABIEvent(String(decoding: changed, as: UTF8.self))) != nil { read += 1 }
            }
            _ = try? ABIEvent(String(decoding: text[..<at], as: UTF8.self))
        }
        #expect(read > 50)
    }

    @Test("names of types are read back as they were", arguments: [1, 2, 3, 4] as [UInt64])
    func names(seed: UInt64) throws {
        var random = ABIRandom(seed: seed)
        for _ in 0..<100 {
            let type = random.type()
            #expect(try ABIType(type.name).name == type.name)
        }
    }
}
