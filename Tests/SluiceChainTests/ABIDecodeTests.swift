import SluiceChain
import SluiceCore
import Testing

@Suite struct ABIDecodeTests {
    private func word(_ value: UInt64) -> [UInt8] { UInt256(value).bigEndianBytes }
    private func words(_ values: UInt64...) -> [UInt8] { values.flatMap(word) }

    @Test("what is encoded is decoded again", arguments: Array(1...8) as [UInt64])
    func roundTrip(seed: UInt64) throws {
        var random = ABIRandom(seed: seed)
        for _ in 0..<150 {
            let (event, values) = try random.event()
            let log = try event.encode(values)
            #expect(log.data.count % 32 == 0 && event.takes(topics: log.topics.count))
            #expect(try event.decode(log) == event.logged(values), "\(event.signature)")
        }
    }

    @Test("every flipped byte is decoded or refused, and a cut never gives other values", arguments: [1, 2, 3] as [UInt64])
    func mutations(seed: UInt64) throws {
        var random = ABIRandom(seed: seed)
        var (decoded, refused) = (0, 0)
        for _ in 0..<25 {
            let (event, values) = try random.event()
            let log = try event.encode(values)
            let expected = try event.logged(values)
            func attempt(_ topics: [Hash32], _ data: [UInt8]) throws -> [ABIValue]? {
                do {
                    let values = try event.decode((topics, data))
                    decoded += 1
                    return values
                } catch let error as SluiceError {
                    #expect(error.code == .abiMalformed && error.class == .deadLetter)
                    refused += 1
                    return nil
                }
            }
            for at in log.data.indices {
                for flip in [1, 0x80, 0xff] as [UInt8] {
                    var data = log.data
                    data[at] ^= flip
                    _ = try attempt(log.topics, data)
                }
                if let values = try attempt(log.topics, Array(log.data[..<at])) { #expect(values == expected) }
            }
            for place in log.topics.indices {
                for at in 0..<32 {
                    var bytes = log.topics[place].bytes
                    bytes[at] ^= 0x41
                    var topics = log.topics
                    topics[place] = Hash32(bytes) ?? .zero
                    _ = try attempt(topics, log.data)
                }
            }
            _ = try attempt(Array(log.topics.dropLast()), log.data)
            _ = try attempt(log.topics + [.zero], log.data)
        }
        #expect(decoded > 1000 && refused > 1000, "\(decoded) decoded, \(refused) refused")
    }

    private static let dirty: [(String, [(Int, UInt8)])] = [
        ("address", [(0, 1), (11, 0x80)]), ("bool", [(0, 1), (30, 1), (31, 2)]), ("uint8", [(30, 1), (0, 1)]), ("uint248", [(0, 1)]),
        ("int8", [(30, 1), (31, 0x80)]), ("int248", [(0, 0xff), (1, 0x80)]), ("bytes1", [(1, 1), (31, 1)]), ("bytes31", [(31, 1)]),
        ("function", [(24, 1), (31, 1)]),
    ]

    @Test("value types must be padded as the specification says", arguments: dirty)
    func padding(type: String, dirt: [(Int, UInt8)]) throws {
        let event = try ABIEvent("event E(\(type) indexed topic, \(type) data)")
        let clean = [UInt8](repeating: 0, count: 32)
        #expect(try event.decode(([event.topic0, .zero], clean)) != nil)
        for (at, byte) in dirt {
            var dirty = clean
            dirty[at] = byte
            let inData = #expect(throws: SluiceError.self) { try event.decode(([event.topic0, .zero], dirty)) }
            #expect(inData?.message.contains(": argument data: ") == true)
            let inTopic = #expect(throws: SluiceError.self) { try event.decode(([event.topic0, Hash32(dirty) ?? .zero], clean)) }
            #expect(inTopic?.message.contains(": argument topic: ") == true)
        }
    }

    @Test("offsets and lengths that lie are refused")
    func lies() throws {
        let huge = [UInt8](repeating: 0xff, count: 32)
        let almost = UInt256(UInt64(Int64.max)).bigEndianBytes
        let cases: [(String, [UInt8], String)] = [
            ("bytes", [], "its head at byte 0"), ("bytes", word(0), "into the head"), ("bytes", word(31) + word(0), "into the head"),
            ("bytes", word(32), "a word at byte 32"), ("bytes", word(33) + word(0), "a word at byte 33"), ("bytes", huge, "behind the end"),
            ("bytes", almost + word(0), "behind the end"), ("bytes", words(32, 1), "larger than the rest"),
            ("bytes", word(32) + almost, "larger than the rest"), ("string", word(32) + huge, "larger than the rest"),
            ("uint8[]", words(32, 1), "an array of 1 elements"), ("uint8[]", word(32) + almost, "larger than the data"),
            ("uint8[]", word(32) + UInt256(low: 1 << 64).bigEndianBytes, "larger than the data"),
            ("uint8[]", words(32, 31), "an array of 31 elements"), ("uint256[65536]", words(1, 2), "its head"),
            ("string[]", words(32, 1, 0), "argument a[0]: the offset 0 points into the head"),
            ("uint8[][]", words(32, 2, 64, 96, 0, 1, 256), "argument a[1][0]: the number does not fit uint8"),
            ("(uint8 b, string c)", words(32, 1, 64, 9), "argument a.c: a length"),
        ]
        for (type, data, problem) in cases {
            let components = [ABIComponent(try ABIType(type), "a")]
            let error = #expect(throws: SluiceError.self, "\(type)") { try ABIDecoder.decode(components, data) }
            #expect(error?.message.contains(problem) == true, "\(type): \(error?.message ?? "")")
        }
        // Types that no parser gives, in sizes that no memory has.
        for type in [ABIType.fixedArray(.fixedArray(.uint(8), count: .max), count: .max), .fixedArray(.string, count: .max), .tuple([])] {
            let array = ABIType.array(type)
            #expect(throws: SluiceError.self) { try ABIDecoder.decode([ABIComponent(array)], word(32) + almost) }
        }
        #expect(throws: SluiceError.self) {
            try ABIDecoder.decode([ABIComponent(.fixedArray(.tuple([]), count: .max))], [UInt8](repeating: 0, count: 64))
        }
        #expect(try ABIDecoder.decode([ABIComponent(.uint(0)), ABIComponent(.fixedBytes(0))], words(1, 0)).count == 2)
    }

