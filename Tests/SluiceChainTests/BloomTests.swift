import SluiceChain
import SluiceCore
import Testing

@Suite struct BloomTests {
    private typealias Log = BlockColumns.Log

    /// Logs and the blooms they should have, built the plain way: one hash, three bits, one after the other.
    private func block(seed: UInt64, receipts: Int, logs: Int) -> (logs: [Log], blooms: [Bloom], header: Bloom) {
        var random = SeededRandom(seed: seed)
        // Few addresses and topics, so that repetitions are common, as on the chain.
        func bytes(_ count: Int) -> [UInt8] {
            let choice = UInt8(truncatingIfNeeded: random.next() % 12)
            return (0..<count).map { choice &* 31 &+ UInt8($0) }
        }
        var blooms = [Bloom](repeating: Bloom(), count: receipts)
        var header = Bloom()
        let made = (0..<logs).map { _ in
            let log = Log(
                address: bytes(20), topics: (0..<Int(random.next() % 5)).map { _ in bytes(32) }, receipt: random.next() % UInt64(receipts))
            for value in [log.address] + log.topics {
                blooms[Int(log.receipt)].insert(hashing: value)
                header.insert(hashing: value)
            }
            return log
        }
        return (made, blooms, header)
    }

    // Values from an independent implementation in Python.
    @Test("an address sets the bits that the Yellow Paper says")
    func bits() {
        var bloom = Bloom()
        bloom.insert(hashing: [UInt8](repeating: 0, count: 20))
        let set = (0..<2048).filter { bloom.bytes[255 - $0 / 8] >> UInt8($0 % 8) & 1 == 1 }
        #expect(set == [896, 1665, 1975])
        #expect(bloom.contains(Bloom()) && !Bloom().contains(bloom))
    }

    @Test(
        "blocks of all shapes pass, behind the rows of another block too",
        arguments: [
            (1, 1, 0), (2, 1, 1), (3, 3, 7), (4, 150, 310), (5, 2, 900), (6, 40, 13),
        ])
    func consistent(seed: UInt64, receipts: Int, logs: Int) {
        let (made, blooms, header) = block(seed: seed, receipts: receipts, logs: logs)
        for before in [0, 5, 8] {
            let columns = BlockColumns(logs: made, blooms: blooms, before: before)
            #expect(columns.verify(header: header) == nil)
            #expect(columns.verifyLogs(header: header, complete: true) == nil)
            #expect(columns.verifyLogs(header: header, complete: false) == nil)
        }
    }

    @Test("a block without transactions has an empty bloom")
    func empty() {
        let columns = BlockColumns(logs: [], blooms: [])
        #expect(columns.verify(header: Bloom()) == nil)
        var other = Bloom()
        other.insert(hashing: [1])
        #expect(columns.verify(header: other)?.place == "block 1")
        #expect(columns.verifyLogs(header: other, complete: true) != nil)
        #expect(columns.verifyLogs(header: other, complete: false) == nil)
    }

    @Test("a bloom that does not fit its logs names the receipt")
    func wrongReceipt() {
        var (made, blooms, header) = block(seed: 11, receipts: 9, logs: 30)
        blooms[4].insert(hashing: [1, 2, 3])
        let violation = BlockColumns(logs: made, blooms: blooms).verify(header: header, number: 77)
        #expect(violation?.field == "logs_bloom")
        #expect(violation?.place == "block 77, receipt 4")
        #expect(violation?.found == Hex.text(blooms[4].bytes))

        blooms[4] = block(seed: 11, receipts: 9, logs: 30).blooms[4]
        header.insert(hashing: [1, 2, 3])
        #expect(BlockColumns(logs: made, blooms: blooms).verify(header: header, number: 77)?.place == "block 77")
        made.removeLast(30)
        #expect(BlockColumns(logs: made, blooms: blooms).verify(header: header)?.place.contains("receipt") == true)
    }

    @Test("a lost log and a changed topic show")
    func lostLog() {
        var random = SeededRandom(seed: 5)
        func unique(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
        let made = (0..<20).map { Log(address: unique(20), topics: [unique(32), unique(32)], receipt: UInt64($0 / 4)) }
        var header = Bloom()
        var blooms = [Bloom](repeating: Bloom(), count: 5)
        for log in made {
            for value in [log.address] + log.topics {
                header.insert(hashing: value)
                blooms[Int(log.receipt)].insert(hashing: value)
            }
        }
        #expect(BlockColumns(logs: made, blooms: blooms).verify(header: header) == nil)
        for victim in made.indices {
            var lost = made
            lost.remove(at: victim)
            #expect(BlockColumns(logs: lost, blooms: blooms).verify(header: header)?.place == "block 1, receipt \(victim / 4)")
            #expect(BlockColumns(logs: lost, blooms: blooms).verifyLogs(header: header, complete: true) != nil)
            #expect(BlockColumns(logs: lost, blooms: blooms).verifyLogs(header: header, complete: false) == nil)
            var changed = made
            changed[victim].topics[1][31] ^= 0x80
            #expect(BlockColumns(logs: changed, blooms: blooms).verify(header: header)?.place == "block 1, receipt \(victim / 4)")
            #expect(BlockColumns(logs: changed, blooms: blooms).verifyLogs(header: header, complete: false) != nil)
        }
    }

    @Test("a log of a receipt that there is not is named")
    func orphanLog() {
        let log = Log(address: [UInt8](repeating: 1, count: 20), topics: [], receipt: 3)
        let violation = BlockColumns(logs: [log], blooms: [Bloom(), Bloom()]).verify(header: Bloom())
        #expect(violation?.field == "transaction_index")
        #expect(violation?.found == "3")
        #expect(violation?.place == "block 1, log 0")
    }

    @Test("a header bloom of another size is a contradiction, not a crash")
    func shortBloom() {
        let columns = BlockColumns(logs: [], blooms: [])
        let violation = [UInt8](repeating: 0, count: 10).withUnsafeBytes {
            BloomCheck.verify(columns.logs, headerBloom: $0, complete: true, block: 1)
        }
        #expect(violation?.found == "10 bytes")
    }
}
