import Foundation
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// What writes values, without brokers.
@Suite struct RecordBytesTests {
    private func written(_ body: (inout RecordBytes) -> Void) -> String {
        // So small that it must grow.
        var bytes = RecordBytes(capacity: 1)
        body(&bytes)
        return String(decoding: bytes.bytes, as: UTF8.self)
    }

    @Test("numbers come out in their digits", arguments: 1...4 as ClosedRange<UInt64>)
    func digits(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var powers: [UInt64] = [0, .max]
        var power: UInt64 = 1
        for _ in 0..<20 {
            powers += [power &- 1, power, power &+ 1]
            power = power &* 10
        }
        for number in powers + (0..<500).map({ _ in random.next() >> UInt64.random(in: 0..<64, using: &random) }) {
            #expect(written { $0.digits(number) } == String(number))
            let signed = Int64(bitPattern: number)
            #expect(written { $0.digits(signed) } == String(signed))
            let low = UInt128(number) << UInt128(random.next() % 65)
            #expect(written { $0.digits(UInt256(low: low)) } == String(low))
            let wide = UInt256(high: UInt128(random.next()) << 64 | UInt128(number), low: low)
            let text = written { $0.digits(wide) }
            #expect(UInt256(decimal: text) == wide && (text == "0" || text.first != "0"))
        }
        #expect(written { $0.digits(Int64.min) } == "-9223372036854775808")
        #expect(written { $0.digits(UInt256.max) } == "115792089237316195423570985008687907853269984665640564039457584007913129639935")
        #expect(written { $0.digits(UInt256(low: 10_000_000_000_000_000_000)) } == "10000000000000000000")
    }

    @Test("bytes come out as hex, and text as JSON that is that text again", arguments: 1...4 as ClosedRange<UInt64>)
    func text(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let hex = written { out in bytes.withUnsafeBytes { out.hex($0) } }
            #expect("0x" + hex == Hex.text(bytes))
            let text = String(
                String.UnicodeScalarView(
                    (0..<length).compactMap { _ in
                        // Mostly what is plain or must be escaped, at all distances from each other.
                        switch random.next() % 8 {
                        case 0: Unicode.Scalar(UInt32(random.next() % 0x11_0000))
                        case 1: Unicode.Scalar(UInt32(random.next() % 0x22))
                        case 2: ["\"", "\\", "/", "\u{7F}"][Int(random.next() % 4)]
                        default: "a"
                        }
                    }))
            var isText = false
            let quoted = written { out in isText = Array(text.utf8).withUnsafeBytes { out.quoted($0) } }
            #expect(isText)
            let again = try JSONDecoder().decode(String.self, from: Data(quoted.utf8))
            #expect(Array(again.utf8) == Array(text.utf8), "\(quoted)")
        }
    }

    @Test("bytes that are no text are found, wherever they stand", arguments: 0..<20)
    func noText(_ place: Int) {
        for wrong in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]] {
            var bytes = Array(repeating: UInt8(ascii: "x"), count: 20)
            bytes.insert(contentsOf: wrong, at: place)
            var out = RecordBytes()
            let (isText, isValid) = bytes.withUnsafeBytes { (out.quoted($0), UTF8Check.isValid($0)) }
            #expect(!isText && !isValid)
        }
    }

    @Test("JSON is told from what is none as Python tells it", arguments: 1...3 as ClosedRange<UInt64>)
    func json(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var texts = [
            "", " ", "null", "true", "falsee", "nul", "0", "-0", "-", "01", "1.", "1.0", ".5", "1e5", "1E+5", "1e", "1e+", "-1.5e-3",
            "\"\"", "\"a", "\"\\u12G4\"",
            "\"\\u00e9\"", "\"\\x\"", "\"\\\"", "[]", "[ ]", "[1,]", "[,1]", "[1 2]", "[1,[2,[3]]]", "{}", "{ }", "{\"a\":1}",
            "{\"a\" : [ ] , \"b\":{}}", "{a:1}", "{\"a\"}",
            "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "[1]x", "\u{0}", "\"\t\"", "\"ü\u{1F9EC}\"", "[1}", "{\"a\":1]", "+1", "NaN",
            "Infinity", "\u{FEFF}1", "\u{A0}1", "[\n\t1 ,\r2]",
        ].map { Array($0.utf8) }
        texts += [[0x22, 0xFF, 0x22], [0x5B, 0xC3, 0x5D]]
        let seeds = texts.filter { $0.count > 3 }
        for _ in 0..<1500 {
            var text = seeds[Int(random.next() % UInt64(seeds.count))]
            for _ in 0...(random.next() % 3) {
                let (at, other) = (Int(random.next() % UInt64(text.count)), Array("{}[]\",:\\u0123.eE+-tn \u{1}".utf8))
                switch random.next() % 3 {
                case 0: text.remove(at: at)
                case 1: text.insert(other[Int(random.next() % UInt64(other.count))], at: at)
                default: text[at] = other[Int(random.next() % UInt64(other.count))]
                }
                if text.isEmpty { break }
            }
            texts.append(text)
        }
        try await withFolder { folder in
            let lines = texts.map { Data($0).base64EncodedString() }.joined(separator: "\n")
            try lines.write(toFile: "\(folder)/texts", atomically: true, encoding: .utf8)
            let judged = try await Script.run(["judge", "\(folder)/texts"], as: [Bool].self)
            #expect(judged.count == texts.count && judged.contains(true) && judged.contains(false))
            for (text, isJSON) in zip(texts, judged) {
                #expect(text.withUnsafeBytes { JSONCheck.isValid($0) } == isJSON, "\(String(decoding: text, as: UTF8.self))")
            }
        }
        let deep = Array((String(repeating: "[", count: 511) + String(repeating: "]", count: 511)).utf8)
        #expect(deep.withUnsafeBytes { JSONCheck.isValid($0) })
        let deeper = Array(String(repeating: "[", count: 1_000_000).utf8)
        #expect(!deeper.withUnsafeBytes { JSONCheck.isValid($0) })
    }
}