    @Test("data behind fixed arguments is refused; behind text dirt and nothing are taken")
    func behind() throws {
        let fixed = try ABIEvent("event E(uint256 a)")
        #expect(try fixed.decode(([fixed.topic0], word(5))) != nil)
        #expect(throws: SluiceError.self) { try fixed.decode(([fixed.topic0], word(5) + [0])) }
        let text = try ABIEvent("event E(string a)")
        let short = words(32, 2) + Array("ab".utf8)
        for tail in [[], [0xff], [UInt8](repeating: 0, count: 30), [UInt8](repeating: 7, count: 90)] {
            #expect(try text.decode(([text.topic0], short + tail)) == [.string("ab")])
        }
    }

    @Test("tails may be shared, but not without end")
    func shared() throws {
        let twice: [ABIComponent] = [ABIComponent(.string), ABIComponent(.string)]
        #expect(try ABIDecoder.decode(twice, words(64, 64, 1) + [0x61]) == [.string("a"), .string("a")])
        // Each level points a hundred times at the next one.
        var type = ABIType.array(.uint(256))
        var data = word(100) + [UInt8](repeating: 0, count: 3200)
        for _ in 0..<6 {
            type = .array(type)
            data = word(100) + (0..<100).flatMap { _ in word(3200) } + data
        }
        let bomb = word(32) + data
        let components = [ABIComponent(type)]
        let start = ContinuousClock.now
        let error = #expect(throws: SluiceError.self) { try ABIDecoder.decode(components, bomb) }
        #expect(error?.message.contains("too often") == true)
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("indexed arguments that are no values are kept as their hash")
    func hashes() throws {
        let event = try ABIEvent("event Named(string indexed name, uint256[] indexed list, bytes data)")
        let log = try event.encode([.string("sluice"), .array([.uint(UInt256(1)), .uint(UInt256(2))]), .bytes([7])])
        #expect(log.topics == [event.topic0, Keccak256.hash("sluice"), Keccak256.hash(words(1, 2))])
        #expect(
            try event.decode(log) == [.hash(Keccak256.hash("sluice")), .hash(Keccak256.hash(words(1, 2))), .bytes([7])])
    }

    @Test("values that are not of their type are not encoded")
    func misfits() throws {
        let cases: [(String, ABIValue)] = [
            ("uint8", .uint(UInt256(256))), ("int8", .int(Int256(128))), ("int8", .int(Int256(-129))), ("bool", .uint(.zero)),
            ("bytes3", .fixedBytes([1])),
            ("function", .function([1])), ("uint8[2]", .array([])), ("(uint8,bool)", .tuple([.bool(true)])), ("string", .bytes([])),
        ]
        for (type, value) in cases {
            let components = [ABIComponent(try ABIType(type))]
            #expect(throws: SluiceError.self, "\(type)") { try ABIEncoder.encode([value], as: components) }
        }
        #expect(throws: SluiceError.self) { try ABIEvent("event E(uint8)").encode([]) }
    }
}
