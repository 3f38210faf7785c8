import SluiceChain
import SluiceCore

/// The logs and receipt blooms of one block in columns, as the bloom check takes them.
struct BlockColumns {
    struct Log {
        var address: [UInt8]
        var topics: [[UInt8]]
        var receipt: UInt64
    }

    let logs: BloomCheck.Logs
    let receiptOfLog: Column
    let receiptBlooms: Column

    /// The first log of the receipt that has the fewest: there a change shows, while the bloom of a receipt of thousands of
    /// logs has nearly all bits set. Nil without logs.
    var sparseLog: Int? {
        let counts = Dictionary(grouping: logs.rows) { receiptOfLog.load($0, as: UInt64.self) }
        return counts.values.min { ($0.count, $0[0]) < ($1.count, $1[0]) }?.first
    }

    /// `before` puts that many rows of another block in front of the logs and receipts.
    init(logs: [Log], blooms: [Bloom], before: Int = 0) {
        var address = ColumnBuilder(.fixedBytes(20))
        var topics = (0..<4).map { _ in ColumnBuilder(.fixedBytes(32)) }
        var receipt = ColumnBuilder(.uint64)
        var bloom = ColumnBuilder(.fixedBytes(256))
        let other = Log(address: [UInt8](repeating: 7, count: 20), topics: [[UInt8](repeating: 9, count: 32)], receipt: 99)
        for log in [Log](repeating: other, count: before) + logs {
            address.append(bytes: log.address)
            for at in topics.indices { at < log.topics.count ? topics[at].append(bytes: log.topics[at]) : topics[at].appendNull() }
            receipt.append(log.receipt)
        }
        for one in [Bloom](repeating: Bloom(), count: before) + blooms { bloom.append(bytes: one.bytes) }
        self.logs = BloomCheck.Logs(
            address: address.finish(), topics: topics.map { $0.finish() }, rows: before..<before + logs.count)
        receiptOfLog = receipt.finish()
        receiptBlooms = bloom.finish()
    }

    /// From recorded receipts; `corruptLog` flips one bit of that log's address.
    init(receipts: [Object], corruptLog: Int? = nil) throws {
        var logs: [Log] = []
        for (index, receipt) in receipts.enumerated() {
            for log in try receipt.objects("logs") {
                var address = try log.bytes("address")
                if logs.count == corruptLog { address[19] ^= 1 }
                logs.append(Log(address: address, topics: try log.strings("topics").compactMap { Hex.bytes($0) }, receipt: UInt64(index)))
            }
        }
        self.init(logs: logs, blooms: try receipts.map { try $0.bloom("logsBloom") })
    }

    func verify(header: Bloom, number: UInt64 = 1) -> ConsistencyViolation? {
        let before = logs.rows.lowerBound
        return header.bytes.withUnsafeBytes {
            BloomCheck.verify(
                logs, receiptOfLog: receiptOfLog, receiptBlooms: receiptBlooms, receipts: before..<receiptBlooms.count,
                headerBloom: $0, block: number)
        }
    }

    func verifyLogs(header: Bloom, complete: Bool) -> ConsistencyViolation? {
        header.bytes.withUnsafeBytes { BloomCheck.verify(logs, headerBloom: $0, complete: complete, block: 1) }
    }
}
