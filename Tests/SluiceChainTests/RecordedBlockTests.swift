import SluiceChain
import SluiceCore
import Testing

@Suite(.enabled(if: SharedData.isThere, "the recorded blocks are not beside this checkout"))
struct RecordedBlockTests {
    @Test("the header of every recorded block hashes to its hash")
    func headers() throws {
        let blocks = try (SharedData.complete.get() + SharedData.blocksOnly.get()).map { try $0.object("block") }
        #expect(blocks.count == 127)
        for block in blocks {
            let hash = try block.hash("hash")
            var header = try block.header()
            #expect(header.hash() == hash, "block \(header.number)")
            header.gasUsed ^= 1
            #expect(header.hash() != hash, "block \(header.number)")
        }
    }

    @Test("the withdrawals of every recorded block give its withdrawals root")
    func withdrawals() throws {
        var checked = 0
        for line in try SharedData.complete.get() + SharedData.blocksOnly.get() {
            let block = try line.object("block")
            guard block.has("withdrawalsRoot") else { continue }
            let values = try block.objects("withdrawals").map { withdrawal in
                var rlp = RLP()
                try rlp.list {
                    $0.append(integer: try withdrawal.quantity("index"))
                    $0.append(integer: try withdrawal.quantity("validatorIndex"))
                    $0.append(bytes: try withdrawal.bytes("address"))
                    $0.append(integer: try withdrawal.quantity("amount"))
                }
                return rlp.bytes
            }
            #expect(TrieRoot.ordered(values) == (try block.hash("withdrawalsRoot")))
            checked += 1
        }
        #expect(checked >= 10)
    }

    @Test("the receipts of every complete block give its receipts root")
    func receipts() throws {
        for line in try SharedData.complete.get() {
            let block = try line.object("block")
            let values = try line.objects("receipts").map { receipt in
                var rlp = RLP()
                let type = receipt.has("type") ? try receipt.quantity("type") : 0
                if type > 0 { rlp.append(encoded: [UInt8(type)]) }
                try rlp.list { try appendBody(of: receipt, to: &$0) }
                return rlp.bytes
            }
            let number = try block.quantity("number")
            #expect(TrieRoot.ordered(values) == (try block.hash("receiptsRoot")), "block \(number)")
        }
    }

    private func appendBody(of receipt: Object, to rlp: inout RLP) throws {
        if receipt.has("root") {
            rlp.append(hash: try receipt.hash("root"))
        } else {
            rlp.append(integer: try receipt.quantity("status"))
        }
        rlp.append(integer: try receipt.quantity("cumulativeGasUsed"))
        rlp.append(bytes: try receipt.bytes("logsBloom"))
        try rlp.list { list in
            for log in try receipt.objects("logs") {
                try list.list {
                    $0.append(bytes: try log.bytes("address"))
                    let topics = try log.strings("topics").compactMap { Hash32(hex: $0) }
                    $0.list { inner in topics.forEach { inner.append(hash: $0) } }
                    $0.append(bytes: try log.bytes("data"))
                }
            }
        }
    }

    @Test("the blooms of every complete block agree with its logs, and a changed log shows")
    func blooms() throws {
        for line in try SharedData.complete.get() {
            let header = try line.object("block").header()
            let block = try BlockColumns(receipts: line.objects("receipts"))
            #expect(block.verify(header: header.logsBloom, number: header.number) == nil, "block \(header.number)")
            #expect(block.verifyLogs(header: header.logsBloom, complete: true) == nil, "block \(header.number)")
            guard let sparse = block.sparseLog else { continue }
            let changed = try BlockColumns(receipts: line.objects("receipts"), corruptLog: sparse)
            #expect(changed.verify(header: header.logsBloom, number: header.number)?.field == "logs_bloom", "block \(header.number)")
        }
    }
}
