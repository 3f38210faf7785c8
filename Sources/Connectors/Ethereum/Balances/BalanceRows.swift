import SluiceChain
import SluiceCore

/// Writes the balances of sampled blocks, in ascending order, and what could not be read of them.
struct BalanceRows {
    private let chainID: Int64
    /// The block that is sampled.
    var block = BlockRef(number: 0, hash: .zero)
    /// When it was made, in seconds since 1970.
    var timestamp: UInt64 = 0
    private var columns = BalanceTables.read.fields.map { ColumnBuilder($0.type) }

    init(chainID: UInt64) { self.chainID = Int64(clamping: chainID) }

    mutating func append(_ address: Address, _ balance: UInt256, for pipeline: String) {
        columns[0].append(bytes: address.bytes)
        columns[1].append(balance)
        appendPlace(pipeline)
        for index in 7..<columns.count { columns[index].appendNull() }
    }

    mutating func append(_ fault: BalanceFault, for pipeline: String) {
        columns[0].appendNull()
        columns[1].appendNull()
        appendPlace(pipeline)
        for (index, text) in [fault.reason.rawValue, fault.row, fault.message, fault.payload].enumerated() {
            columns[7 + index].append(text)
        }
    }

    private mutating func appendPlace(_ pipeline: String) {
        columns[2].append(Int64(clamping: timestamp) &* 1_000_000)
        columns[3].append(Int64(clamping: block.number))
        columns[4].append(block.hash)
        columns[5].append(chainID)
        columns[6].append(pipeline)
    }

    consuming func finish() -> Table {
        let count = columns[0].count
        return Table(schema: BalanceTables.read, columns: columns.map { $0.finish() }, rowCount: count)
    }
}
