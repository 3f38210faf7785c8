import SluiceChain
import SluiceCore

/// Types, values and events of the contract ABI, drawn from a seed.
struct ABIRandom {
    var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }

    /// A type with arrays and tuples up to so many levels deep.
    mutating func type(depth: Int = 3) -> ABIType {
        switch below(depth > 0 ? 14 : 10) {
        case 0: return .uint(8 * (1 + below(32)))
        case 1: return .int(8 * (1 + below(32)))
        case 2: return .address
        case 3: return .bool
        case 4: return .fixedBytes(1 + below(32))
        case 5: return .function
        case 6: return .bytes
        case 7: return .string
        case 8: return .ufixed(8 * (1 + below(32)), decimals: 1 + below(80))
        case 9: return .fixed(8 * (1 + below(32)), decimals: 1 + below(80))
        case 10, 11: return .array(type(depth: depth - 1))
        case 12: return .fixedArray(type(depth: depth - 1), count: 1 + below(3))
        default: return .tuple((0...below(4)).map { ABIComponent(type(depth: depth - 1), "m\($0)") })
        }
    }

    mutating func value(_ type: ABIType) -> ABIValue {
        switch type {
        case .uint(let bits), .ufixed(let bits, _): return .uint(number(bits))
        case .int(let bits), .fixed(let bits, _): return .int(Int256(bits: signed(bits)))
        case .address: return .address(Address(bytes(20)) ?? .zero)
        case .bool: return .bool(below(2) == 1)
        case .fixedBytes(let count): return .fixedBytes(bytes(count))
        case .function: return .function(bytes(24))
        case .bytes: return .bytes(bytes(below(70)))
        case .string: return text()
        case .array(let element): return .array((0..<below(4)).map { _ in value(element) })
        case .fixedArray(let element, let count): return .array((0..<count).map { _ in value(element) })
        case .tuple(let members): return .tuple(members.map { value($0.type) })
        }
    }

    private mutating func number(_ bits: Int) -> UInt256 {
        switch below(4) {
        case 0: return .zero
        case 1: return UInt256(bigEndian: [UInt8](repeating: 0xff, count: bits / 8)) ?? .zero
        default: return UInt256(bigEndian: bytes(bits / 8)) ?? .zero
        }
    }

    /// So many bits, the first of them carried on to 256.
    private mutating func signed(_ bits: Int) -> UInt256 {
        var word = number(bits).bigEndianBytes
        if word[32 - bits / 8] & 0x80 != 0 { for at in 0..<32 - bits / 8 { word[at] = 0xff } }
        return UInt256(bigEndian: word) ?? .zero
    }

    private mutating func text() -> ABIValue {
        let plain = ["", "plain", "\"quoted\" \\ and \n\t\u{0}\u{1f}\u{7f}", "größer als 32 Bytes, damit das zweite Wort zählt", "⛓️🧱"]
        switch below(3) {
        case 0: return .string(plain[below(plain.count)])
        case 1: return .string(String(repeating: "x", count: below(100)))
        default:
            let raw = bytes(1 + below(40))
            return String(validating: raw, as: UTF8.self).map { .string($0) } ?? .invalidText(raw)
        }
    }

    /// An event with up to three indexed arguments, and what a log of it holds.
    mutating func event() throws -> (event: ABIEvent, values: [ABIValue]) {
        var left = 3
        let inputs = (0..<below(7)).map { index in
            let isIndexed = left > 0 && below(3) == 0
            if isIndexed { left -= 1 }
            return ABIEvent.Input(type(), "a\(index)", isIndexed: isIndexed)
        }
        let event = try ABIEvent(name: "Drawn", inputs: inputs, isAnonymous: below(4) == 0)
        return (event, inputs.map { value($0.type) })
    }
}

extension ABIEvent {
    /// Arguments as a log gives them back: of indexed reference types the hash alone.
    func logged(_ values: [ABIValue]) throws -> [ABIValue] {
        try zip(inputs, values).map { input, value in
            input.isIndexed && !input.type.isValueType ? .hash(try ABIEncoder.topic(value, as: input.type)) : value
        }
    }

    func decode(_ log: (topics: [Hash32], data: [UInt8])) throws -> [ABIValue]? {
        try log.data.withUnsafeBytes { try decode(topics: log.topics, data: $0) }
    }
}
