import Foundation
import SluiceCore
import SluiceFormats
import SluiceSimulator
import Testing

@testable import EthereumConnector

/// Nothing that an endpoint changes in a block may pass.
@Suite struct MutationTests {
    /// Every mutation must be refused; returns how many there were.
    private func refuseAll(_ set: SluiceSimulator.BlockSet, number: UInt64) throws -> Int {
        #expect(try decode(set, number: number).ref.number == number)
        let mutations = try Mutations.all(of: set)
        for mutation in mutations {
            #expect(mutation.set != set, "\(mutation.name) changes nothing")
            #expect(throws: SluiceError.self, "block \(number): \(mutation.name) slipped through") {
                try decode(mutation.set, number: number)
            }
        }
        return mutations.count
    }

    @Test("every mutation of generated blocks is refused")
    func generated() throws {
        let simulator = try Simulator(chain(seed: 21, history: 6) { $0.transactions = 4...12 })
        for number in simulator.head - 5...simulator.head {
            let block = try #require(try simulator.canonical(number))
            #expect(try refuseAll(block.set, number: number) > 50)
        }
    }

    @Test(
        "every mutation of recorded mainnet blocks is refused",
        .enabled(if: SharedData.root != nil, "no recorded blocks beside this checkout"))
    func recorded() throws {
        var done = 0
        let lines = try SharedData.mainnet.get()
        for line in [lines[0], lines[lines.count / 2], lines[lines.count - 1]] {
            let object = try object(line)
            let block = try #require(object["block"] as? Object)
            let receipts = try #require(object["receipts"] as? [Object])
            let number = try #require((block["number"] as? String).flatMap { Hex.quantity($0) })
            let set = SluiceSimulator.BlockSet(block: try text(block), receipts: try text(receipts))
            done += try refuseAll(set, number: number)
        }
        #expect(done > 150)
    }

    @Test("every recorded mainnet block is believed", .enabled(if: SharedData.root != nil, "no recorded blocks beside this checkout"))
    func believed() throws {
        let lines = try SharedData.mainnet.get()
        for line in lines {
            // The text as it was recorded, cut at the key in front of the receipts: parsing it with Foundation takes a second each.
            let data = Data(line)
            guard let block = data.range(of: Data("\"block\":".utf8)),
                let receipts = data.range(of: Data("\"receipts\":[".utf8), options: .backwards),
                let number = data.range(of: Data("\"number\":".utf8)), receipts.lowerBound > block.upperBound
            else { continue }
            var end = data[..<receipts.lowerBound]
            while let last = end.last, last != UInt8(ascii: "}") { end = end.dropLast() }
            let height = UInt64(String(decoding: data[number.upperBound...].prefix { (48...57).contains($0) }, as: UTF8.self))
            let decoded = try decoder().decodeBlock(
                reply(block: Array(end[block.upperBound...]), receipts: Array(data[(receipts.upperBound - 1)...].dropLast())),
                number: try #require(height))
            #expect(decoded.tables.count == 4)
        }
        #expect(lines.count > 20)
    }

    /// A block with withdrawals and logs, as Foundation objects.
    private func sample() throws -> (number: UInt64, block: Object, receipts: [Object]) {
        let simulator = try Simulator(chain(seed: 4, history: 12))
        for number in simulator.head - 11...simulator.head {
            guard let canonical = try simulator.canonical(number) else { continue }
            let block = try object(canonical.block)
            let receipts = try objects(canonical.receipts ?? [])
            let hasLogs = receipts.contains { ($0["logs"] as? [Object])?.isEmpty == false }
            if hasLogs, let withdrawals = block["withdrawals"] as? [Object], withdrawals.count >= 3 { return (number, block, receipts) }
        }
        throw CocoaError(.featureUnsupported)
    }

    private func accepts(_ number: UInt64, _ block: Object, _ receipts: [Object]) throws -> Bool {
        do {
            _ = try decode(SluiceSimulator.BlockSet(block: try text(block), receipts: try text(receipts)), number: number)
            return true
        } catch let error as SluiceError {
            #expect(error.class == .endpoint, "\(error)")
            return false
        }
    }

    @Test("altered withdrawals are refused")
    func withdrawals() throws {
        let (number, block, receipts) = try sample()
        #expect(try accepts(number, block, receipts))
        let all = try #require(block["withdrawals"] as? [Object])
        var variants: [(String, [Object])] = [
            ("first removed", Array(all.dropFirst())), ("last removed", Array(all.dropLast())), ("none", []),
            ("twice", all + [all[all.count - 1]]),
            ("swapped", [all[1], all[0]] + all[2...]),
        ]
        for place in [0, all.count - 1] {
            for (key, value) in [
                ("index", "0x1"), ("validatorIndex", "0xfffff0"), ("amount", "0x123456"),
                ("address", "0x" + String(repeating: "7", count: 40)),
            ] {
                var changed = all
                changed[place][key] = value
                variants.append(("\(place) \(key)", changed))
            }
        }
        for (name, withdrawals) in variants {
            var altered = block
            altered["withdrawals"] = withdrawals
            #expect(try !accepts(number, altered, receipts), "withdrawals \(name)")
        }
        var without = block
        without["withdrawals"] = nil
        #expect(try !accepts(number, without, receipts), "withdrawals missing")
    }

    @Test("a removed log, and types that contradict each other, are refused")
    func removedAndTypes() throws {
        let (number, block, receipts) = try sample()
        let place = try #require(receipts.firstIndex { ($0["logs"] as? [Object])?.isEmpty == false })
        var altered = receipts
        var logs = try #require(altered[place]["logs"] as? [Object])
        logs[0]["removed"] = true
        altered[place]["logs"] = logs
        #expect(try !accepts(number, block, altered), "removed")
        logs[0]["removed"] = NSNull()
        altered[place]["logs"] = logs
        #expect(try accepts(number, block, altered), "removed is null")

        let transactions = try #require(block["transactions"] as? [Object])
        for place in transactions.indices {
            var other = transactions
            other[place]["type"] = "0x7"
            var changed = block
            changed["transactions"] = other
            #expect(try !accepts(number, changed, receipts), "type of transaction \(place)")
            var receiptsToo = receipts
            receiptsToo[place]["type"] = "0x7"
            #expect(try !accepts(number, block, receiptsToo), "type of receipt \(place)")
        }
    }

    @Test("a block of another number, and an array in place of a block, are refused")
    func shapes() throws {
        let (number, block, receipts) = try sample()
        let good = SluiceSimulator.BlockSet(block: try text(block), receipts: try text(receipts))
        #expect(throws: SluiceError.self) { try decode(good, number: number + 1) }
        for wrong in ["[]", "[{}]", "\"0x1\"", "null", "5"] {
            #expect(throws: SluiceError.self) {
                try decode(SluiceSimulator.BlockSet(block: Array(wrong.utf8), receipts: good.receipts), number: number)
            }
            #expect(throws: SluiceError.self) {
                try decode(SluiceSimulator.BlockSet(block: good.block, receipts: Array(wrong.utf8)), number: number)
            }
        }
    }
}
