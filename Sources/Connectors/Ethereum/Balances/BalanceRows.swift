import SluiceChain
import SluiceCore

/// Writes the tables of balances, sampled block by sampled block, in ascending order.
struct BalanceRows {
    private let chainID: Int64
    private var address = ColumnBuilder(.fixedBytes(20))
    private var balance = ColumnBuilder(.uint256)
    private var timestamp = ColumnBuilder(.timestamp)
    private var number = ColumnBuilder(.int64)
    private var hash = ColumnBuilder(.fixedBytes(32))
    private var chain = ColumnBuilder(.int64)
    private var faults = BalanceTables.faults.fields.map { ColumnBuilder($0.type) }
    private var faultCount = 0

    init(chainID: UInt64) { self.chainID = Int64(clamping: chainID) }

    mutating func append(_ address: Address, _ balance: UInt256, block: BlockRef, timestamp seconds: UInt64) {
        self.address.append(bytes: address.bytes)
        self.balance.append(balance)
        timestamp.append(Int64(clamping: seconds) &* 1_000_000)
        number.append(Int64(clamping: block.number))
        hash.append(block.hash)
        chain.append(chainID)
    }

    mutating func append(_ fault: BalanceFault, block: BlockRef) {
        for (index, text) in [fault.reason.rawValue, fault.row, fault.message, fault.payload].enumerated() { faults[index].append(text) }
        faults[4].append(Int64(clamping: block.number))
        faults[5].append(block.hash)
        faultCount += 1
    }

    /// Both tables.
    consuming func finish() -> [Table] {
        let count = address.count
        let columns = [address.finish(), balance.finish(), timestamp.finish(), number.finish(), hash.finish(), chain.finish()]
        return [
            Table(schema: BalanceTables.balances, columns: columns, rowCount: count),
            Table(schema: BalanceTables.faults, columns: faults.map { $0.finish() }, rowCount: faultCount),
        ]
    }
}
