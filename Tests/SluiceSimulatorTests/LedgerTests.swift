import Foundation
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceTestKit
import Testing

/// Balances of a generated chain against sums over its JSON.
@Suite struct LedgerTests {
    private typealias Object = [String: Any]

    private func objects(_ value: Any?) -> [Object] { value as? [Object] ?? [] }

    private func amount(_ value: Any?) -> UInt256 { Hex.wideQuantity(value as? String ?? "0x0") ?? .zero }

    private func times(_ a: UInt256, _ b: UInt64) -> UInt256 { a.multipliedReportingOverflow(by: b).partialValue }

    private func plus(_ a: UInt256, _ b: UInt256) -> UInt256 { a.addingReportingOverflow(b).partialValue }

    /// `a - b`, modulo 2^256.
    private func minus(_ a: UInt256, _ b: UInt256) -> UInt256 { plus(plus(a, UInt256(high: ~b.high, low: ~b.low)), UInt256(1)) }

    /// Moves what a block moves.
    private func apply(_ canonical: CanonicalBlock, to balances: inout [String: UInt256]) throws {
        let block = try #require(try JSONSerialization.jsonObject(with: Data(canonical.block)) as? Object)
        let receipts = objects(try JSONSerialization.jsonObject(with: Data(canonical.receipts ?? [])))
        func add(_ value: UInt256, _ address: Any?) {
            guard let name = address as? String else { return }
            balances[name, default: .zero] = plus(balances[name, default: .zero], value)
        }
        func take(_ value: UInt256, _ address: Any?) {
            guard let name = address as? String else { return }
            balances[name, default: .zero] = minus(balances[name, default: .zero], value)
        }
        let base = amount(block["baseFeePerGas"])
        for (transaction, receipt) in zip(objects(block["transactions"]), receipts) {
            let gas = try #require(number(receipt["gasUsed"]))
            let price = amount(receipt["effectiveGasPrice"])
            take(times(price, gas), receipt["from"])
            take(times(amount(receipt["blobGasPrice"]), number(receipt["blobGasUsed"]) ?? 0), receipt["from"])
            add(times(minus(price, base), gas), block["miner"])
            guard number(receipt["status"]) == 1 else { continue }
            take(amount(transaction["value"]), receipt["from"])
            add(amount(transaction["value"]), receipt["to"] as? String ?? receipt["contractAddress"])
        }
        for withdrawal in objects(block["withdrawals"]) {
            add(times(amount(withdrawal["amount"]), 1_000_000_000), withdrawal["address"])
        }
    }

    @Test(
        "balances are what the blocks up to there moved, on every branch, in whatever order they are asked for",
        arguments: 1...6 as ClosedRange<UInt64>)
    func sums(seed: UInt64) throws {
        let options = generated(seed: seed, history: 12)
        guard case .generated(let generator) = options.source else { return }
        let simulator = try Simulator(options)
        var random = SeededRandom(seed: seed)
        // What each block that was ever seen must say, orphans among them.
        var expected: [Hash32: [String: UInt256]] = [:]
        let funds = Dictionary(
            uniqueKeysWithValues: generator.accounts.map { (Hex.text($0), UInt256(decimal: "1000000000000000000000000") ?? .zero) })
        func note() throws {
            var balances = funds
            for number in generator.first...simulator.head {
                let block = try #require(try simulator.canonical(number))
                try apply(block, to: &balances)
                expected[block.ref.hash] = balances
            }
        }
        // Dictionaries have another order in each process; the seed alone is to say what happens.
        func check(_ most: Int) throws {
            for hash in expected.keys.sorted().shuffled(using: &random).prefix(most) {
                let balances = try #require(expected[hash])
                for (name, balance) in balances.sorted(by: { $0.key < $1.key }).shuffled(using: &random).prefix(40) {
                    let address = try #require(Hex.bytes(name))
                    #expect(try simulator.balance(of: address, at: hash) == balance, "\(name) at \(hash)")
                }
            }
        }
        try note()
        // Some before anything happens, so that what is known already must be undone.
        try check(Int(seed) % 3)
        for _ in 0..<4 {
            try simulator.advance(Int.random(in: 0...3, using: &random))
            try note()
            try check(3)
            try simulator.reorganise(depth: Int.random(in: 1...6, using: &random), length: Int.random(in: 1...6, using: &random))
            try note()
        }
        #expect(expected.count > 20)
        try check(.max)
        let stranger = [UInt8](repeating: 0xAB, count: 20)
        let head = try #require(try simulator.canonical(simulator.head)).ref.hash
        #expect(try simulator.balance(of: stranger, at: head) == .zero)
        #expect(try simulator.balance(of: stranger, at: .zero) == nil)
    }

    @Test("numbers of all widths come up")
    func widths() throws {
        let options = generated(seed: 2, history: 150)
        guard case .generated(let generator) = options.source else { return }
        let simulator = try Simulator(options)
        let head = try #require(try simulator.canonical(simulator.head)).ref.hash
        let balances = try generator.accounts.compactMap { try simulator.balance(of: $0, at: head) }
        #expect(balances.contains { $0.high > 0 } && balances.contains { $0.high == 0 && $0.low >> 64 > 0 })
        #expect(Set(balances).count > generator.accounts.count / 2)
    }
}
