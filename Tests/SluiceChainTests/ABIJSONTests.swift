import Foundation
import SluiceChain
import SluiceCore
import Testing

@Suite struct ABIJSONTests {
    private let abi = #"""
        [
          {"type": "constructor", "inputs": [], "stateMutability": "nonpayable"},
          {"type": "function", "name": "transfer", "inputs": [{"name": "to", "type": "Odd"}], "outputs": []},
          {"type": "event", "name": "Transfer", "anonymous": false, "inputs": [
            {"indexed": true, "internalType": "address", "name": "from", "type": "address"},
            {"indexed": true, "name": "to", "type": "address"}, {"indexed": false, "name": "value", "type": "uint256"}]},
          {"inputs": [{"type": "tuple[2][]", "name": "orders", "components": [
            {"type": "address", "name": "owner"}, {"type": "tuple", "name": "", "components": [{"type": "int", "name": "\u0061\n\ud83e\uddf1"}]}]}],
           "name": "Filled", "type": "event", "anonymous": true},
          {"type": "error", "name": "Bad", "inputs": null}, {"name": "old", "inputs": [], "value": [1, -2.5e3, null, "\"\\\/"]}
        ]
        """#

    @Test("the events of a JSON ABI are read, the rest is left out")
    func events() throws {
        let events = try ABIEvent.events(json: abi)
        #expect(events.map(\.signature) == ["Transfer(address,address,uint256)", "Filled((address,(int256))[2][])"])
        #expect(events[0] == (try ABIEvent("event Transfer(address indexed from, address indexed to, uint256 value)")))
        #expect(events[1].isAnonymous && events[1].statesIndexed)
        let order = ABIType.tuple([.init(.address, "owner"), .init(.tuple([.init(.int(256), "a\n🧱")]))])
        #expect(events[1].inputs == [.init(.array(.fixedArray(order, count: 2)), "orders")])
        #expect(try ABIEvent.events(json: #"{"contractName":"X","abi":\#(abi),"bytecode":"0x"}"#) == events)
        #expect(try ABIEvent.events(json: " [] ") == [])
    }

    private static let faulty: [(String, Int, Int, String)] = [
        ("", 1, 1, "no JSON"), ("{}", 1, 1, "neither an array"), ("[1,\n  tru]", 2, 3, "no JSON"), ("[[1, 2]", 1, 8, "']' is missing"),
        ("[] []", 1, 4, "stands behind"), (#"["é", "\x"]"#, 1, 8, "no such escape"), (#"["\ud800"]"#, 1, 3, "no character"),
        (#"["\u12"]"#, 1, 4, "four hex digits"), ("[\"a\nb\"]", 1, 4, "control character"),
        ("[\n {\"type\":\"event\"}]", 2, 2, "no 'name'"), (#"[{"type":"event","name":"E"}]"#, 1, 2, "'inputs' is missing"),
        (#"[{"type":"event","name":"E","inputs":[{"name":"a"}]}]"#, 1, 39, "no 'type'"),
        (#"[{"type":"event","name":"E","inputs":[{"type":"uint257"}]}]"#, 1, 47, "'uint257' is not a type"),
        (#"[{"type":"event","name":"E","inputs":[{"type":"tuple"}]}]"#, 1, 39, "'components' is missing"),
        (#"[{"type":"event","name":"E","inputs":[{"type":"tuple","components":[]}]}]"#, 1, 47, "without members"),
    ]

    @Test("what cannot be read is named with its place", arguments: faulty)
    func faults(text: String, line: Int, column: Int, problem: String) {
        let error = #expect(throws: SluiceError.self) { try ABIEvent.events(json: text) }
        #expect(error?.code == .abiSignature && error?.mend != nil)
        #expect(error?.message.contains("line \(line), column \(column): ") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
    }

    @Test("every cut and every changed character is read or refused, never more")
    func mutations() {
        let text = Array(abi.utf8)
        for at in text.indices {
            for byte in [0, 34, 44, 58, 91, 92, 93, 117, 123, 125, 200] as [UInt8] {
                var changed = text
                changed[at] = byte
                _ = try? ABIEvent.events(json: String(decoding: changed, as: UTF8.self))
            }
            #expect((try? ABIEvent.events(json: String(decoding: text[..<at], as: UTF8.self))) == nil)
        }
        for deep in ["[", "{\"a\":"] {
            #expect((try? ABIEvent.events(json: String(repeating: deep, count: 100_000))) == nil)
        }
    }

    // MARK: - Values as JSON

    private func json(_ values: [ABIValue], _ types: String) throws -> String {
        guard case .tuple(let components) = try ABIType("(\(types))") else { return "" }
        return String(decoding: ABIJSONText.bytes(values, as: components), as: UTF8.self)
    }

    @Test("values are written so that nothing is lost")
    func values() throws {
        let address = try #require(Address(hex: "0x00000000000000000000000000000000000000AB"))
        #expect(
            try json([.uint(.max), .int(Int256(-5)), .bool(false)], "uint256 a, int8 b, bool c")
                == #"{"a":"115792089237316195423570985008687907853269984665640564039457584007913129639935","b":"-5","c":false}"#)
        #expect(
            try json([.address(address), .bytes([]), .fixedBytes([1, 0xff])], "address,bytes,bytes2")
                == #"["0x00000000000000000000000000000000000000ab","0x","0x01ff"]"#)
        #expect(
            try json([.array([.tuple([.bool(true), .string("x")])]), .hash(.zero)], "(bool a, string b)[] l, string h")
                == #"{"l":[{"a":true,"b":"x"}],"h":{"keccak256":"0x\#(String(repeating: "0", count: 64))"}}"#)
        #expect(
            try json([.int(Int256(-5)), .int(Int256(1234)), .uint(.zero)], "fixed a, fixed168x2 b, ufixed8x80 c")
                == #"{"a":"-0.000000000000000005","b":"12.34","c":"0.\#(String(repeating: "0", count: 80))"}"#)
        // Half named and named alike: positions are what is sure.
        #expect(try json([.bool(true), .bool(false)], "bool a, bool") == "[true,false]")
        #expect(try json([.bool(true), .bool(false)], "bool a, bool a") == "[true,false]")
        #expect(try json([.invalidText([0x61, 0xff])], "string s") == #"{"s":{"invalid_utf8":"0x61ff"}}"#)
        #expect(String(decoding: ABIJSONText.bytes([], as: []), as: UTF8.self) == "[]")
    }

    @Test("text of all kinds is read back by another reader")
    func text() throws {
        let text = "\"\\/\u{0}\u{8}\n\r\t\u{1f}\u{7f}\u{80}é🧱\u{2028}"
        let line = try json([.string(text)], "string s")
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        #expect(object == ["s": text])
    }

    @Test("values of all types are JSON", arguments: [1, 2, 3] as [UInt64])
    func drawn(seed: UInt64) throws {
        var random = ABIRandom(seed: seed)
        for _ in 0..<200 {
            let type = random.type()
            let bytes = ABIJSONText.bytes([random.value(type)], as: [ABIComponent(type, "x")])
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(bytes)) }
        }
    }
}
