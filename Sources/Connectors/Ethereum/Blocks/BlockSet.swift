import SluiceCore
import SluiceFormats

/// Everything read about one block, before it is believed.
struct BlockSet: Sendable {
    /// One row.
    let header: JSONTable
    let withdrawals: JSONTable
    /// Nil when the block was read without its transactions.
    let transactions: JSONTable?
    /// Nil when nobody asked for receipts.
    let receipts: JSONTable?
    /// From the receipts (then all of the block), or from `eth_getLogs`. Nil when nobody asked.
    let logs: JSONTable?
    /// Whether `logs` are all logs of the block, not a filtered part.
    let logsAreComplete: Bool
    /// Bytes of JSON that it came from.
    let byteCount: Int

    init(
        header: JSONTable, withdrawals: JSONTable, transactions: JSONTable? = nil, receipts: JSONTable? = nil, logs: JSONTable? = nil,
        logsAreComplete: Bool = false, byteCount: Int
    ) {
        self.header = header
        self.withdrawals = withdrawals
        self.transactions = transactions
        self.receipts = receipts
        self.logs = logs
        self.logsAreComplete = logsAreComplete
        self.byteCount = byteCount
    }

    var number: UInt64 { UInt64(clamping: header.column("number").load(0, as: Int64.self)) }
    var hash: Hash32 { header.column("hash").load(0, as: Hash32.self) }
    var parentHash: Hash32 { header.column("parent_hash").load(0, as: Hash32.self) }
    /// Microseconds since 1970.
    var timestamp: Int64 { header.column("timestamp").load(0, as: Int64.self) }
    var ref: BlockRef { BlockRef(number: number, hash: hash) }

    /// The same block with what was read about it later.
    func with(receipts: JSONTable?, logs: JSONTable?, logsAreComplete: Bool, byteCount more: Int) -> BlockSet {
        BlockSet(
            header: header, withdrawals: withdrawals, transactions: transactions, receipts: receipts, logs: logs,
            logsAreComplete: logsAreComplete, byteCount: byteCount + more)
    }
}
