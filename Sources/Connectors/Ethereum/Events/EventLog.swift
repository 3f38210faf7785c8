import SluiceChain
import SluiceCore

/// One row of the table `logs`.
struct EventLog {
    let row: Int
    let address: Address
    /// Those that are there.
    let topics: [Hash32]
    private let source: EventLogSource

    fileprivate init(row: Int, address: Address, topics: [Hash32], source: EventLogSource) {
        self.row = row
        self.address = address
        self.topics = topics
        self.source = source
    }

    /// Valid while the table is held.
    var data: UnsafeRawBufferPointer { source.data.bytes(row) }
    var index: Int64 { source.index.load(row) }
    var block: BlockRef { BlockRef(number: source.number.load(row), hash: source.hash.load(row)) }

    /// The log as the RPC writes it.
    var json: String {
        let topics = topics.map { "\"\($0)\"" }.joined(separator: ",")
        let transaction: Hash32 = source.transaction.load(row)
        let place: UInt64 = source.transactionIndex.load(row)
        return """
            {"address":"\(address)","topics":[\(topics)],"data":"\(Hex.text(data))","blockNumber":"\(Hex.quantity(block.number))",\
            "blockHash":"\(block.hash)","transactionHash":"\(transaction)","transactionIndex":"\(Hex.quantity(place))",\
            "logIndex":"\(Hex.quantity(UInt64(clamping: index)))"}
            """
    }
}

/// The columns of the table `logs`.
struct EventLogSource {
    let table: Table
    private let address: Column
    private let topics: [Column]
    fileprivate let data: Column
    fileprivate let index: Column
    fileprivate let number: Column
    fileprivate let hash: Column
    fileprivate let transaction: Column
    fileprivate let transactionIndex: Column

    /// - Throws: `missing_table` (class `fatal`) when a column is missing, or of another type.
    init(_ table: Table) throws(SluiceError) {
        func column(_ name: String) throws(SluiceError) -> Column {
            guard let column = table.column(name), let place = EthereumTables.logs.index(of: name),
                column.type == EthereumTables.logs.fields[place].type
            else { throw SluiceError(.missingTable, .fatal, "the table \(table.schema.name) came without the column \(name)") }
            return column
        }
        self.table = table
        address = try column("address")
        var topics: [Column] = []
        for name in ["topic0", "topic1", "topic2", "topic3"] { topics.append(try column(name)) }
        self.topics = topics
        data = try column("data")
        index = try column("log_index")
        number = try column("block_number")
        hash = try column("block_hash")
        transaction = try column("transaction_hash")
        transactionIndex = try column("transaction_index")
    }

    /// A row; its topics end at the first that is null.
    func log(_ row: Int) -> EventLog {
        EventLog(
            row: row, address: Address(address.bytes(row)) ?? .zero,
            topics: topics.prefix { !$0.isNull(row) }.map { $0.load(row, as: Hash32.self) }, source: self)
    }
}
