import Foundation
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceTestKit
import Testing

@Suite struct GeneratedChainTests {
    private func json(_ bytes: [UInt8]?) throws -> Any { try JSONSerialization.jsonObject(with: Data(bytes ?? [])) }

    @Test("header hashes, links, receipt roots, blooms and gas are right, computed anew from the JSON")
    func consistent() throws {
        let simulator = try Simulator(generated(seed: 3, history: 12))
        try simulator.reorganise(depth: 4, length: 6)
        var parent: String?
        for number in 20_000_000...simulator.head {
            let canonical = try #require(try simulator.canonical(number))
            let block = try #require(try json(canonical.block) as? [String: Any])
            let receipts = try #require(try json(canonical.receipts) as? [[String: Any]])
            #expect(try header(block).hash() == canonical.ref.hash)
            #expect(block["hash"] as? String == canonical.ref.hash.description)
            if let parent { #expect(block["parentHash"] as? String == parent) }
            parent = block["hash"] as? String
            let transactions = try #require(block["transactions"] as? [[String: Any]])
            #expect(transactions.count == receipts.count)
            var gas: UInt64 = 0
            var bloom = Bloom()
            var logIndex: UInt64 = 0
            var encoded: [[UInt8]] = []
            for (index, receipt) in receipts.enumerated() {
                gas += SluiceSimulatorTests.number(receipt["gasUsed"]) ?? 0
                #expect(SluiceSimulatorTests.number(receipt["cumulativeGasUsed"]) == gas)
                for name in ["from", "to", "type"] { #expect(receipt[name] as? NSObject == transactions[index][name] as? NSObject) }
                #expect(receipt["transactionHash"] as? String == transactions[index]["hash"] as? String)
                #expect((receipt["to"] is NSNull) == (receipt["contractAddress"] is String))
                var own = Bloom()
                for log in receipt["logs"] as? [[String: Any]] ?? [] {
                    #expect(SluiceSimulatorTests.number(log["logIndex"]) == logIndex)
                    logIndex += 1
                    own.insert(hashing: Hex.bytes(log["address"] as? String ?? "") ?? [])
                    for topic in log["topics"] as? [String] ?? [] { own.insert(hashing: Hex.bytes(topic) ?? []) }
                }
                #expect(receipt["logsBloom"] as? String == Hex.text(own.bytes))
                bloom.formUnion(own)
                encoded.append(encode(receipt))
            }
            #expect(block["logsBloom"] as? String == Hex.text(bloom.bytes))
            #expect(SluiceSimulatorTests.number(block["gasUsed"]) == gas)
            #expect(block["receiptsRoot"] as? String == TrieRoot.ordered(encoded).description)
        }
    }

    /// The receipt as the trie holds it, from its JSON.
    private func encode(_ receipt: [String: Any]) -> [UInt8] {
        var rlp = RLP()
        if let type = SluiceSimulatorTests.number(receipt["type"]), type > 0 { rlp.append(encoded: [UInt8(type)]) }
        rlp.list {
            $0.append(integer: SluiceSimulatorTests.number(receipt["status"]) ?? 9)
            $0.append(integer: SluiceSimulatorTests.number(receipt["cumulativeGasUsed"]) ?? 0)
            $0.append(bytes: Hex.bytes(receipt["logsBloom"] as? String ?? "") ?? [])
            $0.list { list in
                for log in receipt["logs"] as? [[String: Any]] ?? [] {
                    list.list {
                        $0.append(bytes: Hex.bytes(log["address"] as? String ?? "") ?? [])
                        $0.list { topics in for topic in log["topics"] as? [String] ?? [] { topics.append(bytes: Hex.bytes(topic) ?? []) } }
                        $0.append(bytes: Hex.bytes(log["data"] as? String ?? "") ?? [])
                    }
                }
            }
        }
        return rlp.bytes
    }

    @Test("the same seed makes the same chain, also when blocks left the window; another seed another")
    func deterministic() throws {
        func chain(_ seed: UInt64, window: Int) throws -> [[UInt8]] {
            let simulator = try Simulator(generated(seed: seed) { $0.window = window })
            try simulator.advance(3)
            try simulator.reorganise(depth: 2, length: 3)
            return try (20_000_000...simulator.head).flatMap { number -> [[UInt8]] in
                guard let block = try simulator.canonical(number) else { return [] }
                return [block.block, block.receipts ?? []]
            }
        }
        let first = try chain(5, window: 256)
        #expect(first == (try chain(5, window: 1)))
        #expect(first != (try chain(6, window: 256)))
        #expect(first.count == 48)
    }

    @Test("all kinds of transactions and of odd logs are there")
    func shapes() throws {
        let simulator = try Simulator(generated(history: 40))
        var types: Set<String> = []
        var statuses: Set<String> = []
        var shapes: Set<String> = []
        var creations = 0
        for number in 20_000_000...simulator.head {
            for receipt in try json(try simulator.canonical(number)?.receipts) as? [[String: Any]] ?? [] {
                types.insert(receipt["type"] as? String ?? "")
                statuses.insert(receipt["status"] as? String ?? "")
                if receipt["to"] is NSNull { creations += 1 }
                for log in receipt["logs"] as? [[String: Any]] ?? [] {
                    let topics = log["topics"] as? [String] ?? []
                    let isTransfer = topics.first == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
                    let isBatch = topics.first == "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
                    let kind = isTransfer ? "transfer" : isBatch ? "batch" : topics.isEmpty ? "anonymous" : "other"
                    shapes.insert("\(kind) \(topics.count)" + (log["data"] as? String == "0x" ? " empty" : ""))
                }
            }
        }
        #expect(types == ["0x0", "0x1", "0x2", "0x3", "0x4"])
        #expect(statuses == ["0x0", "0x1"])
        #expect(creations > 0)
        #expect(
            shapes.isSuperset(of: [
                "transfer 3", "transfer 4 empty", "transfer 2", "transfer 3 empty", "batch 4", "anonymous 0", "anonymous 0 empty",
            ]), "\(shapes)")
    }

    @Test("a reorganisation replaces the end, orphans stay known by hash, finality never goes back")
    func reorganisation() async throws {
        try await withSimulator(generated(history: 30)) { simulator, port in
            let client = try TestClient(port: port)
            let head = simulator.head
            let finalized = simulator.finalized
            let before = try (head - 3...head).map { try #require(try simulator.canonical($0)).ref }
            try simulator.reorganise(depth: 3, length: 2)
            #expect(simulator.head == head - 1)
            #expect(simulator.finalized == finalized)
            #expect(try simulator.canonical(head) == nil)
            #expect(try simulator.canonical(head - 3)?.ref == before[0])
            for orphan in before.dropFirst() {
                #expect(try simulator.canonical(orphan.number)?.ref != orphan)
                let reply = try await client.call("eth_getBlockByHash", "[\"\(orphan.hash)\",true]").result as? [String: Any]
                #expect(try header(try #require(reply)).hash() == orphan.hash)
            }
            let next = try #require(try json(try simulator.canonical(head - 2)?.block) as? [String: Any])
            #expect(next["parentHash"] as? String == before[0].hash.description)
            try simulator.advance(2)
            #expect(number(try await client.call("eth_blockNumber").result) == head + 1)
            #expect(throws: SluiceError.self) { try simulator.reorganise(depth: 1000, length: 1) }
        }
    }

    @Test("with a rhythm the chain reorganises by itself, not below what is final")
    func rhythm() throws {
        let simulator = try Simulator(
            generated(history: 20) {
                $0.reorgEvery = 3
                $0.reorgDepth = 1...5
            })
        var seen: [UInt64: Hash32] = [:]
        var changed = 0
        for _ in 0..<60 {
            let finalized = simulator.finalized
            let kept = try simulator.canonical(finalized)?.ref
            try simulator.advance()
            #expect(try simulator.canonical(finalized)?.ref == kept)
            for number in simulator.head - 6...simulator.head {
                guard let hash = try simulator.canonical(number)?.ref.hash else { continue }
                if let old = seen[number], old != hash { changed += 1 }
                seen[number] = hash
            }
        }
        #expect(simulator.head == 20_000_019 + 60)
        #expect(changed > 15)
    }

    @Test("with a block time the chain grows with the clock it is given")
    func growth() throws {
        let clock = Clock()
        let options = generated(history: 1) {
            $0.blockTime = .seconds(12)
            $0.until = 20_000_005
        }
        let simulator = try Simulator(options, time: TimeSource(now: { clock.now }, sleep: { _ in }))
        #expect(simulator.head == 20_000_000)
        clock.advance(by: .seconds(35))
        #expect(simulator.head == 20_000_002)
        clock.advance(by: .seconds(1))
        #expect(simulator.head == 20_000_003)
        clock.advance(by: .seconds(1000))
        #expect(simulator.head == 20_000_005)
    }

    /// A clock that a test moves.
    private final class Clock: @unchecked Sendable {
        // SAFETY: used by one test on one thread.
        private(set) var now = MonotonicTime.zero
        func advance(by duration: Duration) { now = now + duration }
    }

    @Test("every mutation is valid JSON and differs from the truth in one part")
    func mutations() throws {
        let simulator = try Simulator(generated(history: 3) { $0.logs = 2...4 })
        let set = try #require(try simulator.canonical(simulator.head)).set
        let truth = (block: try json(set.block) as? NSDictionary, receipts: try json(set.receipts) as? NSArray)
        let all = try Mutations.all(of: set)
        #expect(Set(all.map(\.name)).count == all.count)
        for mutation in all {
            let block = try json(mutation.set.block) as? NSDictionary
            let receipts = try json(mutation.set.receipts) as? NSArray
            #expect((block == truth.block) != (receipts == truth.receipts), "\(mutation.name)")
        }
        let names = Set(all.map(\.name))
        for name in [
            "block.hash", "block.parentHash", "block.number", "block.logsBloom", "block.gasUsed", "transactions[0].hash",
            "transactions[0].transactionIndex", "receipts[0].cumulativeGasUsed", "receipts[0].from", "receipts[0].to", "receipts[0].type",
            "receipts[0] removed", "receipts[0] duplicated", "transactions[0] removed", "first and last receipt swapped",
        ] { #expect(names.contains(name), "\(name)") }
        for part in ["topics[0]", "address", "logIndex", "blockHash", "transactionIndex"] {
            #expect(names.contains { $0.contains(".logs[") && $0.hasSuffix(".\(part)") }, "\(part)")
        }
        #expect(names.contains { $0.contains(".logs[") && $0.hasSuffix(" removed") })
    }
}
