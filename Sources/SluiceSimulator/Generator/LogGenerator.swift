import SluiceChain
import SluiceCore

/// Makes logs as token contracts write them, and some that only look like it.
struct LogGenerator {
    static let transfer = Keccak256.hash("Transfer(address,address,uint256)").bytes
    static let approval = Keccak256.hash("Approval(address,address,uint256)").bytes
    static let transferSingle = Keccak256.hash("TransferSingle(address,address,address,uint256,uint256)").bytes
    static let transferBatch = Keccak256.hash("TransferBatch(address,address,address,uint256[],uint256[])").bytes

    let accounts: [[UInt8]]
    let tokens: [[UInt8]]

    /// One log; which kind is drawn.
    func log(_ random: inout SeededRandom) -> GeneratedLog {
        let token = tokens[random.below(tokens.count)]
        let from = random.below(20) == 0 ? [UInt8](repeating: 0, count: 20) : accounts[random.below(accounts.count)]
        let to = accounts[random.below(accounts.count)]
        let topics = [Self.transfer, Self.word(from), Self.word(to)]
        switch random.below(100) {
        case 0..<55: return GeneratedLog(address: token, topics: topics, data: random.amount().bigEndianBytes)
        case 55..<63: return GeneratedLog(address: token, topics: topics + [random.amount().bigEndianBytes], data: [])
        case 63..<70: return single(token, from, to, &random)
        case 70..<75: return batch(token, from, to, &random)
        case 75..<85:
            return GeneratedLog(
                address: token, topics: [Self.approval, Self.word(from), Self.word(to)], data: random.amount().bigEndianBytes)
        default: return odd(token, topics, &random)
        }
    }

    private func single(_ token: [UInt8], _ from: [UInt8], _ to: [UInt8], _ random: inout SeededRandom) -> GeneratedLog {
        let data = UInt256(UInt64(random.below(10_000))).bigEndianBytes + random.amount().bigEndianBytes
        return GeneratedLog(
            address: token, topics: [Self.transferSingle, Self.word(from), Self.word(from), Self.word(to)], data: data)
    }

    private func batch(_ token: [UInt8], _ from: [UInt8], _ to: [UInt8], _ random: inout SeededRandom) -> GeneratedLog {
        let count = random.below(5)
        // Two offsets, then two arrays, each behind its length.
        var data = UInt256(64).bigEndianBytes + UInt256(UInt64(64 + 32 * (count + 1))).bigEndianBytes
        for _ in 0..<2 {
            data += UInt256(UInt64(count)).bigEndianBytes
            for _ in 0..<count { data += random.amount().bigEndianBytes }
        }
        return GeneratedLog(
            address: token, topics: [Self.transferBatch, Self.word(from), Self.word(from), Self.word(to)], data: data)
    }

    /// What a decoder of transfers must not stumble over.
    private func odd(_ token: [UInt8], _ topics: [[UInt8]], _ random: inout SeededRandom) -> GeneratedLog {
        switch random.below(6) {
        case 0: GeneratedLog(address: token, topics: [], data: random.bytes(32))
        case 1: GeneratedLog(address: token, topics: Array(topics.prefix(2)), data: random.bytes(32))
        case 2: GeneratedLog(address: token, topics: topics, data: [])
        case 3: GeneratedLog(address: token, topics: [Self.transferBatch, topics[1], topics[1], topics[2]], data: random.bytes(31))
        case 4: GeneratedLog(address: token, topics: [], data: [])
        default:
            GeneratedLog(
                address: token, topics: (0..<1 + random.below(4)).map { _ in random.bytes(32) }, data: random.bytes(random.below(200)))
        }
    }

    /// An address as a topic.
    static func word(_ address: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 32 - address.count) + address }
}

extension SeededRandom {
    /// 0 ..< bound.
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(count + 7)
        while out.count < count { withUnsafeBytes(of: next()) { out.append(contentsOf: $0) } }
        out.removeLast(out.count - count)
        return out
    }

    /// An amount: mostly like those of tokens, sometimes at the edges of what 256 bits hold.
    mutating func amount() -> UInt256 {
        switch below(40) {
        case 0: .max
        case 1: .zero
        case 2: UInt256(high: 1 << 127, low: 0)
        case 3: UInt256(low: .max)
        case 4: UInt256(UInt64.max)
        case 5: UInt256(high: UInt128(next()) << 64 | UInt128(next()), low: UInt128(next()) << 64 | UInt128(next()))
        default: UInt256(low: UInt128(next() % 1_000_000_000) * UInt128(next() % 1_000_000_000_000) + 1)
        }
    }
}
