import SluiceChain
import SluiceCore

/// Writes the balances of sampled blocks, in ascending order, and what could not be read of them.
struct BalanceRows {
    private let chainID: Int64
    private var columns = BalanceTables.read.fields.map { ColumnBuilder($0.type) }

    init(chainID: UInt64) { self.chainID = Int64(clamping: chainID) }

    mutating func append(_ address: Address, _ balance: UInt256, block: BlockRef, timestamp: UInt64) {
        columns[0].append(bytes: address.bytes)
        columns[1].append(balance)
        append(block, timestamp: timestamp)
        for index in 6..<columns.count { columns[index].appendNull() }
    }

    mutating func append(_ fault: BalanceFault, block: BlockRef, timestamp: UInt64) {
        columns[0].appendNull()
        columns[1].appendNull()
        append(block, timestamp: timestamp)
        for (index, text) in [fault.reason.rawValue, fault.row, fault.message, fault.payload].enumerated() {
            columns[6 + index].append(text)
        }
    }

    private mutating func append(_ block: BlockRef, timestamp seconds: UInt64) {
        columns[2].append(Int64(clamping: seconds) &* 1_000_000)
        columns[3].append(Int64(clamping: block.number))
        columns[4].append(block.hash)
        columns[5].append(chainID)
    }

    consuming func finish() -> Table {
        let count = columns[0].count
        return Table(schema: BalanceTables.read, columns: columns.map { $0.finish() }, rowCount: count)
    }
}
